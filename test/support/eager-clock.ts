/**
 * A clock on which short pauses are over at once and deadlines never come: for tests of a dialogue, where only the order of things counts.
 *
 * @packageDocumentation
 */
import { type DurationMs, type EpochMs, type MonotonicMs, seconds } from '../../src/core/clock.ts';
import type { Clock, Timer } from '../../src/core/ports/clock.ts';

/** Pauses before a reply are shorter than this, and no deadline is. */
const LONGEST_PAUSE = seconds(9);

export class EagerClock implements Clock {
  /** Pauses asked for so far, in order. */
  readonly pauses: DurationMs[] = [];
  #passed = 0;

  now(): EpochMs {
    return (Date.UTC(2026, 10, 23) + this.#passed) as EpochMs;
  }

  monotonic(): MonotonicMs {
    return (1_000 + this.#passed) as MonotonicMs;
  }

  startTimer(delay: DurationMs, action: () => void, _options: { readonly isBackground?: boolean } = {}): Timer {
    if (delay >= LONGEST_PAUSE) return { cancel: () => undefined };
    this.pauses.push(delay);
    const handle = setImmediate(() => {
      this.#passed += delay;
      action();
    });
    return { cancel: () => clearImmediate(handle) };
  }
}
