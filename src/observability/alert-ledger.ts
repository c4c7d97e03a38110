/**
 * Which alerts are sent: what the operator was told last, per account and topic, and what follows from each observation.
 *
 * Pure: no clock, no I/O.
 *
 * Invariants:
 * 1. What was told is told again only after something else was told in between, or as a reminder after {@link REMIND_AFTER}.
 * 2. `recovered` is told only where trouble was told before, and only on proof that is not older than the trouble.
 * 3. A topic that changes to and fro is told {@link MOST_CHANGES} times in a day, and after that at most once in {@link CALM}; since whoever notices
 *    something says so again and again, what is told last is what is so.
 * 4. A wall clock that was set back counts as no time passed, so it neither repeats alerts nor keeps them back for long.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../core/account.ts';
import type { Alert, AlertTopic, Condition, RecoveryAlert } from '../core/alert.ts';
import { between, type DurationMs, days, type EpochMs, hours } from '../core/clock.ts';

/** Trouble as it was told. */
export interface ToldTrouble extends Pick<Condition, 'mark'>, Pick<RecoveryAlert['was'], 'event' | 'code' | 'since'> {}

/** What the operator knows about one topic of one account. */
export interface LedgerEntry {
  readonly account: AccountName;
  readonly topic: AlertTopic;
  /** Absent once recovery was told. */
  readonly told?: ToldTrouble;
  readonly toldAt: EpochMs;
  /** When the latest alerts were, the oldest first; at most {@link MOST_CHANGES}. */
  readonly recent: readonly EpochMs[];
}

/** What an observation leads to. Without an alert, the entry is the one from before. */
export interface Step {
  readonly entry: LedgerEntry | undefined;
  readonly alert?: Alert;
}

export const REMIND_AFTER: DurationMs = days(1);
export const MOST_CHANGES = 6;
export const CALM: DurationMs = hours(1);
/** Nothing that was not seen for so long is worth keeping. */
const FORGET_AFTER = days(60);

/** The condition was seen. */
export function seen(known: LedgerEntry | undefined, condition: Condition, now: EpochMs): Step {
  const { account, topic, event, problem, mark } = condition;
  const entry = notLater(known, now);
  const told = entry?.told;
  const isSame = told?.event === event && told.code === problem.code && told.mark === mark;
  const isReminder = isSame && isReminded(condition) && entry !== undefined && between(entry.toldAt, now) >= REMIND_AFTER;
  if ((isSame && !isReminder) || !mayTell(entry, now)) return { entry };
  const since = told?.event === event ? told.since : now;
  return {
    entry: next(entry, { account, topic }, now, { event, code: problem.code, since, ...(mark === undefined ? {} : { mark }) }),
    alert: { event, account, topic, at: now, problem, isReminder },
  };
}

/** @param asOf - When the topic was seen to be in order. */
export function cleared(known: LedgerEntry | undefined, asOf: EpochMs, now: EpochMs): Step {
  const entry = notLater(known, now);
  if (entry?.told === undefined || asOf < entry.toldAt || !mayTell(entry, now)) return { entry };
  const { account, topic, told } = entry;
  const { event, code, since } = told;
  return {
    entry: next(entry, { account, topic }, now),
    alert: { event: 'recovered', account, topic, at: now, was: { event, code, since } },
  };
}

/** False where forgetting the entry changes nothing, or is due. */
export function isWorthKeeping({ told, toldAt }: LedgerEntry, now: EpochMs): boolean {
  return between(toldAt, now) < (told === undefined ? REMIND_AFTER : FORGET_AFTER);
}

/** The days before a secret ends are counted down by `mark`; nobody needs to hear the same one twice. */
const isReminded = ({ event }: Condition): boolean => event !== 'secret_expiring';

function mayTell(entry: LedgerEntry | undefined, now: EpochMs): boolean {
  if (entry === undefined || between(entry.toldAt, now) >= CALM) return true;
  const inADay = entry.recent.filter((moment) => between(moment, now) < days(1));
  return inADay.length < MOST_CHANGES;
}

function next(
  before: LedgerEntry | undefined,
  subject: Pick<LedgerEntry, 'account' | 'topic'>,
  now: EpochMs,
  told?: ToldTrouble,
): LedgerEntry {
  const recent = [...(before?.recent ?? []), now].slice(-MOST_CHANGES);
  return { ...subject, toldAt: now, recent, ...(told === undefined ? {} : { told }) };
}

/** Invariant 4. */
function notLater(entry: LedgerEntry | undefined, now: EpochMs): LedgerEntry | undefined {
  if (entry === undefined || entry.toldAt <= now) return entry;
  const capped = (moment: EpochMs): EpochMs => Math.min(moment, now) as EpochMs;
  return { ...entry, toldAt: now, recent: entry.recent.map(capped) };
}
