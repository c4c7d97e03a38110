/**
 * The subject of a message as a text for people: decoded, on one line, bounded, and without characters that could make it look like something else.
 *
 * Pure; never throws, whatever the field holds.
 *
 * Source: RFC 5322 §3.6.5 (Subject), §2.2.3 (folding); RFC 2047 (encoded words); UAX #9 §2 (controls that change the order of text).
 *
 * @packageDocumentation
 */
import { LONGEST_SUBJECT } from '../core/ports/message-notes.ts';
import { decodeUnnamed } from './charset-text.ts';
import { decodeEncodedWords } from './encoded-words.ts';
import type { HeaderSection } from './header-section.ts';

/** Octets of the field that are looked at: more than the longest text takes as encoded words. */
const LOOKED_AT = 6 * 1024;
/** Octets of a character in UTF-8. */
const LONGEST_CHARACTER = 4;
const CONTROLS = /[\p{Cc}\u2028\u2029]/gu;
/** They turn text around, or have no width at all. */
const UNSEEN = /[\p{Bidi_Control}\u00ad\u200b\u2060\ufeff]/gu;

/** At most {@link LONGEST_SUBJECT} characters of the first Subject field; undefined where there is none, or nothing can be seen of it. */
export function readSubject(headers: HeaderSection): string | undefined {
  const octets = headers.firstRaw('Subject');
  if (octets === undefined) return undefined;
  const unfolded = decodeUnnamed(frontOf(octets)).replace(/[\r\n]+/g, '');
  const text = decodeEncodedWords(unfolded).replace(UNSEEN, '').replace(CONTROLS, ' ').trim();
  return text === '' ? undefined : cut(text);
}

/** No character of UTF-8 is cut in two, or the rest would be taken for another charset. */
function frontOf(octets: Uint8Array): Uint8Array {
  if (octets.length <= LOOKED_AT) return octets;
  let end = LOOKED_AT;
  while (end > LOOKED_AT - LONGEST_CHARACTER && isContinuation(octets[end])) end -= 1;
  return octets.subarray(0, end);
}

const isContinuation = (octet = 0): boolean => (octet & 0xc0) === 0x80;

/** No character is cut in two. A copy, since a piece of a text keeps all of it in memory. */
function cut(text: string): string {
  if (text.length <= LONGEST_SUBJECT) return text;
  const piece = text.slice(0, LONGEST_SUBJECT).replace(/[\ud800-\udbff]$/, '');
  return Buffer.from(piece).toString();
}
