/**
 * How near the end of a secret is, and when that is worth saying.
 *
 * Pure. Days are counted down in steps (30, 14, 7, 1), so that a warning says something new when it changes.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, days, type EpochMs } from '../core/clock.ts';
import { problem } from '../core/problem.ts';
import { type Finding, fail, ok, warn } from './check.ts';
import type { KnownSecret } from './examination.ts';

/** Days before the end at which a warning begins, and gets louder. */
export const WARNING_DAYS = [30, 14, 7, 1] as const;

/** Today's step: the smallest of {@link WARNING_DAYS} that the time left is within; undefined while there is plenty. */
export function warningStep(left: DurationMs): (typeof WARNING_DAYS)[number] | undefined {
  return WARNING_DAYS.findLast((step) => left <= days(step));
}

/** The finding about something that ends at `endsAt`. */
export function judgeEnd(what: string, endsAt: EpochMs, now: EpochMs, remedy?: string): Finding {
  const left = between(now, endsAt);
  const finer = remedy === undefined ? {} : { remedy };
  const date = new Date(endsAt).toISOString().slice(0, 10);
  if (left <= 0) return fail(problem('SECRET_ENDING', `${what} ended on ${date}`, finer));
  const step = warningStep(left);
  if (step === undefined) return ok(`${what} ends on ${date}, in ${daysIn(left)}`);
  const urgency = step === 1 ? 'within a day' : `in ${daysIn(left)}`;
  return warn(problem('SECRET_ENDING', `${what} ends ${urgency} (${date})`, finer));
}

/** The secret that ends first, among those whose end is known. */
export function soonest(secrets: readonly KnownSecret[]): (KnownSecret & { readonly endsAt: EpochMs }) | undefined {
  const ending = secrets.flatMap((secret) => (secret.endsAt === undefined ? [] : [{ ...secret, endsAt: secret.endsAt }]));
  return ending.toSorted((one, other) => one.endsAt - other.endsAt)[0];
}

function daysIn(left: DurationMs): string {
  const count = Math.floor(left / days(1));
  return count === 1 ? '1 day' : `${count} days`;
}
