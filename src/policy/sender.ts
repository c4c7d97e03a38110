/**
 * Which addresses a client may send as, in the reverse-path and in From (RFC 6409 §6.1), and what happens to others.
 *
 * Pure. Case is overlooked in both parts (core/address.ts says why), and a domain is compared in its ASCII form, so that two spellings of one
 * domain get one verdict (RFC 5891 §3.2).
 *
 * @packageDocumentation
 */
import { domainToASCII } from 'node:url';
import type { Client } from '../core/client.ts';

/** `address` is the first one that the client may not use; `''`: none can be made out. */
export type SenderVerdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'refused'; readonly address: string }
  /** The message goes on with the mailbox `to` in its place. */
  | { readonly kind: 'rewritten'; readonly address: string; readonly to: string };

const ALLOWED: SenderVerdict = { kind: 'allowed' };

/** Judge MAIL FROM. */
export function judgeReversePath(client: Client, reversePath: string): SenderVerdict {
  return mayUseSender(client, reversePath) ? ALLOWED : foreign(client, reversePath);
}

/**
 * Judge From, or another field that names senders.
 *
 * @param addresses - Everything that some reader might take the field to name; all of it must be allowed.
 * @param isMalformed - The field is there, but breaks the syntax; one that then names nobody is no better than a foreign one.
 */
export function judgeField(client: Client, addresses: readonly string[], isMalformed: boolean): SenderVerdict {
  const address = firstForeignSender(client, addresses);
  if (address !== undefined) return foreign(client, address);
  return isMalformed && addresses.length === 0 ? foreign(client, '') : ALLOWED;
}

function foreign({ onOtherSender }: Client, address: string): SenderVerdict {
  if (onOtherSender === 'refuse') return { kind: 'refused', address };
  return { kind: 'rewritten', address, to: onOtherSender.rewriteTo };
}

/** True where `client` may use `address`. The null reverse-path `''` belongs to nobody and is open to all (RFC 5321 §4.5.5). */
export function mayUseSender(client: Client, address: string): boolean {
  if (address === '') return true;
  const { localPart, domain } = partsOf(address);
  if (localPart === '' || domain === '') return false;
  if (client.senders.includes(address)) return true; // Spelled as it is configured, as nearly always.
  return client.senders.some((pattern) => {
    const allowed = partsOf(pattern);
    return allowed.domain === domain && (allowed.localPart === '*' || allowed.localPart === localPart);
  });
}

/** The first of `addresses` that `client` may not use; undefined where it may use them all. */
export function firstForeignSender(client: Client, addresses: readonly string[]): string | undefined {
  return addresses.find((address) => address === '' || !mayUseSender(client, address));
}

function partsOf(address: string): { readonly localPart: string; readonly domain: string } {
  const at = address.lastIndexOf('@');
  if (at === -1) return { localPart: address.toLowerCase(), domain: '' };
  return { localPart: address.slice(0, at).toLowerCase(), domain: comparableDomain(address.slice(at + 1)) };
}

function comparableDomain(domain: string): string {
  const lower = domain.toLowerCase();
  return /^[\u0000-\u007f]*$/.test(lower) ? lower : domainToASCII(lower);
}
