/**
 * Message identifiers: composing one, and keeping a foreign one printable.
 *
 * Pure; the caller supplies the random octets.
 *
 * Source: RFC 5322 §3.6.4.
 *
 * @packageDocumentation
 */
import { domainOf } from '../core/address.ts';
import type { QueueId } from '../core/ids.ts';

/**
 * `<queueId.random@domain>` for a message that has none.
 *
 * @param random - Octets of chance, 8 or more, so that the identifier is unique even where two machines share a name.
 * @param reversePath - Its domain is the right-hand side, since the message is that domain's; unlike our host name it tells nothing new.
 * @param hostname - Takes its place where the reverse-path is null or its domain is not plain ASCII.
 */
export function composeMessageId(queueId: QueueId, random: Uint8Array, reversePath: string, hostname: string): string {
  const domain = domainOf(reversePath);
  const isPlain = /^[a-z0-9.-]{1,255}$/.test(domain);
  return sanitiseMessageId(`<${queueId}.${Buffer.from(random).toString('hex')}@${isPlain ? domain : hostname}>`);
}

/**
 * The identifier with angle brackets around it and nothing inside that could end the field, begin another, or be taken for a second
 * identifier: no control character, space, angle bracket or octet outside ASCII; at most 900 characters.
 */
export function sanitiseMessageId(text: string): string {
  if (text.length <= 902 && CLEAN.test(text)) return text;
  return `<${text.replace(/[^\u0021-\u003b\u003d\u003f-\u007e]+/g, '').slice(0, 900)}>`;
}

/** Brackets around it, and nothing inside that has to go. */
const CLEAN = /^<[\u0021-\u003b\u003d\u003f-\u007e]*>$/;
