/**
 * What an entry becomes after an attempt: who is through with it, when the rest is tried again, who is told.
 *
 * Pure. A message is given up only after an attempt of it has failed for reasons of its own ({@link afterAttempt}), or after its account has been in
 * trouble for long ({@link givenUp}); its age alone, which a wrong clock may exaggerate, is never enough.
 *
 * @packageDocumentation
 */
import { type DurationMs, type EpochMs, plus } from '../core/clock.ts';
import { type Problem, problem } from '../core/problem.ts';
import { describeReply } from '../core/reply.ts';
import type { AttemptOutcome, Hold, RecipientState, RecipientStatus, SpoolEntry } from '../core/spool-entry.ts';
import { type PlannedReport, planReport, type ReportPolicy } from '../message/report-plan.ts';
import type { Judgement, RecipientOutcome } from './outcome.ts';
import { retryWait } from './retry-schedule.ts';

/** What is known besides the entry. */
export interface SettlementContext {
  readonly now: EpochMs;
  /** Of the entry, see Calendar.age. */
  readonly age: DurationMs;
  /** In [0, 1). */
  readonly random: number;
  readonly policy: ReportPolicy;
  /** NOTIFY and the like went upstream. */
  readonly isDsnPassedOn: boolean;
  /** Host that gave the replies. */
  readonly remoteMta?: string;
  /** What to do about a status, in words for whoever reads the report. */
  readonly explain?: (status: RecipientStatus) => string | undefined;
}

/** An outcome for the spool, with the report that is to be made in the same step. */
export interface Settlement {
  readonly outcome: AttemptOutcome;
  readonly report?: PlannedReport;
  /** Neither delivered nor reported to anybody: what is kept for the operator. */
  readonly deadLetter?: Problem;
  /** Indexes of recipients that were given up now. */
  readonly expired: readonly number[];
}

/** Indexes of the recipients that are still to get the message. */
export function pendingOf(entry: SpoolEntry): number[] {
  return entry.recipients.flatMap(({ status }, index) => (status.kind === 'pending' ? [index] : []));
}

/**
 * After an attempt to deliver to all that were pending.
 *
 * @param judgement - One outcome for each of them, in order.
 */
export function afterAttempt(entry: SpoolEntry, judgement: Judgement, context: SettlementContext): Settlement {
  const pending = pendingOf(entry);
  const outcomes = new Map(judgement.recipients.map((outcome, index) => [pending[index], outcome]));
  const isGivenUp = context.age >= context.policy.giveUpAfter;
  const statuses = entry.recipients.map(({ status }, index) => statusAfter(status, outcomes.get(index), isGivenUp, context.now));
  const at = nextAttemptAt(entry, judgement.recipients, context);
  return settle(entry, statuses, at, judgement.isAmbiguous, context);
}

/** The age of an entry has passed while its account could not submit at all. */
export function givenUp(entry: SpoolEntry, context: SettlementContext): Settlement {
  const statuses = entry.recipients.map(({ status }) => (status.kind === 'pending' ? expired(status, context.now) : status));
  return settle(entry, statuses, entry.nextAttemptAt, false, context);
}

/** Nothing was tried: something about an entry is still to be reported, or somebody has let go of one that is over. */
export function withoutAttempt(entry: SpoolEntry, context: SettlementContext): Settlement {
  const statuses = entry.recipients.map(({ status }) => status);
  return settle(entry, statuses, entry.nextAttemptAt, false, context);
}

/**
 * The same where its report cannot be stored, so that what came of the attempt is recorded all the same. Of whom the report was to tell is left
 * unreported, and the entry stays to have it made later; only news of success, which is owed nobody who waits, is let go.
 *
 * @param at - When the report is tried again, unless the entry is due for other reasons.
 */
export function withoutReport(entry: SpoolEntry, { outcome, expired, report, deadLetter }: Settlement, at: EpochMs): Settlement {
  if (report === undefined) return { outcome, expired, ...(deadLetter === undefined ? {} : { deadLetter }) };
  const statuses = outcome.statuses.map((status, index) => {
    const before = entry.recipients[index]?.status;
    const wasReported = before !== undefined && 'isReported' in before && before.isReported;
    return 'isReported' in status && !wasReported ? { ...status, isReported: false } : status;
  });
  const isOwed = report.recipients.some(({ action }) => action === 'failed');
  const { warnedAt: _, ...rest } = outcome;
  if (!isOwed) return { outcome: rest, expired, ...(deadLetter === undefined ? {} : { deadLetter }) };
  const next = outcome.next.kind === 'retry' ? outcome.next : ({ kind: 'retry', at } as const);
  return { outcome: { ...rest, statuses, next }, expired };
}

function statusAfter(status: RecipientStatus, outcome: RecipientOutcome | undefined, isGivenUp: boolean, now: EpochMs): RecipientStatus {
  switch (outcome?.kind) {
    case undefined:
      return status;
    case 'delivered':
      return { kind: 'delivered', at: now, reply: outcome.reply };
    case 'refused':
      return { kind: 'failed', at: now, reply: outcome.reply, isReported: false };
    case 'retry':
    case 'waits': {
      const before = status.kind === 'pending' ? status.lastReply : undefined;
      const lastReply = outcome.reply ?? before;
      const next: RecipientStatus = { kind: 'pending', ...(lastReply === undefined ? {} : { lastReply }) };
      return isGivenUp && outcome.kind === 'retry' ? expired(next, now) : next;
    }
  }
}

function expired({ lastReply }: Extract<RecipientStatus, { kind: 'pending' }>, at: EpochMs): RecipientStatus {
  return { kind: 'expired', at, ...(lastReply === undefined ? {} : { lastReply }), isReported: false };
}

/** What only waits for its account keeps its place in the queue. */
function nextAttemptAt(entry: SpoolEntry, outcomes: readonly RecipientOutcome[], { now, random }: SettlementContext): EpochMs {
  const retries = outcomes.filter((outcome) => outcome.kind === 'retry');
  if (retries.length === 0) return entry.nextAttemptAt;
  // RFC 5321 §4.5.3.1.10: what was too much for one transaction goes in the next, as long as each one gets somewhere.
  const isProgress = outcomes.some(({ kind }) => kind === 'delivered');
  if (isProgress && retries.every(({ after }) => after === 0)) return now;
  const wait = Math.max(retryWait(entry.attempts + 1, random), ...retries.map(({ after = 0 }) => after));
  return plus(now, wait as DurationMs);
}

function settle(
  entry: SpoolEntry,
  statuses: readonly RecipientStatus[],
  at: EpochMs,
  isAmbiguous: boolean,
  context: SettlementContext,
): Settlement {
  const { now, policy, isDsnPassedOn, remoteMta, explain } = context;
  const about = { ...(remoteMta === undefined ? {} : { remoteMta }), ...(explain === undefined ? {} : { explain }) };
  const plan = planReport({ entry, statuses, now, isDsnPassedOn, ...about }, policy);
  const isOver = plan.statuses.every(({ kind }) => kind !== 'pending');
  const deadLetter = isOver ? deadLetterOf(entry, plan.statuses) : undefined;
  const outcome: AttemptOutcome = {
    statuses: plan.statuses,
    next: nextOf(isOver, at, deadLetter, now),
    isAmbiguous,
    ...(plan.warnedAt === undefined ? {} : { warnedAt: plan.warnedAt }),
  };
  return {
    outcome,
    expired: plan.statuses.flatMap(({ kind }, index) =>
      kind === 'expired' && entry.recipients[index]?.status.kind === 'pending' ? [index] : [],
    ),
    ...(plan.report === undefined ? {} : { report: plan.report }),
    ...(deadLetter === undefined ? {} : { deadLetter }),
  };
}

function nextOf(isOver: boolean, at: EpochMs, deadLetter: Problem | undefined, since: EpochMs): AttemptOutcome['next'] {
  if (!isOver) return { kind: 'retry', at };
  if (deadLetter === undefined) return { kind: 'done' };
  const hold: Hold = { code: deadLetter.code, since, cause: deadLetter.cause };
  return { kind: 'hold', hold };
}

/** Undefined where everybody has got the message, or somebody was told, or nobody wanted to be. */
function deadLetterOf(entry: SpoolEntry, statuses: readonly RecipientStatus[]): Problem | undefined {
  const lost = entry.recipients.flatMap((recipient, index) => {
    const status = statuses[index];
    return status !== undefined && isUntold(entry, recipient, status) ? [{ address: recipient.forwardPath.address, status }] : [];
  });
  const [first] = lost;
  if (first === undefined) return undefined;
  const reply = 'reply' in first.status ? first.status.reply : 'lastReply' in first.status ? first.status.lastReply : undefined;
  const what = first.status.kind === 'expired' ? 'was given up' : 'was refused';
  const others = lost.length === 1 ? '' : ` and ${lost.length - 1} more`;
  const said = reply === undefined ? '' : `: ${describeReply(reply)}`;
  return problem('DEAD_LETTER', `message ${entry.messageId} to <${first.address}>${others} ${what}${said}`);
}

/** RFC 3461 §4.1: who asked for NEVER, or for other reports than of failure, has asked not to be told. A null reverse-path could not ask. */
function isUntold({ reversePath }: SpoolEntry, { forwardPath: { notify } }: RecipientState, status: RecipientStatus): boolean {
  if (status.kind === 'delivered' || status.kind === 'pending' || status.isReported) return false;
  const wanted: readonly string[] | undefined = notify;
  return reversePath === '' || wanted === undefined || wanted.includes('FAILURE');
}
