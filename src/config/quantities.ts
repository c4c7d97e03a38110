/**
 * Durations and sizes as people write them: `15s`, `4h`, `35MB`.
 *
 * Pure. One number and one unit; a bare number is refused, since nobody can tell whether 30 means seconds or minutes, octets or megabytes.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { Octets } from '../core/octets.ts';

const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** Powers of 1024, as mail servers count (Exchange's 35 MB is 36,700,160 octets). */
const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };

/** At most nine digits before the point: larger numbers are slips of the finger. */
export const DURATION_PATTERN = /^\d{1,9}(\.\d{1,3})? ?(ms|s|min|m|h|d)$/;

/** Units are accepted in lower case too. */
export const SIZE_PATTERN = /^\d{1,9}(\.\d{1,3})? ?([KkMmGgTt]?[Bb])$/;

/** @param text - Matches {@link DURATION_PATTERN}. */
export function parseDuration(text: string): DurationMs {
  return Math.round(count(text) * (DURATION_UNITS[unit(text)] ?? Number.NaN)) as DurationMs;
}

/** @param text - Matches {@link SIZE_PATTERN}. */
export function parseSize(text: string): Octets {
  return Math.round(count(text) * (SIZE_UNITS[unit(text).toUpperCase()] ?? Number.NaN)) as Octets;
}

const count = (text: string): number => Number.parseFloat(text);
const unit = (text: string): string => text.replace(/^[\d. ]+/, '');
