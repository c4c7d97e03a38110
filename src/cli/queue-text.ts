/**
 * The queue in words and columns.
 *
 * Pure. What others have sent is made printable.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import type { QueueChange, QueueItem, QueueItemInFull, QueueListing, QueueRecipient, QueueVerb } from '../core/ports/queue-control.ts';
import { formatReply } from '../core/reply.ts';
import { describeTime } from './report.ts';
import { printable, table } from './table.ts';

const HEADINGS = ['ID', 'AGE', 'SIZE', 'ACCOUNT', 'TRIES', 'NEXT', 'FROM', 'TO', 'LAST'];

/** One line for each message, oldest first. @param isFiltered - Some messages may have been left out. */
export function listingText({ matching, items }: QueueListing, now: EpochMs, isFiltered: boolean): string {
  if (items.length === 0) return isFiltered ? 'No message in the queue matches.\n' : 'The queue is empty.\n';
  const rest = matching - items.length;
  const more = rest === 0 ? '' : `… and ${rest} more: --limit N shows more of them\n`;
  return `${table([HEADINGS, ...items.map((item) => lineOf(item, now))])}${more}`;
}

function lineOf(item: QueueItem, now: EpochMs): string[] {
  const waiting = item.recipients.filter(({ state }) => state === 'pending');
  return [
    item.queueId,
    span(now - Date.parse(item.acceptedAt)),
    sizeText(item.size),
    item.account,
    `${item.attempts}${item.isAmbiguous ? '!' : ''}`,
    nextText(item, now),
    item.reversePath === '' ? '<>' : cut(item.reversePath, 32),
    recipientsText(waiting.length > 0 ? waiting : item.recipients),
    item.hold?.code ?? lastReply(waiting),
  ];
}

function nextText({ nextAttemptAt }: QueueItem, now: EpochMs): string {
  if (nextAttemptAt === undefined) return 'held';
  const wait = Date.parse(nextAttemptAt) - now;
  return wait <= 0 ? 'now' : `in ${span(wait)}`;
}

function recipientsText(recipients: readonly QueueRecipient[]): string {
  const [first] = recipients;
  if (first === undefined) return '';
  return `${cut(first.address, 32)}${recipients.length > 1 ? ` +${recipients.length - 1}` : ''}`;
}

function lastReply(recipients: readonly QueueRecipient[]): string {
  const reply = recipients.find((recipient) => recipient.reply !== undefined)?.reply;
  return reply === undefined ? '' : cut(formatReply(reply).at(-1) ?? '', 60);
}

/** Everything about one message. */
export function itemText(item: QueueItemInFull, now: EpochMs): string {
  const time = (text: string): string => describeTime(Date.parse(text) as EpochMs, now);
  const { hold, nextAttemptAt, subject } = item;
  const facts: string[][] = [
    ['Message', item.queueId],
    ['Account', item.account],
    ['Client', item.client],
    ['Accepted', time(item.acceptedAt)],
    ['From', item.reversePath === '' ? '<> (a report)' : item.reversePath],
    ...(subject === undefined ? [] : [['Subject', subject]]),
    ['Message-ID', item.messageId],
    ['Size', `${item.size} octets`],
    ['Attempts', String(item.attempts)],
    ...(nextAttemptAt === undefined ? [] : [['Next attempt', time(nextAttemptAt)]]),
    ...(hold === undefined
      ? []
      : [
          ['Held', `${time(hold.since)}: ${hold.cause} [${hold.code}]`],
          ['', hold.remedy],
        ]),
    ...(item.isAmbiguous ? [['Ambiguous', 'an attempt broke after the final dot: it may have been delivered already']] : []),
    ...(item.warnedAt === undefined ? [] : [['Delay told', time(item.warnedAt)]]),
  ];
  const recipients = item.recipients.map((recipient) => recipientText(recipient, time)).join('');
  const headers = item.headers.split(/\r\n|\r|\n/).map((line) => `  ${printable(line)}`);
  return `${table(facts)}\nRecipients\n${recipients}\nHeader section\n${headers.join('\n').trimEnd()}\n`;
}

function recipientText({ address, state, reply, at }: QueueRecipient, time: (text: string) => string): string {
  const lines = reply === undefined ? [] : formatReply(reply).map((line) => `    ${printable(line)}\n`);
  return `  ${printable(address)}: ${state === 'pending' ? 'waiting' : state}${at === undefined ? '' : ` ${time(at)}`}\n${lines.join('')}`;
}

const PAST: Readonly<Record<QueueVerb, string>> = { retry: 'due now', hold: 'held', release: 'released', drop: 'dropped' };

/** What was changed, for standard output. */
export function changeText(verb: QueueVerb, { changed }: QueueChange, isServed: boolean): string {
  const what = changed.length === 1 ? `${changed[0] ?? ''}: ${PAST[verb]}` : `${changed.length} messages: ${PAST[verb]}`;
  const isWaiting = changed.length > 0 && !isServed && (verb === 'retry' || verb === 'release');
  return `${what}${isWaiting ? ' (once postern serve runs again)' : ''}\n`;
}

/** `45s`, `12m`, `3h`, `5d`: the larger, the coarser. */
function span(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)}h` : `${Math.round(seconds / 86_400)}d`;
}

/** As the configuration writes sizes. */
function sizeText(octets: number): string {
  if (octets < 1024) return `${octets}B`;
  return octets < 1024 ** 2 ? `${Math.round(octets / 1024)}KB` : `${(octets / 1024 ** 2).toFixed(1)}MB`;
}

const cut = (text: string, length: number): string => (text.length <= length ? text : `${text.slice(0, length - 1)}…`);
