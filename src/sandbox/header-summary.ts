/**
 * From, To, Subject and Message-ID of a received message, for showing it and for the sender rules.
 *
 * Pure and bounded: only the first 64 KB are looked at, each value is cut at 500 characters. Values are hostile text; whoever shows them
 * escapes them. Encoded words are decoded (RFC 2047) where they decode, else left as they are.
 *
 * @packageDocumentation
 */

import { decodeEncodedWords } from '../message/encoded-words.ts';

/** `''` for a field that is not there. */
export interface HeaderSummary {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  /** With angle brackets, as in the field. */
  readonly messageId: string;
}

const LOOKED_AT = 64 * 1024;
const LONGEST_VALUE = 500;

export function summarizeHeader(content: Buffer): HeaderSummary {
  const fields = headerFields(content);
  const value = (name: string): string => decodeEncodedWords((fields.get(name) ?? '').slice(0, 8 * LONGEST_VALUE)).slice(0, LONGEST_VALUE);
  return { from: value('from'), to: value('to'), subject: value('subject'), messageId: value('message-id') };
}

/** The address in From, lower-case; undefined where there is none or it cannot be told. */
export function headerFromAddress(content: Buffer): string | undefined {
  const value = (headerFields(content).get('from') ?? '').slice(0, LONGEST_VALUE);
  const bracketed = value.lastIndexOf('<');
  const address = bracketed === -1 ? value : value.slice(bracketed + 1).replace(/>.*$/s, '');
  const trimmed = address.trim().toLowerCase();
  return /^[^\s@,;]+@[^\s@,;]+$/.test(trimmed) ? trimmed : undefined;
}

/** First occurrence of each field, unfolded (RFC 5322 §2.2.3), by lower-case name. */
function headerFields(content: Buffer): Map<string, string> {
  const head = content.subarray(0, LOOKED_AT).toString('utf8');
  const end = /\r?\n\r?\n/.exec(head)?.index ?? head.length;
  const fields = new Map<string, string>();
  for (const line of head
    .slice(0, end)
    .replace(/\r?\n(?=[ \t])/g, '')
    .split(/\r?\n/)) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    if (name !== '' && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}
