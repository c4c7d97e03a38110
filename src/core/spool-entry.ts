/**
 * A spool entry as a value: an accepted message, what has become of each recipient, and when to try again.
 *
 * Pure. Entries are immutable; each change makes a new one, by the functions here, so that every spool implementation changes them in the same
 * way. Who may change an entry, and when a change is durable, is the port's business ({@link ./ports/spool.ts}).
 *
 * Source: RFC 5321 §4.5.4 (a queued message is tried recipient by recipient), §4.2.5 (a 2yz passes responsibility on: never sent again).
 *
 * @packageDocumentation
 */
import type { AccountName } from './account.ts';
import type { EpochMs } from './clock.ts';
import type { Envelope, ForwardPath, MailParameters, ReversePath } from './envelope.ts';
import type { QueueId } from './ids.ts';
import type { Octets } from './octets.ts';
import type { ProblemCode } from './problem.ts';
import type { Reply } from './reply.ts';

/**
 * What has become of one recipient. `pending` becomes one of the others exactly once; after that only `isReported` may still turn true.
 * `delivered` means that the upstream has said 2yz. `failed`: it has said no for good. `expired`: we have given up.
 */
export type RecipientStatus =
  | { readonly kind: 'pending'; readonly lastReply?: Reply }
  | { readonly kind: 'delivered'; readonly at: EpochMs; readonly reply: Reply }
  | { readonly kind: 'failed'; readonly at: EpochMs; readonly reply: Reply; readonly isReported: boolean }
  | { readonly kind: 'expired'; readonly at: EpochMs; readonly lastReply?: Reply; readonly isReported: boolean };

/** One recipient of an entry. */
export interface RecipientState {
  readonly forwardPath: ForwardPath;
  readonly status: RecipientStatus;
}

/** Why an entry waits for somebody to act, in place of a time. */
export interface Hold {
  readonly code: ProblemCode;
  readonly since: EpochMs;
  /** One line for the operator; never a secret. */
  readonly cause: string;
}

/** What is known of a message when it is accepted, apart from its content. */
export interface NewMessage extends Envelope {
  readonly queueId: QueueId;
  readonly account: AccountName;
  /** Name of the client that submitted it. */
  readonly client: string;
  readonly acceptedAt: EpochMs;
  /** Of the content; with angle brackets. */
  readonly messageId: string;
  /** The application's `traceparent`, so that later attempts belong to its trace (core/trace-parent.ts). */
  readonly traceParent?: string;
  readonly nextAttemptAt: EpochMs;
  /** One for each forward-path, where the message was already tried before it was spooled; else all are pending. */
  readonly statuses?: readonly RecipientStatus[];
  /** Tries before it was spooled; else 0. */
  readonly attempts?: number;
  /** The try before it was spooled broke after the final dot: it may have been delivered. */
  readonly isAmbiguous?: boolean;
  readonly hold?: Hold;
}

/** An accepted message. */
export interface SpoolEntry {
  readonly queueId: QueueId;
  readonly account: AccountName;
  readonly client: string;
  readonly acceptedAt: EpochMs;
  readonly reversePath: ReversePath;
  readonly parameters: MailParameters;
  readonly messageId: string;
  readonly traceParent?: string;
  /** Of the content in wire form. */
  readonly size: Octets;
  /** In the order of the envelope; never more or fewer. */
  readonly recipients: readonly RecipientState[];
  readonly attempts: number;
  readonly nextAttemptAt: EpochMs;
  /** Present: not tried until it is taken away, whatever `nextAttemptAt` says. */
  readonly hold?: Hold;
  /** Once true, always true: some attempt may have delivered it without our knowing, so the next one may deliver it twice. */
  readonly isAmbiguous: boolean;
  /** When a delay was reported to the reverse-path. */
  readonly warnedAt?: EpochMs;
}

/** What an attempt, or the decision not to make another one, came to. */
export interface AttemptOutcome {
  /** One for each recipient, in the entry's order. */
  readonly statuses: readonly RecipientStatus[];
  /** `done` takes the entry out of the spool; no recipient may be pending then. */
  readonly next:
    | { readonly kind: 'retry'; readonly at: EpochMs }
    | { readonly kind: 'hold'; readonly hold: Hold }
    | { readonly kind: 'done' };
  /** The connection was lost between the final dot and the reply. */
  readonly isAmbiguous?: boolean;
  readonly warnedAt?: EpochMs;
}

/**
 * The entry that `message` becomes.
 *
 * @throws RangeError where statuses and forward-paths do not match, or there is no forward-path.
 */
export function newEntry(message: NewMessage, size: Octets): SpoolEntry {
  const { forwardPaths, statuses = forwardPaths.map((): RecipientStatus => ({ kind: 'pending' })) } = message;
  if (forwardPaths.length === 0) throw new RangeError('a message needs at least one forward-path');
  return {
    queueId: message.queueId,
    account: message.account,
    client: message.client,
    acceptedAt: message.acceptedAt,
    reversePath: message.reversePath,
    parameters: message.parameters,
    messageId: message.messageId,
    ...(message.traceParent === undefined ? {} : { traceParent: message.traceParent }),
    size,
    recipients: recipientsOf(forwardPaths, statuses),
    attempts: message.attempts ?? 0,
    nextAttemptAt: message.nextAttemptAt,
    isAmbiguous: message.isAmbiguous ?? false,
    ...(message.hold === undefined ? {} : { hold: message.hold }),
  };
}

/**
 * The entry after an attempt; undefined where that was the last. A hold that was placed while the attempt ran stays.
 *
 * @throws RangeError where the outcome does not fit the entry: a wrong number of statuses, a final status changed, or `done` with a recipient
 * still pending, which would lose mail.
 */
export function afterAttempt(entry: SpoolEntry, outcome: AttemptOutcome): SpoolEntry | undefined {
  const { statuses, next } = outcome;
  entry.recipients.forEach(({ status }, index) => requireSuccessor(status, statuses[index]));
  const recipients = recipientsOf(
    entry.recipients.map(({ forwardPath }) => forwardPath),
    statuses,
  );
  if (next.kind === 'done') {
    if (statuses.some(({ kind }) => kind === 'pending')) throw new RangeError(`${entry.queueId}: not done while a recipient is pending`);
    return undefined;
  }
  const warnedAt = outcome.warnedAt ?? entry.warnedAt;
  const hold = next.kind === 'hold' ? next.hold : entry.hold;
  return {
    ...entry,
    recipients,
    attempts: entry.attempts + 1,
    nextAttemptAt: next.kind === 'retry' ? next.at : entry.nextAttemptAt,
    isAmbiguous: entry.isAmbiguous || outcome.isAmbiguous === true,
    ...(hold === undefined ? {} : { hold }),
    ...(warnedAt === undefined ? {} : { warnedAt }),
  };
}

/** The entry, waiting for somebody to act. */
export function onHold(entry: SpoolEntry, hold: Hold): SpoolEntry {
  return { ...entry, hold };
}

/** The entry, waiting for its time again; or due at `now`, where that is given. */
export function withoutHold(entry: SpoolEntry, now?: EpochMs): SpoolEntry {
  const { hold: _, ...rest } = entry;
  return now === undefined ? rest : { ...rest, nextAttemptAt: now };
}

/**
 * An operator wants it tried again. Of a dead letter, whoever has not got it and was told of nothing is tried again; whose report has gone out stays as
 * reported.
 */
export function triedAgain(entry: SpoolEntry, now: EpochMs): SpoolEntry {
  const freed = withoutHold(entry, now);
  return entry.hold?.code === 'DEAD_LETTER' ? { ...freed, recipients: entry.recipients.map(revived) } : freed;
}

function revived({ forwardPath, status }: RecipientState): RecipientState {
  if (status.kind === 'pending' || status.kind === 'delivered' || status.isReported) return { forwardPath, status };
  const lastReply = status.kind === 'failed' ? status.reply : status.lastReply;
  return { forwardPath, status: { kind: 'pending', ...(lastReply === undefined ? {} : { lastReply }) } };
}

function recipientsOf(forwardPaths: readonly ForwardPath[], statuses: readonly RecipientStatus[]): RecipientState[] {
  if (statuses.length !== forwardPaths.length) throw new RangeError(`${statuses.length} statuses for ${forwardPaths.length} recipients`);
  return forwardPaths.flatMap((forwardPath, index) => {
    const status = statuses[index];
    return status === undefined ? [] : [{ forwardPath, status }];
  });
}

/** Pending may become anything; what is final may only become reported. */
function requireSuccessor(before: RecipientStatus, after: RecipientStatus | undefined): void {
  if (after === undefined || before.kind === 'pending') return;
  const isUnreported = 'isReported' in after && 'isReported' in before && before.isReported && !after.isReported;
  if (after.kind !== before.kind || isUnreported) throw new RangeError(`a recipient cannot become ${after.kind} after ${before.kind}`);
}
