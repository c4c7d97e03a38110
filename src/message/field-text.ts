/**
 * Header fields of messages that we originate: folded, and with nothing in them that could end one field and begin another.
 *
 * Pure. Whatever the value holds, the result is one field: control characters become spaces, and each line but the first begins with a space.
 *
 * Source: RFC 5322 §2.1.1 (line length), §2.2.3 (folding), §3.2.4 (quoted strings); RFC 2047 §2, §5 (encoded words); RFC 6532 (UTF-8).
 *
 * @packageDocumentation
 */

/** RFC 5322 §2.1.1: SHOULD be at most 78 characters, without CRLF. */
const USUAL_LINE = 78;
/** In characters; with four octets each it stays under the 998 that RFC 5322 §2.1.1 allows at most. */
const LONGEST_WORD = 200;
/** RFC 2047 §2: an encoded word has at most 75 characters; this leaves as many for octets as fit after base64. */
const ENCODED_OCTETS = 45;

/** The field with its line end. Folded where a space allows it; a word longer than 200 characters is cut by a fold. */
export function composeField(name: string, value: string): string {
  const words = onOneLine(value)
    .split(' ')
    .flatMap((word) => pieces(word, LONGEST_WORD))
    .filter((word) => word !== '');
  let line = `${name}:`;
  const lines: string[] = [];
  for (const word of words) {
    if (line.length + 1 + word.length > USUAL_LINE && line !== `${name}:` && line !== '') {
      lines.push(line);
      line = '';
    }
    line += ` ${word}`;
  }
  return `${[...lines, line].join('\r\n')}\r\n`;
}

/** A display name with an address: `"Mail Delivery" <billing@contoso.com>`. */
export function composeMailbox(displayName: string, address: string): string {
  const name = onOneLine(displayName).trim();
  if (name === '') return angleAddress(address);
  const quoted = isAscii(name) ? `"${name.replace(/["\\]/g, '\\$&')}"` : encodeWords(name);
  return `${quoted} ${angleAddress(address)}`;
}

/** An address in angle brackets. Its characters were checked where it came in; what could close the bracket is dropped all the same. */
export function angleAddress(address: string): string {
  const clean = onOneLine(address).replace(/[<>]/g, '');
  const at = clean.lastIndexOf('@');
  const localPart = clean.slice(0, Math.max(0, at));
  const isPlain =
    /^"(?:[^"\\]|\\.)*"$/.test(localPart) || localPart.split('.').every((atom) => atom !== '' && !/[\s()[\]:;@\\,"]/.test(atom));
  return isPlain || at === -1 ? `<${clean}>` : `<"${localPart.replace(/["\\]/g, '\\$&')}"${clean.slice(at)}>`;
}

/** Text for an unstructured field: ASCII as it is, so that encoded words in it stay what they are; other text as encoded words. */
export function unstructured(text: string): string {
  const clean = onOneLine(text).trim();
  return isAscii(clean) ? clean : encodeWords(clean);
}

export const isAscii = (text: string): boolean => /^[\u0000-\u007f]*$/.test(text);

/** RFC 2047 §4.1, base64. No character is split between two words (§5). */
function encodeWords(text: string): string {
  const words: string[] = [];
  let part = '';
  for (const character of text) {
    if (Buffer.byteLength(part + character) > ENCODED_OCTETS) {
      words.push(part);
      part = '';
    }
    part += character;
  }
  words.push(part);
  return words.map((word) => `=?utf-8?B?${Buffer.from(word).toString('base64')}?=`).join(' ');
}

/** Controls, line and paragraph separators become spaces. */
function onOneLine(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ');
}

function pieces(word: string, length: number): string[] {
  if (word.length <= length) return [word];
  const characters = Array.from(word);
  return Array.from({ length: Math.ceil(characters.length / length) }, (_, index) =>
    characters.slice(index * length, (index + 1) * length).join(''),
  );
}
