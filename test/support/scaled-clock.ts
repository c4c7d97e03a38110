/**
 * The machine's clock, faster: for tests that wait for real sockets, and cannot wait for real deadlines.
 *
 * @packageDocumentation
 */
import type { DurationMs, EpochMs, MonotonicMs } from '../../src/core/clock.ts';
import type { Clock, Timer } from '../../src/core/ports/clock.ts';
import { systemClock } from '../../src/platform/system-clock.ts';

export class ScaledClock implements Clock {
  /** Seconds on this clock for each that passes. */
  readonly factor: number;
  readonly #begun = systemClock.monotonic();

  constructor(factor: number) {
    this.factor = factor;
  }

  now(): EpochMs {
    return (Date.UTC(2026, 10, 23) + this.#passed()) as EpochMs;
  }

  monotonic(): MonotonicMs {
    return (1_000 + this.#passed()) as MonotonicMs;
  }

  startTimer(delay: DurationMs, action: () => void, options?: { readonly isBackground?: boolean }): Timer {
    return systemClock.startTimer((delay / this.factor) as DurationMs, action, options);
  }

  #passed(): number {
    return (systemClock.monotonic() - this.#begun) * this.factor;
  }
}
