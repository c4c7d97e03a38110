/**
 * The machine's clock, at a speed that a test chooses and changes: for tests that do real work on real sockets at the speed of the wall, and then wait for real
 * deadlines, which they cannot.
 *
 * @packageDocumentation
 */
import type { DurationMs, EpochMs, MonotonicMs } from '../../src/core/clock.ts';
import type { Clock, Timer } from '../../src/core/ports/clock.ts';
import { systemClock } from '../../src/platform/system-clock.ts';

interface Pending {
  readonly due: number;
  readonly action: () => void;
  readonly options: { readonly isBackground?: boolean } | undefined;
  timer: Timer;
}

export class ScaledClock implements Clock {
  #speed: number;
  /** A moment on the wall, and where this clock was then. */
  #wall = systemClock.monotonic();
  #here = 0;
  readonly #pending = new Set<Pending>();

  /** @param speed - Seconds on this clock for each that passes. */
  constructor(speed = 1) {
    this.#speed = speed;
  }

  get speed(): number {
    return this.#speed;
  }

  /** What is waited for comes at the new speed from now on. */
  set speed(speed: number) {
    this.#here = this.#passed();
    this.#wall = systemClock.monotonic();
    this.#speed = speed;
    for (const pending of this.#pending) {
      pending.timer.cancel();
      this.#arm(pending);
    }
  }

  now(): EpochMs {
    return (Date.UTC(2026, 10, 23) + this.#passed()) as EpochMs;
  }

  monotonic(): MonotonicMs {
    return (1_000 + this.#passed()) as MonotonicMs;
  }

  startTimer(delay: DurationMs, action: () => void, options?: { readonly isBackground?: boolean }): Timer {
    const pending: Pending = { due: this.#passed() + delay, action, options, timer: { cancel: () => undefined } };
    this.#pending.add(pending);
    this.#arm(pending);
    return {
      cancel: () => {
        pending.timer.cancel();
        this.#pending.delete(pending);
      },
    };
  }

  #arm(pending: Pending): void {
    const rest = Math.max(0, pending.due - this.#passed()) / this.#speed;
    const fire = (): void => {
      this.#pending.delete(pending);
      pending.action();
    };
    pending.timer = systemClock.startTimer(rest as DurationMs, fire, pending.options);
  }

  #passed(): number {
    return this.#here + (systemClock.monotonic() - this.#wall) * this.#speed;
  }
}
