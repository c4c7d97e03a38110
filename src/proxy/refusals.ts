/**
 * What an application reads when its mailbox cannot be opened or a session ends: one line, with a code that mail programs know.
 *
 * Pure. Whoever reads it has given the right password, or reads no more than that the service stops; so the cause is told, as it is in the log, without
 * anything secret.
 *
 * Sources: RFC 5530 (IMAP response codes), RFC 2449 §8 and RFC 3206 (POP3).
 *
 * @packageDocumentation
 */
import type { Problem } from '../core/problem.ts';
import { cleanText } from '../core/reply.ts';

/** RFC 2449 §4: a response of POP3 has at most 512 octets. */
const LONGEST = 400;

/** The cause in one printable ASCII line. */
export function tell({ code, cause }: Problem): string {
  const line = cleanText(`${cause} (${code})`).replace(/[^\u0020-\u007e]/g, '?');
  return line.length > LONGEST ? `${line.slice(0, LONGEST - code.length - 4)}... (${code})` : line;
}

/** With brackets. What heals by itself is worth another try; the rest is for the operator. */
export function imapCode({ heals }: Problem): string {
  return heals === 'by-itself' ? '[UNAVAILABLE]' : '[CONTACTADMIN]';
}

/** With brackets. `[AUTH]` would make a mail program ask for another password, so nothing but a wrong local one gets it. */
export function pop3Code({ code, heals }: Problem): string {
  if (code === 'UPSTREAM_MAILBOX_IN_USE' || code === 'CLIENT_TOO_MANY_SESSIONS') return '[IN-USE]';
  return heals === 'by-itself' ? '[SYS/TEMP]' : '[SYS/PERM]';
}
