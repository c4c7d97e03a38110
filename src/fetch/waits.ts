/**
 * How long to leave something alone that has failed.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { type DurationMs, milliseconds, minutes, seconds } from '../core/clock.ts';

const WAITS: readonly DurationMs[] = [seconds(2), seconds(5), seconds(15), seconds(30), minutes(1), minutes(2), minutes(5), minutes(10)];
/** Part of a wait that chance may add, so that what failed together does not come back together. */
const JITTER = 0.3;

/**
 * @param failures - In a row; 1 after the first.
 * @param random - In [0, 1).
 */
export function waitAfter(failures: number, random: number): DurationMs {
  const wait = WAITS[Math.min(Math.max(failures, 1), WAITS.length) - 1] ?? minutes(10);
  return milliseconds(wait * (1 + JITTER * random));
}
