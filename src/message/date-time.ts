/**
 * Moments as header fields write them.
 *
 * Pure.
 *
 * Source: RFC 5322 §3.3.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';

/**
 * The moment in UTC: `Mon, 23 Nov 2026 09:05:07 +0000`. `+0000` says that UTC is meant; `-0000` would say that the zone is unknown.
 *
 * @throws RangeError outside the years 1900 (RFC 5322 §3.3 has none before it) to 9999.
 */
export function formatDateTime(moment: EpochMs): string {
  const date = new Date(moment);
  const year = date.getUTCFullYear();
  if (!(year >= 1900 && year <= 9999)) throw new RangeError(`no date-time for ${moment}`);
  return date.toUTCString().replace('GMT', '+0000'); // ECMA-262 §21.4.4.43: the same form, but for the zone.
}
