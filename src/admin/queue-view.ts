/**
 * An entry of the spool as operators see it.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import { plus } from '../core/clock.ts';
import type { QueueFilter, QueueItem, QueueRecipient } from '../core/ports/queue-control.ts';
import { problem } from '../core/problem.ts';
import type { Reply } from '../core/reply.ts';
import type { RecipientState, RecipientStatus, SpoolEntry } from '../core/spool-entry.ts';

/** The entry as a document. */
export function describeEntry(entry: SpoolEntry): QueueItem {
  const { queueId, account, client, acceptedAt, reversePath, messageId, size, recipients, attempts, nextAttemptAt, hold } = entry;
  return {
    queueId,
    account,
    client,
    acceptedAt: moment(acceptedAt),
    reversePath,
    messageId,
    size,
    recipients: recipients.map(describeRecipient),
    attempts,
    ...(hold === undefined ? { nextAttemptAt: moment(nextAttemptAt) } : { hold: describeHold(hold) }),
    isAmbiguous: entry.isAmbiguous,
    ...(entry.warnedAt === undefined ? {} : { warnedAt: moment(entry.warnedAt) }),
  };
}

/** What an entry must be to match; {@link QueueFilter.account} and {@link QueueFilter.isHeld} have been looked at by the spool. */
export function matches(entry: SpoolEntry, { code, olderThan }: QueueFilter, now: EpochMs): boolean {
  if (olderThan !== undefined && plus(entry.acceptedAt, olderThan) > now) return false;
  return code === undefined || entry.hold?.code === code || entry.recipients.some(({ status }) => isWaitingWith(status, code));
}

function isWaitingWith(status: RecipientStatus, code: string): boolean {
  const reply = status.kind === 'pending' ? status.lastReply : undefined;
  return reply !== undefined && (String(reply.code) === code || reply.enhancedCode === code);
}

function describeHold({ code, since, cause }: NonNullable<SpoolEntry['hold']>): NonNullable<QueueItem['hold']> {
  return { code, since: moment(since), cause, remedy: problem(code).remedy };
}

function describeRecipient({ forwardPath, status }: RecipientState): QueueRecipient {
  const reply = replyOf(status);
  return {
    address: forwardPath.address,
    state: status.kind,
    ...(reply === undefined ? {} : { reply }),
    ...(status.kind === 'pending' ? {} : { at: moment(status.at) }),
  };
}

const replyOf = (status: RecipientStatus): Reply | undefined => ('reply' in status ? status.reply : status.lastReply);

const moment = (at: EpochMs): string => new Date(at).toISOString();
