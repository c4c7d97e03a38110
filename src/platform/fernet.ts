/**
 * Opens Fernet tokens whose key comes from a password, as email-oauth2-proxy writes them. Nothing here makes any.
 *
 * Layout: version 0x80, 8 octets of time, 16 of IV, AES-128-CBC of the text (PKCS #7 padding), 32 of HMAC-SHA256 over all before it; base64url.
 * Of the 32 octets of the key the first half signs and the second half encrypts. The HMAC is compared in constant time before anything is
 * decrypted, so that padding tells nothing.
 *
 * Source: the Fernet specification (github.com/fernet/spec); RFC 8018 (PBKDF2).
 *
 * @packageDocumentation
 */
import { createDecipheriv, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { inTurn } from './password.ts';

const VERSION = 0x80;
const IV_AT = 9;
const TEXT_AT = 25;
const HMAC_OCTETS = 32;
const BLOCK = 16;
const KEY_OCTETS = 32;
/** A refresh token has a few thousand characters. */
const LONGEST_TOKEN = 131_072;
/** More than four times what email-oauth2-proxy uses. A number from a file must not keep a processor busy for minutes. */
export const MOST_ITERATIONS = 5_000_000;

/** True for what has the form of a Fernet token, whatever its key. */
export const isFernetToken = (token: string): boolean => decode(token) !== undefined;

/**
 * The key that a password stands for. Off the main thread, and in turn with the other derivations of this process.
 *
 * @throws PasswordCheckBusyError where too many wait already; RangeError where `iterations` is not 1 to {@link MOST_ITERATIONS}.
 */
export async function deriveFernetKey(password: string, salt: Uint8Array, iterations: number): Promise<Buffer> {
  if (!Number.isInteger(iterations) || iterations < 1 || iterations > MOST_ITERATIONS) {
    throw new RangeError(`iterations must be 1 to ${MOST_ITERATIONS}, got ${iterations}`);
  }
  return inTurn(
    () =>
      new Promise((resolve, reject) => {
        pbkdf2(password, salt, iterations, KEY_OCTETS, 'sha256', (error, key) => (error === null ? resolve(key) : reject(error)));
      }),
  );
}

/** The text of a token, undefined where the key is not its key or it is no token. @param key - 32 octets. */
export function openFernet(token: string, key: Uint8Array): string | undefined {
  const octets = decode(token);
  if (octets === undefined || key.length !== KEY_OCTETS) return undefined;
  const signed = octets.subarray(0, -HMAC_OCTETS);
  const expected = createHmac('sha256', key.subarray(0, BLOCK)).update(signed).digest();
  if (!timingSafeEqual(expected, octets.subarray(-HMAC_OCTETS))) return undefined;
  try {
    const decipher = createDecipheriv('aes-128-cbc', key.subarray(BLOCK), octets.subarray(IV_AT, TEXT_AT));
    const text = Buffer.concat([decipher.update(signed.subarray(TEXT_AT)), decipher.final()]);
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
  } catch {
    return undefined; // Signed with the right key, but with no padding or no text inside: nobody wrote this by a usual way.
  }
}

function decode(token: string): Buffer | undefined {
  if (token.length > LONGEST_TOKEN || !/^[A-Za-z0-9_-]+={0,2}$/.test(token)) return undefined;
  const octets = Buffer.from(token, 'base64url');
  const length = octets.length - TEXT_AT - HMAC_OCTETS;
  return octets[0] === VERSION && length >= BLOCK && length % BLOCK === 0 ? octets : undefined;
}
