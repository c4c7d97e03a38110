/**
 * The part of a report that machines read: fields about the message, then fields about each recipient.
 *
 * Pure. Addresses beyond ASCII are written as they are where the whole part may be UTF-8 (`isGlobal`), else escaped.
 *
 * Source: RFC 3464 §2.2 (fields about the message), §2.3 (about a recipient); RFC 3463 (status codes); RFC 6533 §3, §4 (beyond ASCII).
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import type { QueueId } from '../core/ids.ts';
import { cleanText, formatReply, type Reply } from '../core/reply.ts';
import { formatDateTime } from './date-time.ts';
import { composeField, isAscii } from './field-text.ts';
import { decodeOriginalRecipient, decodeXtext, encodeUnicodeEscapes, type TypedAddress } from './original-recipient.ts';
import type { ReportAction, ReportedRecipient } from './report-plan.ts';

/** What a report says about the message as a whole. */
export interface ReportedMessage {
  /** Our own name, as in the greeting. */
  readonly reportingMta: string;
  /** Of the message reported on. */
  readonly queueId: QueueId;
  readonly arrivedAt?: EpochMs;
  /** As the client gave it, in xtext. */
  readonly envid?: string;
}

/** More lines of a reply than these are no news. */
const MOST_REPLY_LINES = 20;

/** Whole text of the part, each line with its end. */
export function composeStatusFields(message: ReportedMessage, recipients: readonly ReportedRecipient[], isGlobal: boolean): string {
  // RFC 3464 §2.1: a group of fields for the message and one for each recipient, with an empty line between two.
  const groups = [messageFields(message), ...recipients.map((recipient) => recipientFields(recipient, isGlobal))];
  return groups
    .map((fields) => fields.map(([name, value]) => composeField(name, isGlobal ? value : asciiOnly(value))).join(''))
    .join('\r\n');
}

type Field = readonly [name: string, value: string];

function messageFields({ reportingMta, queueId, arrivedAt, envid }: ReportedMessage): Field[] {
  const fields: Field[] = [];
  if (envid !== undefined) fields.push(['Original-Envelope-Id', decodeXtext(envid)]);
  fields.push(['Reporting-MTA', `dns; ${reportingMta}`]);
  if (arrivedAt !== undefined) fields.push(['Arrival-Date', formatDateTime(arrivedAt)]);
  fields.push(['X-Postern-Queue-Id', queueId]);
  return fields;
}

function recipientFields(recipient: ReportedRecipient, isGlobal: boolean): Field[] {
  const { forwardPath, action, reply, remoteMta, lastAttemptAt, willRetryUntil } = recipient;
  const original = forwardPath.orcpt === undefined ? undefined : decodeOriginalRecipient(forwardPath.orcpt);
  const fields: Field[] = [];
  if (original !== undefined) fields.push(['Original-Recipient', typed(original, isGlobal)]);
  const type = isAscii(forwardPath.address) ? 'rfc822' : 'utf-8';
  fields.push(
    ['Final-Recipient', typed({ type, address: forwardPath.address }, isGlobal)],
    ['Action', action],
    ['Status', statusOf(action, reply)],
  );
  if (remoteMta !== undefined) fields.push(['Remote-MTA', `dns; ${remoteMta}`]);
  if (reply !== undefined) fields.push(['Diagnostic-Code', `smtp; ${verbatim(reply)}`]);
  if (lastAttemptAt !== undefined) fields.push(['Last-Attempt-Date', formatDateTime(lastAttemptAt)]);
  if (willRetryUntil !== undefined) fields.push(['Will-Retry-Until', formatDateTime(willRetryUntil)]);
  return fields;
}

/** RFC 6533 §3: an address of type utf-8 in an ASCII report is escaped. */
function typed({ type, address }: TypedAddress, isGlobal: boolean): string {
  return `${type}; ${!isGlobal && type === 'utf-8' ? encodeUnicodeEscapes(address) : address}`;
}

/** The reply's lines as they came, one after the other. */
export function verbatim(reply: Reply): string {
  return formatReply(reply).slice(0, MOST_REPLY_LINES).map(cleanText).join(' ');
}

/**
 * RFC 3464 §2.3.4, RFC 3463 §2: the reply's enhanced code where its class fits the action, else the general one of the class. Mail that is given up
 * keeps the transient code of its last problem (RFC 3463 §3.5, X.4.7: "should be returned rather than this code").
 */
export function statusOf(action: ReportAction, reply: Reply | undefined): string {
  const code = reply?.enhancedCode ?? '';
  const classes = CLASSES[action];
  if (/^[245]\.\d{1,3}\.\d{1,3}$/.test(code) && classes.includes(code.charAt(0))) return code;
  if (action === 'failed') return reply === undefined ? '4.4.7' : `${reply.code >= 500 ? 5 : 4}.0.0`;
  return action === 'delayed' ? '4.0.0' : '2.0.0';
}

const CLASSES: Readonly<Record<ReportAction, string>> = { failed: '45', delayed: '4', relayed: '2' };

const asciiOnly = (text: string): string => text.replace(/[^\u0000-\u007f]/gu, '?');
