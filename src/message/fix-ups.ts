/**
 * The header fields that we add to a submitted message. Everything else of it stays as it came.
 *
 * - `Received`, always (RFC 5321 §4.4: MUST).
 * - `Date`, where the message has none (RFC 6409 §8.2: MAY; RFC 5322 §3.6 requires one).
 * - `Message-ID`, where the message has none (RFC 6409 §8.3: SHOULD).
 *
 * All of them go to the top, before the application's own fields: there they cannot be folded into, or swallowed by, a malformed header section,
 * and no octet of that has to be understood to place them. A field that is there but malformed counts as there: it is the application's.
 *
 * Deviation from RFC 5321 §4.4: the `from` clause names the client as configured, neither the name it gave in EHLO nor its address, which are
 * details of a private network that recipients have no use for; the queue id leads the operator to both, in the log. Recipients are not listed
 * (`for`), since that would show one recipient to another.
 *
 * Pure. Each value is reduced to characters that cannot end a field or begin another.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import type { QueueId } from '../core/ids.ts';
import { formatDateTime } from './date-time.ts';
import type { HeaderSection } from './header-section.ts';

/** How a message came in, for the `with` clause: RFC 5321, RFC 3848, and RFC 6531 §4.3 with SMTPUTF8. */
export type SubmissionProtocol = 'SMTP' | 'ESMTP' | 'ESMTPS' | 'ESMTPA' | 'ESMTPSA' | 'UTF8SMTP' | 'UTF8SMTPS' | 'UTF8SMTPA' | 'UTF8SMTPSA';

/** What `Received` says. */
export interface ReceivedTrace {
  /** Name of the client in the configuration. */
  readonly client: string;
  readonly protocol: SubmissionProtocol;
  /** Our own name, as in the greeting. */
  readonly hostname: string;
  readonly queueId: QueueId;
}

/** What is added where it is missing. Fixed once, at acceptance, so that every attempt sends the same octets. */
export interface FixUps {
  readonly received: ReceivedTrace;
  /** Moment of acceptance, for `Received` and `Date`. */
  readonly date: EpochMs;
  /** With angle brackets; asked for once, and only where the message has no Message-ID. See {@link ./message-id.ts | composeMessageId}. */
  readonly newMessageId: () => string;
}

/**
 * Name the protocol of a session.
 *
 * @param session - `isExtended`: EHLO was said, not HELO. TLS and AUTH belong to ESMTP, so either makes it that even after HELO.
 */
export function submissionProtocol(session: {
  readonly isExtended: boolean;
  readonly isTls: boolean;
  readonly isAuthenticated: boolean;
  readonly isSmtpUtf8: boolean;
}): SubmissionProtocol {
  const { isExtended, isTls, isAuthenticated, isSmtpUtf8 } = session;
  if (!isExtended && !isTls && !isAuthenticated && !isSmtpUtf8) return 'SMTP';
  return `${isSmtpUtf8 ? 'UTF8SMTP' : 'ESMTP'}${isTls ? 'S' : ''}${isAuthenticated ? 'A' : ''}`;
}

/**
 * The octets to put before the header section: whole fields, each ending in CRLF.
 *
 * Where the section begins with the separator line of an mbox file, the last thing added is a field name for that line: its text is kept, and the
 * fields after it stay fields.
 *
 * @param newMessageId - To be added; sanitised. Undefined where the section has one.
 */
export function composeFixUps(headers: HeaderSection, { received, date }: FixUps, newMessageId: string | undefined): Uint8Array {
  const moment = formatDateTime(date);
  let fields =
    `Received: from ${domainLike(received.client)} (client of Postern)\r\n` +
    `\tby ${domainLike(received.hostname)} (Postern) with ${received.protocol} id ${domainLike(received.queueId)};\r\n` +
    `\t${moment}\r\n`;
  if (!headers.has('Date')) fields += `Date: ${moment}\r\n`;
  if (newMessageId !== undefined) fields += `Message-ID: ${newMessageId}\r\n`;
  if (headers.hasMailboxLine) fields += 'X-Mailbox-Line: ';
  return Buffer.from(fields, 'latin1');
}

/** The text as a domain of letters, digits and hyphens (RFC 5321 §4.1.2), at most 255 characters; `unknown` where nothing is left. */
function domainLike(text: string): string {
  if (text.length <= 255 && DOMAIN.test(text)) return text; // As names usually are.
  const labels = text
    .slice(0, 255)
    .replace(/[^A-Za-z0-9.-]+/g, '-')
    .split('.')
    .map((label) => label.replace(/^-+|-+$/g, ''));
  return labels.filter((label) => label !== '').join('.') || 'unknown';
}

/** Labels with a dot between each two, none of them empty or with a hyphen at an end. */
const DOMAIN = /^[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*(?:\.[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*)*$/;
