/**
 * The machine's clock, the only place in src/ that reads it or starts a timer.
 *
 * @packageDocumentation
 */
import { performance } from 'node:perf_hooks';
import type { EpochMs, MonotonicMs } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';

/** setTimeout treats a longer delay as 1 ms, so a longer wait is made of several. */
const LONGEST_TIMEOUT = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now() as EpochMs,
  monotonic: () => performance.now() as MonotonicMs,
  startTimer(delay, action, options = {}): Timer {
    let handle: NodeJS.Timeout;
    const arm = (rest: number): void => {
      const step = Math.min(Math.max(rest, 0), LONGEST_TIMEOUT);
      handle = setTimeout(() => (rest > step ? arm(rest - step) : action()), step);
      if (options.isBackground === true) handle.unref();
    };
    arm(delay);
    return { cancel: () => clearTimeout(handle) };
  },
};
