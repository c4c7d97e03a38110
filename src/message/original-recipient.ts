/**
 * What ORCPT and ENVID say, decoded for a report.
 *
 * Pure. Nothing here fails: what does not decode to printable text stays encoded, which is printable ASCII in any case.
 *
 * Source: RFC 3461 §4 (xtext), §4.2 (ORCPT), §4.4 (ENVID), §6.3 (both are decoded in a report); RFC 6533 §3 (address type utf-8).
 *
 * @packageDocumentation
 */

/** An address with its type, as a field of a report writes it. */
export interface TypedAddress {
  /** `rfc822`, `utf-8` or another, lower-case. */
  readonly type: string;
  readonly address: string;
}

/** ORCPT as it came: a type, a semicolon, xtext. Undefined where it is not that. */
export function decodeOriginalRecipient(orcpt: string): TypedAddress | undefined {
  const match = /^([A-Za-z0-9-]{1,20});([!-~]{1,500})$/.exec(orcpt);
  if (match === null) return undefined;
  const type = (match[1] ?? '').toLowerCase();
  const plain = decodeXtext(match[2] ?? '');
  return { type, address: type === 'utf-8' ? decodeUnicodeEscapes(plain) : plain };
}

/** RFC 3461 §4: `+` and two hex digits stand for one ASCII character. The text as it came where it would not be printable. */
export function decodeXtext(text: string): string {
  const plain = text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return /^[\x20-\x7e]*$/.test(plain) ? plain : text;
}

/** RFC 6533 §3, `utf-8-addr-xtext`: `\x{E9}` stands for one character. */
function decodeUnicodeEscapes(text: string): string {
  return text.replace(/\\x\{([0-9A-Fa-f]{2,6})\}/g, (escape, hex: string) => {
    const point = Number.parseInt(hex, 16);
    return isPrintable(point) ? String.fromCodePoint(point) : escape;
  });
}

/** The reverse, for reports that must be ASCII: every character beyond it, and those that mean something in the encoding, escaped. */
export function encodeUnicodeEscapes(text: string): string {
  return Array.from(text, (character) =>
    /^[!-*,-<>-[\]-~]$/.test(character)
      ? character
      : `\\x{${(character.codePointAt(0) ?? 0x3f).toString(16).toUpperCase().padStart(2, '0')}}`,
  ).join('');
}

/** No control character, surrogate, line separator or mark that turns the direction of text. */
function isPrintable(point: number): boolean {
  if (point > 0x10_ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
  return !/[\p{Cc}\p{Zl}\p{Zp}\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/u.test(String.fromCodePoint(point));
}
