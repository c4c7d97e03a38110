/**
 * Names for things that appear in logs: messages, sessions.
 *
 * Pure; the caller supplies time and random bytes.
 *
 * @packageDocumentation
 */
import type { EpochMs } from './clock.ts';

declare const brand: unique symbol;

/** Our id of one submitted message: in every log line about it, in its Received field, in our 250. Sortable by time. */
export type QueueId = string & { readonly [brand]: 'QueueId' };

/** Our id of one connection. */
export type SessionId = string & { readonly [brand]: 'SessionId' };

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'; // Crockford base 32: no letter that reads like a digit.

function encode(value: number, length: number): string {
  let text = '';
  let rest = value;
  for (let index = 0; index < length; index += 1) {
    text = (ALPHABET[rest % 32] ?? '0') + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** 16 characters: 9 of time, 7 of chance (35 bits). */
function stamp(now: EpochMs, random: Uint8Array): string {
  let text = encode(now, 9);
  for (const octet of random.subarray(0, 7)) text += ALPHABET[octet % 32] ?? '0';
  return text;
}

/** @param random - At least 7 random octets. */
export const queueId = (now: EpochMs, random: Uint8Array): QueueId => stamp(now, random) as QueueId;

/** When the message was begun: the first nine characters of its id. Undefined for what is no id of ours. */
export function beginOf(id: QueueId): EpochMs | undefined {
  let moment = 0;
  for (const character of id.slice(0, 9)) {
    const digit = ALPHABET.indexOf(character);
    if (digit === -1) return undefined;
    moment = moment * 32 + digit;
  }
  return id.length === 16 ? (moment as EpochMs) : undefined;
}

/** @param random - At least 7 random octets. */
export const sessionId = (now: EpochMs, random: Uint8Array): SessionId => stamp(now, random).slice(4) as SessionId;
