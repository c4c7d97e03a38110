/**
 * Time and timers, injected so that tests need not wait.
 *
 * @packageDocumentation
 */
import type { DurationMs, EpochMs, MonotonicMs } from '../clock.ts';

/** A timer that has been started. */
export interface Timer {
  /** Never fires after this; harmless when it already has. */
  cancel(): void;
}

/** The clock. Implementations: platform/system-clock.ts; test/support/fake-clock.ts. */
export interface Clock {
  /** Wall clock; may jump forwards and backwards. For what is stored or shown. */
  now(): EpochMs;
  /** Never jumps. For waits and deadlines. */
  monotonic(): MonotonicMs;
  /**
   * Call `action` once, not before `delay` has passed on the monotonic clock.
   *
   * @param options - `isBackground: true` lets the process end while the timer is pending.
   */
  startTimer(delay: DurationMs, action: () => void, options?: { readonly isBackground?: boolean }): Timer;
}
