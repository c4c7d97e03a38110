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

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/**
 * The moment in UTC: `Mon, 23 Nov 2026 09:05:07 +0000`. `+0000` says that UTC is meant; `-0000` would say that the zone is unknown.
 *
 * @throws RangeError outside the years 1900 (RFC 5322 §3.3 has none before it) to 9999.
 */
export function formatDateTime(moment: EpochMs): string {
  const date = new Date(moment);
  const year = date.getUTCFullYear();
  if (!(year >= 1900 && year <= 9999)) throw new RangeError(`no date-time for ${moment}`);
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(twoDigits).join(':');
  return `${DAYS[date.getUTCDay()]}, ${twoDigits(date.getUTCDate())} ${MONTHS[date.getUTCMonth()]} ${year} ${time} +0000`;
}

function twoDigits(count: number): string {
  return String(count).padStart(2, '0');
}
