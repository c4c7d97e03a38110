/**
 * Time as values: durations and moments carry their unit in their type, so that seconds cannot be added to milliseconds.
 *
 * Pure. The clock itself is a port ({@link ./ports/clock.ts}).
 *
 * @packageDocumentation
 */

declare const unit: unique symbol;

/** A length of time in milliseconds. */
export type DurationMs = number & { readonly [unit]: 'DurationMs' };

/** A moment in milliseconds since 1970-01-01T00:00:00Z, as the wall clock gives it. It may jump. */
export type EpochMs = number & { readonly [unit]: 'EpochMs' };

/** A moment on a clock that never jumps and has no meaning outside this process, in milliseconds. */
export type MonotonicMs = number & { readonly [unit]: 'MonotonicMs' };

export const milliseconds = (count: number): DurationMs => count as DurationMs;
export const seconds = (count: number): DurationMs => (count * 1000) as DurationMs;
export const minutes = (count: number): DurationMs => (count * 60_000) as DurationMs;
export const hours = (count: number): DurationMs => (count * 3_600_000) as DurationMs;
export const days = (count: number): DurationMs => (count * 86_400_000) as DurationMs;

/** The moment `duration` after `moment`. */
export function plus<Moment extends EpochMs | MonotonicMs>(moment: Moment, duration: DurationMs): Moment {
  return (moment + duration) as Moment;
}

/** How long `later` is after `earlier`; negative if it is before. */
export function between<Moment extends EpochMs | MonotonicMs>(earlier: Moment, later: Moment): DurationMs {
  return (later - earlier) as DurationMs;
}
