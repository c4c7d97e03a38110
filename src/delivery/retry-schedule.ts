/**
 * How long a message waits after its second, third, … failure.
 *
 * Pure: the caller draws the random number and keeps the time.
 *
 * Source: RFC 5321 §4.5.4.1 (a retry interval of 30 minutes or more, a give-up time of four to five days). Deviation: the first retries come within
 * seconds and minutes. What defers a submission is mostly a throttle or a server on its way out, not a recipient who is away, and people wait
 * for this mail.
 *
 * @packageDocumentation
 */
import { type DurationMs, hours, milliseconds, minutes, seconds } from '../core/clock.ts';

/** After the first failure, the second, …; the last one repeats. */
const WAITS: readonly DurationMs[] = [seconds(30), minutes(1), minutes(2), minutes(5), minutes(10), minutes(15), minutes(30), hours(1)];
/** Part of a wait that chance may add, so that what failed together is not tried together. */
const JITTER = 0.2;

/** No wait is longer, unless an upstream asks for it. */
export const LONGEST_WAIT: DurationMs = milliseconds(hours(1) * (1 + JITTER));

/**
 * @param failures - So far; 1 after the first.
 * @param random - In [0, 1).
 * @throws RangeError where `failures` is not a positive integer.
 */
export function retryWait(failures: number, random: number): DurationMs {
  if (!Number.isInteger(failures) || failures < 1) throw new RangeError(`not a count of failures: ${failures}`);
  const wait = WAITS[Math.min(failures, WAITS.length) - 1] ?? hours(1);
  return milliseconds(wait * (1 + JITTER * random));
}
