/**
 * The argument of MAIL FROM and RCPT TO: a path, in the forms RFC 5321 §4.1.2 knows and in those that devices send.
 *
 * Pure and linear. Lenient in what surrounds an address: blanks after the colon and at the end, missing angle brackets, a display name in front, a source
 * route (dropped, RFC 5321 §3.3 and appendix C), dots where there should be none. Strict in the address itself, since it is written to the
 * upstream as it is: what could be read as two addresses, or as another one, is refused. So `@`, `<`, `>` and control characters are
 * refused even inside a quoted local part, and `%` and `!` are letters like any other: nothing is ever routed by them.
 *
 * Deviation: a local part without domain is refused, `postmaster` too (RFC 5321 §4.5.1), since we have no domain to complete it with.
 *
 * @packageDocumentation
 */
import { domainToASCII } from 'node:url';
import { parseIpAddress } from '../core/ip-network.ts';
import { TextCursor } from './text-cursor.ts';

/** A path that can go upstream. */
export interface ParsedPath {
  readonly kind: 'path';
  /** `''` for the null path `<>`. The domain is in ASCII; a quoted local part is unquoted where it need not be quoted. */
  readonly address: string;
  /** The local part has characters beyond ASCII and needs SMTPUTF8 (RFC 6531 §3.4). */
  readonly needsSmtpUtf8: boolean;
  /** What followed the path: extension parameters. */
  readonly rest: string;
}

/** Why there is none, for the reply. */
export interface RefusedPath {
  readonly kind: 'refused';
  readonly why: string;
}

/** RFC 5321 §4.5.3.1 allows 64 octets for a local part and 255 for a domain. */
const LONGEST_ADDRESS = 320;

/** C0, DEL, C1, and characters that print as nothing and so make two addresses look the same. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufffd]/;

/** Parse what follows `MAIL FROM:` or `RCPT TO:`. */
export function parsePath(text: string): ParsedPath | RefusedPath {
  return readPath(new TextCursor(text));
}

/** {@link parsePath} on a cursor that the caller can ask for its steps. */
export function readPath(cursor: TextCursor): ParsedPath | RefusedPath {
  cursor.skipBlanks();
  if (cursor.peek() === '<') return readBracketed(cursor);
  const first = readWord(cursor);
  if (first === undefined) return refused('a quote is not closed');
  if (first.includes('@')) return finish(cursor, parseMailbox(first));
  return readDisplayName(cursor, first);
}

/** `Printer <a@b>`, `"Scan, Room 2" <a@b>`: everything up to the bracket is a name; an address in it would be a second one. */
function readDisplayName(cursor: TextCursor, first: string): ParsedPath | RefusedPath {
  for (let word: string | undefined = first; ; word = readWord(cursor)) {
    if (word === undefined) return refused('a quote is not closed');
    if (word.includes('@')) return refused('more than one address');
    cursor.skipBlanks();
    if (cursor.peek() === '<') return readBracketed(cursor);
    if (cursor.isAtEnd) return refused(first === '' ? 'the address is missing' : 'the address has no domain');
  }
}

/** Characters up to a blank or an opening bracket, quoted strings whole. */
function readWord(cursor: TextCursor): string | undefined {
  let word = '';
  while (!cursor.isAtEnd) {
    const plain = cursor.takeWhile((character) => character !== ' ' && character !== '\t' && character !== '<' && character !== '"');
    word += plain;
    if (cursor.peek() !== '"') return word;
    const quoted = readQuoted(cursor);
    if (quoted === undefined) return undefined;
    word += quoted;
  }
  return word;
}

/** A quoted string with its quotes and escapes; undefined where it does not end. */
function readQuoted(cursor: TextCursor): string | undefined {
  let text = cursor.next();
  while (!cursor.isAtEnd) {
    text += cursor.takeWhile((character) => character !== '"' && character !== '\\');
    if (cursor.take('"')) return `${text}"`;
    text += cursor.next() + cursor.next();
  }
  return undefined;
}

function readBracketed(cursor: TextCursor): ParsedPath | RefusedPath {
  cursor.take('<');
  let inside = '';
  for (;;) {
    inside += cursor.takeWhile((character) => character !== '>' && character !== '"' && character !== '<');
    if (cursor.take('>')) break;
    if (cursor.peek() !== '"') return refused(cursor.isAtEnd ? 'the closing bracket is missing' : 'a bracket stands inside the address');
    const quoted = readQuoted(cursor);
    if (quoted === undefined) return refused('a quote is not closed');
    inside += quoted;
  }
  const address = withoutRoute(inside.trim());
  if (address === '') return finish(cursor, { address: '', needsSmtpUtf8: false });
  return finish(cursor, parseMailbox(address));
}

/** RFC 5321 appendix C: `@one,@two:user@host` SHOULD be read as `user@host`. */
function withoutRoute(path: string): string {
  if (!path.startsWith('@')) return path;
  const colon = path.indexOf(':');
  return colon === -1 ? path : path.slice(colon + 1).trim();
}

function finish(cursor: TextCursor, mailbox: Mailbox | RefusedPath): ParsedPath | RefusedPath {
  if ('why' in mailbox) return mailbox;
  const next = cursor.peek();
  if (next !== '' && next !== ' ' && next !== '\t') return refused('something follows the address without a blank');
  return { kind: 'path', address: mailbox.address, needsSmtpUtf8: mailbox.needsSmtpUtf8, rest: cursor.takeRest().trim() };
}

interface Mailbox {
  readonly address: string;
  readonly needsSmtpUtf8: boolean;
}

function parseMailbox(text: string): Mailbox | RefusedPath {
  if (text.length > LONGEST_ADDRESS / 3 && Buffer.byteLength(text) > LONGEST_ADDRESS) return refused('the address is too long');
  if (UNSAFE.test(text)) return refused('the address holds an invisible or control character');
  const at = text.lastIndexOf('@');
  if (at === -1) return refused('the address has no domain');
  const localPart = parseLocalPart(text.slice(0, at));
  const domain = parseDomain(text.slice(at + 1));
  if (localPart === undefined) return refused('the part before the @ is not valid');
  if (domain === undefined) return refused('the domain is not valid');
  return { address: `${localPart}@${domain}`, needsSmtpUtf8: /[^\u0000-\u007f]/.test(localPart) };
}

/** RFC 5321 §4.1.2 atext, letters beyond ASCII (RFC 6531 §3.3), and dots anywhere. */
const PLAIN_LOCAL_PART = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.\u00a0-\u{10ffff}]+$/u;
const DOT_STRING = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u00a0-\u{10ffff}]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u00a0-\u{10ffff}]+)*$/u;

/** Undefined where it is not one. `"joe"` and `joe` are the same (RFC 5321 §4.1.2) and come out as `joe`, so that policy sees one address. */
function parseLocalPart(text: string): string | undefined {
  if (!text.startsWith('"')) return PLAIN_LOCAL_PART.test(text) ? text : undefined;
  if (text.length < 3 || !text.endsWith('"')) return undefined;
  let content = '';
  for (let index = 1; index < text.length - 1; index += 1) {
    if (text.charAt(index) === '"') return undefined;
    if (text.charAt(index) === '\\') index += 1;
    if (index === text.length - 1) return undefined;
    content += text.charAt(index);
  }
  if (/[<>@]/.test(content)) return undefined;
  return DOT_STRING.test(content) ? content : `"${content.replace(/["\\]/g, '\\$&')}"`;
}

/** Undefined where it is not one. Letters beyond ASCII become their A-label here, once, for policy and upstream alike (RFC 5891 §4.4). */
function parseDomain(text: string): string | undefined {
  if (text.startsWith('[')) return isAddressLiteral(text) ? text : undefined;
  const ascii = /^[\u0000-\u007f]*$/.test(text) && !/(?:^|\.)xn--/i.test(text) ? text : domainToASCII(text);
  return ascii.length <= 255 && HOST_NAME.test(ascii) ? ascii : undefined;
}

/** One label: at most 63 characters. Underscores are no part of a host name and stand in many a Windows machine's. */
const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?';
const HOST_NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);

/** RFC 5321 §4.1.3: `[192.0.2.1]`, `[IPv6:2001:db8::1]`. */
function isAddressLiteral(text: string): boolean {
  const literal = /^\[(IPv6:)?([0-9A-Fa-f:.]+)\]$/i.exec(text);
  const address = literal?.[2] ?? '';
  return parseIpAddress(address) !== undefined && address.includes(':') === (literal?.[1] !== undefined);
}

const refused = (why: string): RefusedPath => ({ kind: 'refused', why });
