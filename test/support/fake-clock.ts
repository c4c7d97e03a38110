/**
 * A clock that stands still until a test moves it.
 *
 * @packageDocumentation
 */
import type { DurationMs, EpochMs, MonotonicMs } from '../../src/core/clock.ts';
import type { Clock, Timer } from '../../src/core/ports/clock.ts';

interface Pending {
  readonly due: number;
  readonly action: () => void;
}

export class FakeClock implements Clock {
  #wall: number;
  #steady = 1_000;
  readonly #pending = new Set<Pending>();

  constructor(start = Date.UTC(2026, 10, 23)) {
    this.#wall = start;
  }

  now(): EpochMs {
    return this.#wall as EpochMs;
  }

  monotonic(): MonotonicMs {
    return this.#steady as MonotonicMs;
  }

  startTimer(delay: DurationMs, action: () => void): Timer {
    const pending = { due: this.#steady + Math.max(0, delay), action };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  /** Timers that have not fired. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  /** Move both clocks on, firing what falls due in order, and let promise callbacks run after each. */
  async advance(duration: DurationMs): Promise<void> {
    const end = this.#steady + duration;
    for (;;) {
      await settle();
      const next = [...this.#pending].filter(({ due }) => due <= end).sort((one, other) => one.due - other.due)[0];
      if (next === undefined) break;
      this.#pending.delete(next);
      this.#move(Math.max(next.due, this.#steady));
      next.action();
    }
    this.#move(end);
    await settle();
  }

  /** The wall clock alone jumps, as after a correction by NTP. */
  jump(duration: DurationMs): void {
    this.#wall += duration;
  }

  #move(steady: number): void {
    this.#wall += steady - this.#steady;
    this.#steady = steady;
  }
}

/** Lets promise callbacks and finished I/O callbacks run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
