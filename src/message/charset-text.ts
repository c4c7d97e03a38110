/**
 * Octets in a named charset as text, by the names and tables of browsers: senders who write `iso-8859-1` mean Windows-1252.
 *
 * Pure. Never throws; octets that stand for nothing become U+FFFD.
 *
 * Source: WHATWG Encoding §4.2 (names), §9.1 (Windows-1252).
 *
 * @packageDocumentation
 */
import { isUtf8 } from 'node:buffer';

/** Octets that become a text. */
export type Decode = (octets: Uint8Array) => string;

/** What Windows-1252 has at 0x80 to 0x9F. Some versions of Node decode these as ISO 8859-1, which has control characters there. */
const WINDOWS_1252 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ';
const FIRST_OF_WINDOWS_1252 = 0x80;

/** @returns Undefined for a charset that nobody here knows. */
export function decoderOf(charset: string): Decode | undefined {
  const name = charset.toLowerCase();
  if (name === 'utf-8' || name === 'utf8') return decodeUtf8;
  try {
    const decoder = new TextDecoder(name);
    if (decoder.encoding === 'windows-1252') return decodeWindows1252;
    return (octets) => decoder.decode(octets);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Text whose charset nobody has named: UTF-8 (RFC 6532) where it is that, else what devices in western countries send. */
export function decodeUnnamed(octets: Uint8Array): string {
  return isUtf8(octets) ? decodeUtf8(octets) : decodeWindows1252(octets);
}

const bufferOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length);

function decodeUtf8(octets: Uint8Array): string {
  return bufferOf(octets).toString('utf8');
}

function decodeWindows1252(octets: Uint8Array): string {
  return bufferOf(octets)
    .toString('latin1')
    .replace(/[\u0080-\u009f]/g, (control) => WINDOWS_1252.charAt(control.charCodeAt(0) - FIRST_OF_WINDOWS_1252));
}
