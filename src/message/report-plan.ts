/**
 * Whether an attempt calls for a report (DSN), to whom, and about which recipients.
 *
 * Pure. The delivery calls {@link planReport} with what came of an attempt, or of giving up, before it settles it. There is at most one report for
 * a message at a time: RFC 3464 §2.3.3 lets each recipient in it have an action of its own. Then:
 *
 * 1. `plan.statuses` and `plan.warnedAt` go into the `AttemptOutcome`.
 * 2. Where there is a `plan.report`: read the original with {@link ./dsn.ts | readOriginal}, compose with {@link ./dsn.ts | composeReport} into a
 *    draft opened with `isReport: true`, and settle with `{ draft, message }`, whose envelope {@link ./dsn.ts | reportEnvelope} gives.
 *
 * So a report and the fact that it was made become durable together, and a recipient is reported once.
 *
 * Source: RFC 3461 §4.1 (NOTIFY), §5.2.2 (relaying to an MTA without DSN), §6.1 (never about a null reverse-path); RFC 3464 §2.3.3 (actions).
 *
 * @packageDocumentation
 */
import { type DurationMs, type EpochMs, plus } from '../core/clock.ts';
import type { ForwardPath, ReversePath } from '../core/envelope.ts';
import type { Octets } from '../core/octets.ts';
import type { Reply } from '../core/reply.ts';
import type { RecipientState, RecipientStatus, SpoolEntry } from '../core/spool-entry.ts';

/** What a report is about as a whole; the gravest of its recipients decides. */
export type ReportKind = 'failure' | 'delay' | 'success';

/** RFC 3464 §2.3.3. `relayed`: handed to an upstream that sends no reports of its own. */
export type ReportAction = 'failed' | 'delayed' | 'relayed';

/** Who gets reports: the reverse-path, the mailbox of the account in its place, or nobody. */
export type ReportsTo = 'sender' | 'operator' | 'off';

/** One recipient in a report. */
export interface ReportedRecipient {
  readonly forwardPath: ForwardPath;
  readonly action: ReportAction;
  /** The last reply, verbatim. */
  readonly reply?: Reply;
  /** Host that gave `reply`; absent where it is ours. */
  readonly remoteMta?: string;
  readonly lastAttemptAt?: EpochMs;
  /** With `delayed`. */
  readonly willRetryUntil?: EpochMs;
  /** For the person who reads it: what happened and what to do. */
  readonly explanation?: string;
}

/** What came of an attempt. */
export interface ReportableAttempt {
  /** Before the attempt is settled. */
  readonly entry: SpoolEntry;
  /** After the attempt, one for each recipient, in the entry's order. */
  readonly statuses: readonly RecipientStatus[];
  readonly now: EpochMs;
  /** NOTIFY, ORCPT, RET and ENVID went upstream, so that the upstream reports success itself. */
  readonly isDsnPassedOn: boolean;
  /** When the last attempt was made; `now` unless told. */
  readonly lastAttemptAt?: EpochMs;
  /** Host that gave the replies; left out where they are ours. */
  readonly remoteMta?: string;
  /** Cause and remedy of a problem, in words for whoever reads the report. */
  readonly explain?: (status: RecipientStatus) => string | undefined;
}

/** How reports are wanted. */
export interface ReportPolicy {
  readonly to: ReportsTo;
  /** The account's mailbox. */
  readonly mailbox: string;
  readonly warnAfter: DurationMs;
  readonly giveUpAfter: DurationMs;
  /** Larger content is not returned whole, even with RET=FULL. */
  readonly wholeLimit: Octets;
}

/** A report to be composed. */
export interface PlannedReport {
  readonly kind: ReportKind;
  /** Its only recipient. */
  readonly to: ReversePath;
  /** Return the whole content, not the header section alone. */
  readonly isWhole: boolean;
  readonly recipients: readonly [ReportedRecipient, ...ReportedRecipient[]];
}

/** What {@link planReport} decides. */
export interface ReportPlan {
  /** Those given, with `isReported` set where the report tells of them. */
  readonly statuses: readonly RecipientStatus[];
  /** The report tells of a delay. */
  readonly warnedAt?: EpochMs;
  readonly report?: PlannedReport;
}

/** Decide about a report. */
export function planReport(attempt: ReportableAttempt, policy: ReportPolicy): ReportPlan {
  const { entry, statuses, now } = attempt;
  const actions = entry.recipients.map((recipient, index) => actionFor(recipient, statuses[index], attempt, policy));
  const [first, ...rest] = entry.recipients.flatMap((recipient, index) => {
    const action = actions[index];
    const status = statuses[index];
    return action === undefined || status === undefined ? [] : [reported(recipient.forwardPath, action, status, attempt, policy)];
  });
  if (first === undefined) return { statuses };
  const kind = kindOf(actions);
  return {
    statuses: statuses.map((status, index) =>
      actions[index] === 'failed' && 'isReported' in status ? { ...status, isReported: true } : status,
    ),
    ...(actions.includes('delayed') ? { warnedAt: now } : {}),
    report: {
      kind,
      to: policy.to === 'operator' ? policy.mailbox : entry.reversePath,
      // RFC 3461 §4.3: RET is about reports of failure; the others return the header section only.
      isWhole: kind === 'failure' && entry.parameters.ret === 'FULL' && entry.size <= policy.wholeLimit,
      recipients: [first, ...rest],
    },
  };
}

/**
 * Whether anybody is told of this kind of event for this recipient.
 *
 * Never where the reverse-path is null (RFC 5321 §4.5.5, RFC 3461 §6.1): the message is a report itself, or wants none. The operator is not told
 * either then, since our own reports come from the null reverse-path and would be reported without end.
 */
export function shouldReport(
  about: { readonly reversePath: ReversePath; readonly notify?: ForwardPath['notify'] },
  kind: ReportKind,
  to: ReportsTo,
): boolean {
  if (to === 'off' || about.reversePath === '') return false;
  // RFC 3461 §4.1: without NOTIFY, failure is reported and delay may be; success never unasked.
  const wanted: readonly string[] = about.notify ?? ['FAILURE', 'DELAY'];
  return wanted.includes(KEYWORDS[kind]);
}

const KEYWORDS = { failure: 'FAILURE', delay: 'DELAY', success: 'SUCCESS' } as const;
const KINDS = { failed: 'failure', delayed: 'delay', relayed: 'success' } as const;

/** What is to be said of a recipient; undefined: nothing. */
function actionFor(
  recipient: RecipientState,
  status: RecipientStatus | undefined,
  attempt: ReportableAttempt,
  policy: ReportPolicy,
): ReportAction | undefined {
  const action = status === undefined ? undefined : newsOf(recipient.status, status, attempt, policy);
  if (action === undefined) return undefined;
  const { reversePath } = attempt.entry;
  const { notify } = recipient.forwardPath;
  return shouldReport({ reversePath, ...(notify === undefined ? {} : { notify }) }, KINDS[action], policy.to) ? action : undefined;
}

/** What has not been told of a recipient yet. */
function newsOf(
  before: RecipientStatus,
  after: RecipientStatus,
  { entry, now, isDsnPassedOn }: ReportableAttempt,
  { warnAfter }: ReportPolicy,
): ReportAction | undefined {
  switch (after.kind) {
    case 'failed':
    case 'expired':
      return after.isReported ? undefined : 'failed';
    case 'delivered':
      return before.kind === 'pending' && !isDsnPassedOn ? 'relayed' : undefined;
    default:
      return entry.warnedAt === undefined && now >= plus(entry.acceptedAt, warnAfter) ? 'delayed' : undefined;
  }
}

function reported(
  forwardPath: ForwardPath,
  action: ReportAction,
  status: RecipientStatus,
  attempt: ReportableAttempt,
  policy: ReportPolicy,
): ReportedRecipient {
  const { entry, now, lastAttemptAt, remoteMta } = attempt;
  const reply = 'reply' in status ? status.reply : status.lastReply;
  const explanation = attempt.explain?.(status);
  return {
    forwardPath,
    action,
    ...(reply === undefined ? {} : { reply }),
    ...(reply === undefined || remoteMta === undefined ? {} : { remoteMta }),
    lastAttemptAt: lastAttemptAt ?? now,
    ...(action === 'delayed' ? { willRetryUntil: plus(entry.acceptedAt, policy.giveUpAfter) } : {}),
    ...(explanation === undefined ? {} : { explanation }),
  };
}

function kindOf(actions: readonly (ReportAction | undefined)[]): ReportKind {
  if (actions.includes('failed')) return 'failure';
  return actions.includes('delayed') ? 'delay' : 'success';
}
