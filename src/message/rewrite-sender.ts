/**
 * A header section in which the account's mailbox takes the place of senders that the client may not use (`onOtherSender: rewrite`).
 *
 * - `From` names the mailbox; the display name stays. Of several From fields one is left.
 * - `X-Original-From` keeps each old value, octet by octet.
 * - `Reply-To` gets the old value where there is none and the old value is an address, so that answers go where they went before.
 * - `Sender` with a foreign address becomes `X-Original-Sender`; a new one names the mailbox, unless From does (RFC 5322 §3.6.2: SHOULD NOT then).
 *
 * New fields stand where the old From stood; every other octet stays what and where it was. A signature over From (DKIM, RFC 6376 §5.4: it always
 * is signed) is broken by this, which cannot be otherwise.
 *
 * Pure. Values are moved, not rebuilt, and the display name is put together from tokens, so that nothing in them can begin another field.
 *
 * Source: RFC 5322 §3.4 (display names), §3.6.2 (originator fields); RFC 6409 §8.1 (a submission server MAY rewrite addresses).
 *
 * @packageDocumentation
 */
import { parseAddressList } from './address-list.ts';
import { type AddressToken, tokenizeAddresses } from './address-tokens.ts';
import { angleAddress } from './field-text.ts';
import { HeaderSection, type RawField } from './header-section.ts';

/** Which fields name somebody that the client may not use. */
export interface ForeignFields {
  readonly isFromForeign: boolean;
  readonly isSenderForeign: boolean;
}

/** A longer display name is left out; the field has to fit into a line (RFC 5322 §2.1.1). */
const LONGEST_NAME = 500;
const USUAL_LINE = 78;
const CRLF = Buffer.from('\r\n');

/**
 * The section with other senders. The same where nothing in it is foreign.
 *
 * @param mailbox - From the configuration: an address without control characters.
 */
export function rewriteSender(headers: HeaderSection, mailbox: string, foreign: ForeignFields): HeaderSection {
  const pieces: Uint8Array[] = [];
  let length = 0;
  let isFirstFrom = true;
  for (const field of headers.fields()) {
    length += field.raw.length;
    if (field.name === 'from' && foreign.isFromForeign) {
      if (isFirstFrom) pieces.push(newFrom(field, headers, mailbox), replyTo(field, headers));
      pieces.push(renamed('X-Original-From', field));
      isFirstFrom = false;
    } else if (field.name === 'sender' && foreign.isSenderForeign) {
      if (!foreign.isFromForeign) pieces.push(Buffer.from(`Sender: ${angleAddress(mailbox)}\r\n`));
      pieces.push(renamed('X-Original-Sender', field));
    } else pieces.push(field.raw);
  }
  pieces.push(headers.raw.subarray(length));
  return new HeaderSection(Buffer.concat(pieces), headers.ending, headers.hasMailboxLine);
}

function newFrom(field: RawField, headers: HeaderSection, mailbox: string): Uint8Array {
  const name = headers.count('From') === 1 ? displayName(field) : undefined;
  const address = angleAddress(mailbox);
  if (name === undefined) return Buffer.from(`From: ${address}\r\n`);
  const gap = `From: ${name} ${address}`.length > USUAL_LINE ? '\r\n ' : ' ';
  return Buffer.concat([Buffer.from(`From: ${name}${gap}`, 'latin1'), Buffer.from(`${address}\r\n`)]);
}

/** Empty where there is a Reply-To, or where the old From is no address to answer to: devices send `From: scanner`. */
function replyTo(field: RawField, headers: HeaderSection): Uint8Array {
  if (headers.has('Reply-To') || headers.count('From') !== 1) return new Uint8Array(0);
  const { addresses, isMalformed } = parseAddressList(unfolded(field));
  return isMalformed || addresses.length === 0 ? new Uint8Array(0) : renamed('Reply-To', field);
}

function renamed(name: string, { value }: RawField): Uint8Array {
  return Buffer.concat([Buffer.from(`${name}:`), value, CRLF]);
}

/** Each octet a character, so that a name in any character set comes out as it went in (RFC 5322 §2.2.3: unfolding drops CR and LF). */
function unfolded({ value }: RawField): string {
  return Buffer.from(value)
    .toString('latin1')
    .replace(/[\r\n]+/g, '');
}

/** What stands before the address; undefined where there is nothing, or more than one address. */
function displayName(field: RawField): string | undefined {
  const value = unfolded(field);
  const { addresses, isMalformed } = parseAddressList(value);
  if (isMalformed || addresses.length !== 1) return undefined;
  const { tokens } = tokenizeAddresses(value);
  const open = tokens.findIndex(({ kind, text }) => kind === 'special' && text === '<');
  const words = tokens.slice(0, Math.max(0, open));
  if (words.length === 0 || !words.every(isWord)) return undefined;
  const name = writePhrase(words);
  return name.length > LONGEST_NAME ? undefined : name;
}

const isWord = ({ kind, text }: AddressToken): boolean => kind === 'atom' || kind === 'quoted' || (kind === 'special' && text === '.');

/** Quoted as a whole where a dot makes it obsolete syntax (RFC 5322 §4.1); encoded words must not be quoted (RFC 2047 §5). */
function writePhrase(words: readonly AddressToken[]): string {
  const isDotted = words.some(({ kind }) => kind === 'special');
  const isEncoded = words.some(({ kind, text }) => kind === 'atom' && text.startsWith('=?'));
  if (isDotted && !isEncoded) return quote(spaced(words, ({ text }) => text));
  return spaced(words, ({ kind, text }) => (kind === 'quoted' ? quote(text) : text));
}

function spaced(words: readonly AddressToken[], write: (word: AddressToken) => string): string {
  return words.map((word, index) => (index > 0 && word.isSpaced ? ` ${write(word)}` : write(word))).join('');
}

const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;
