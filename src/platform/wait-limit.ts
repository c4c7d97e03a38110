/**
 * A limit for one wait after another, nearly all of which end long before.
 *
 * One timer that looks when it fires, and is set again for what is left: a timer of its own for each wait would be made and cancelled for nothing, several times a message.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, milliseconds, type MonotonicMs } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';

interface Wait {
  readonly until: MonotonicMs;
  readonly onExpired: () => void;
}

export class WaitLimit {
  readonly #clock: Clock;
  #wait: Wait | undefined;
  #timer: { readonly timer: Timer; readonly firesAt: MonotonicMs } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A wait begins, in place of the one before. */
  begin(limit: DurationMs, onExpired: () => void): void {
    const until = after(this.#clock.monotonic(), limit);
    this.#wait = { until, onExpired };
    if (this.#timer !== undefined && this.#timer.firesAt <= until) return;
    this.#timer?.timer.cancel();
    this.#arm(limit);
  }

  /** What was waited for has come. */
  end(): void {
    this.#wait = undefined;
  }

  /** Nothing is waited for any more. */
  stop(): void {
    this.end();
    this.#timer?.timer.cancel();
    this.#timer = undefined;
  }

  #arm(delay: DurationMs): void {
    // The process lives as long as the connection that is waited at.
    const timer = this.#clock.startTimer(delay, () => this.#look(), { isBackground: true });
    this.#timer = { timer, firesAt: after(this.#clock.monotonic(), delay) };
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#wait === undefined) return;
    const left = between(this.#clock.monotonic(), this.#wait.until);
    if (left > 0) return this.#arm(milliseconds(left));
    const { onExpired } = this.#wait;
    this.#wait = undefined;
    onExpired();
  }
}

const after = (moment: MonotonicMs, delay: DurationMs): MonotonicMs => (moment + delay) as MonotonicMs;
