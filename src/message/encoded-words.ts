/**
 * Encoded words of header fields as the text that they stand for.
 *
 * Lenient where a sender is careless and a person would still read the text: words may touch other text, hold spaces or octets beyond ASCII, and share one
 * character between two of them. What cannot be decoded stays as it came.
 *
 * Pure; linear in the length of the value; never throws.
 *
 * Source: RFC 2047 §2, §4 (forms, B and Q), §6.2 (white space between two words); RFC 2231 §5 (a language behind the charset).
 * Deviation: §5 (3) wants whole characters in each word; words of one charset that follow each other are decoded as one, since senders do cut characters.
 *
 * @packageDocumentation
 */
import { type Decode, decoderOf } from './charset-text.ts';

const WORD = /=\?([^?\s]{1,40})\?([bq])\?([^?]*)\?=/gi;
/** Charsets in one value. Senders use one or two; looking each of hundreds up would cost more than all the rest of a message. */
const MOST_CHARSETS = 8;
const EQUALS = 0x3d;
const UNDERSCORE = 0x5f;
const SPACE = 0x20;

/** Words that follow each other. */
interface Run {
  readonly charset: string;
  readonly decode: Decode;
  readonly octets: Uint8Array[];
}

/** @param value - Of a field, unfolded. */
export function decodeEncodedWords(value: string): string {
  if (!value.includes('=?')) return value;
  let text = '';
  let run: Run | undefined;
  let end = 0;
  const decoders = new Map<string, Decode | undefined>();
  for (const { 0: word, 1: named = '', 2: encoding = '', 3: encoded = '', index } of value.matchAll(WORD)) {
    const between = value.slice(end, index);
    end = index + word.length;
    const charset = named.replace(/\*.*$/, '').toLowerCase();
    if (!decoders.has(charset) && decoders.size < MOST_CHARSETS) decoders.set(charset, decoderOf(charset));
    const decode = decoders.get(charset);
    if (run === undefined || decode === undefined || between.trim() !== '') {
      text += textOf(run) + between;
      run = undefined;
    }
    if (decode === undefined) {
      text += word;
      continue;
    }
    const octets = encoding.toLowerCase() === 'b' ? Buffer.from(encoded, 'base64') : decodeQ(encoded);
    if (run?.charset === charset) {
      run.octets.push(octets);
    } else {
      text += textOf(run);
      run = { charset, decode, octets: [octets] };
    }
  }
  return text + textOf(run) + value.slice(end);
}

const textOf = (run: Run | undefined): string => (run === undefined ? '' : run.decode(Buffer.concat(run.octets)));

/** RFC 2047 §4.2. */
function decodeQ(encoded: string): Uint8Array {
  const octets = Buffer.from(encoded);
  let length = 0;
  for (let at = 0; at < octets.length; at += 1) {
    const octet = octets[at] ?? 0;
    const hex = octet === EQUALS ? octets.toString('latin1', at + 1, at + 3) : '';
    if (/^[0-9a-f]{2}$/i.test(hex)) {
      octets[length] = Number.parseInt(hex, 16);
      at += 2;
    } else {
      octets[length] = octet === UNDERSCORE ? SPACE : octet;
    }
    length += 1;
  }
  return octets.subarray(0, length);
}
