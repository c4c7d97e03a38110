/**
 * From, To, Subject and Message-ID of a received message, for showing it and for the sender rules.
 *
 * Pure and bounded: only the first 64 KB are looked at, each value is cut at 500 characters. Values are hostile text; whoever shows them
 * escapes them. Encoded words are decoded (RFC 2047) where they decode, else left as they are.
 *
 * @packageDocumentation
 */

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
  const value = (name: string): string => decodeWords(fields.get(name) ?? '').slice(0, LONGEST_VALUE);
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

/** RFC 2047 §2. White space between two encoded words is not part of the text (§6.2). */
function decodeWords(value: string): string {
  if (!value.includes('=?')) return value;
  return value
    .slice(0, 8 * LONGEST_VALUE)
    .replace(/(\?=)[ \t]+(?==\?)/g, '$1')
    .replace(/=\?([^?\s]{1,40})\?([bq])\?([^?\s]*)\?=/gi, (word: string, charset: string, encoding: string, encoded: string) => {
      const octets = encoding.toLowerCase() === 'b' ? Buffer.from(encoded, 'base64') : decodeQ(encoded);
      return decodeCharset(charset.replace(/\*.*$/, ''), octets) ?? word;
    });
}

function decodeQ(encoded: string): Buffer {
  const octets = encoded
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(octets, 'latin1');
}

function decodeCharset(charset: string, octets: Buffer): string | undefined {
  try {
    return new TextDecoder(charset).decode(octets);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // A charset that nobody knows: the word is shown as it came.
    throw error;
  }
}
