/**
 * A clock whose time can be over at once: every timer fires, and every deadline has passed. So whatever waits for a person ends in the way that it ends when
 * nobody comes.
 *
 * @packageDocumentation
 */
import { type DurationMs, days, type EpochMs, type MonotonicMs, plus } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';

export class EndableClock implements Clock {
  readonly #clock: Clock;
  readonly #pending = new Set<() => void>();
  #isOver = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): EpochMs {
    return this.#clock.now();
  }

  monotonic(): MonotonicMs {
    const now = this.#clock.monotonic();
    return this.#isOver ? plus(now, days(1)) : now;
  }

  startTimer(delay: DurationMs, action: () => void, options?: { readonly isBackground?: boolean }): Timer {
    const fire = (): void => {
      if (!this.#pending.delete(fire)) return;
      timer.cancel();
      action();
    };
    this.#pending.add(fire);
    const timer = this.#clock.startTimer(this.#isOver ? (0 as DurationMs) : delay, fire, options);
    return {
      cancel: () => {
        this.#pending.delete(fire);
        timer.cancel();
      },
    };
  }

  /** From now on it is too late for everything. */
  end(): void {
    this.#isOver = true;
    for (const fire of this.#pending) fire();
  }
}
