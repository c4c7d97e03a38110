/**
 * The part of a report that people read: what happened, to whom, and what to do.
 *
 * Pure. Every line of it is ours; what others said stands on lines of its own, cleaned, and long lines are wrapped.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import { formatDateTime } from './date-time.ts';
import { type ReportedMessage, verbatim } from './report-fields.ts';
import type { ReportAction, ReportedRecipient, ReportKind } from './report-plan.ts';

const WIDTH = 76;

/** Start of the subject. */
export const SUBJECTS: Readonly<Record<ReportKind, string>> = {
  failure: 'Not delivered',
  delay: 'Delayed',
  success: 'Relayed',
};

const HEADLINES: Readonly<Record<ReportAction, string>> = {
  failed: 'Your message could not be delivered to:',
  delayed: 'Your message has not been delivered yet to:',
  relayed: 'Your message was handed to the mail provider for:',
};

const ADVICE: Readonly<Record<ReportAction, string>> = {
  failed: 'It will not be tried again. Correct what is named above and send the message again, or ask whoever looks after this mail relay.',
  delayed: 'It is tried again by itself. You need not send it again.',
  relayed: 'The provider does not report on deliveries, so this is the last that can be said about it.',
};

/** Whole text of the part, each line with its end. */
export function composeWords(message: ReportedMessage, recipients: readonly ReportedRecipient[], messageId: string | undefined): string {
  const sections = (['failed', 'delayed', 'relayed'] as const).flatMap((action) => {
    const concerned = recipients.filter((recipient) => recipient.action === action);
    return concerned.length === 0 ? [] : [[HEADLINES[action], '', ...concerned.flatMap(describe), ...wrap(ADVICE[action], '')]];
  });
  const lines = [...sections, aboutMessage(message, messageId)].flatMap((section, index) => (index === 0 ? section : ['', ...section]));
  return lines.map((line) => `${line}\r\n`).join('');
}

function describe({ forwardPath, reply, remoteMta, explanation, willRetryUntil }: ReportedRecipient): string[] {
  return [
    ...wrap(forwardPath.address, '  '),
    ...(explanation === undefined ? [] : wrap(explanation, '    ')),
    ...(reply === undefined ? [] : wrap(`${remoteMta ?? 'This relay'} said: ${verbatim(reply)}`, '    ')),
    ...(willRetryUntil === undefined ? [] : wrap(`It is tried until ${formatDateTime(willRetryUntil)}.`, '    ')),
    '',
  ];
}

function aboutMessage({ reportingMta, queueId, arrivedAt }: ReportedMessage, messageId: string | undefined): string[] {
  const rows: [string, string | undefined][] = [
    ['Accepted', moment(arrivedAt)],
    ['Message-ID', messageId],
    ['Queue id', queueId],
    ['Reported by', reportingMta],
  ];
  return rows.flatMap(([label, value]) => (value === undefined ? [] : wrap(`${`${label}:`.padEnd(13)}${value}`, '')));
}

const moment = (at: EpochMs | undefined): string | undefined => (at === undefined ? undefined : formatDateTime(at));

/** Lines of at most {@link WIDTH} characters where spaces allow it; a longer word is cut, so that no line passes what RFC 5322 §2.1.1 allows. */
function wrap(text: string, indent: string): string[] {
  const room = WIDTH - indent.length;
  const lines: string[] = [];
  let line = '';
  for (const word of printable(text).split(' ').flatMap(cut)) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(indent + line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}

const cut = (word: string): string[] => word.match(/.{1,200}/gsu) ?? [''];

/** Controls, separators and marks that turn the direction of text become spaces. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ');
}
