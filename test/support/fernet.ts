/**
 * Seals as email-oauth2-proxy does, so that tests can make its files.
 *
 * @packageDocumentation
 */
import { createCipheriv, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

export interface Seal {
  readonly salt: string;
  readonly iterations: number;
  seal(text: string): string;
}

export function sealWith(password: string, iterations = 1000): Seal {
  const salt = randomBytes(16);
  const key = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  return { salt: salt.toString('base64'), iterations, seal: (text) => sealFernet(text, key) };
}

/** @param key - 32 octets. */
export function sealFernet(text: string, key: Uint8Array): string {
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-128-cbc', key.subarray(16), iv);
  const head = Buffer.concat([Buffer.from([0x80]), Buffer.alloc(8, 1), iv, cipher.update(text, 'utf8'), cipher.final()]);
  const octets = Buffer.concat([head, createHmac('sha256', key.subarray(0, 16)).update(head).digest()]);
  const text64 = octets.toString('base64url');
  return text64.padEnd(Math.ceil(text64.length / 4) * 4, '=');
}
