/**
 * The time that the queue lives by: begins with the wall clock and then goes on steadily, whatever the wall clock does.
 *
 * What is stored must be in wall time, since nothing else survives a restart. But a wall clock can jump: on a jump of years everything would be due
 * and too old at once, or nothing for years. So due times are set and compared by this clock, which cannot jump while the process lives; and a message
 * is only as old as both clocks agree that it is.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, type EpochMs, milliseconds, type MonotonicMs, plus } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';

export class Calendar {
  readonly #clock: Clock;
  readonly #begun: { readonly wall: EpochMs; readonly steady: MonotonicMs };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#begun = { wall: clock.now(), steady: clock.monotonic() };
  }

  now(): EpochMs {
    return plus(this.#begun.wall, between(this.#begun.steady, this.#clock.monotonic()));
  }

  /** How long ago `moment` was at least. One in the future was stored by a clock that was wrong: it counts from when this process began. */
  age(moment: EpochMs): DurationMs {
    const now = this.now();
    if (moment > now) return between(this.#begun.wall, now);
    return milliseconds(Math.max(0, Math.min(between(moment, now), between(moment, this.#clock.now()))));
  }
}
