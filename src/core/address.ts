/**
 * Comparing and splitting mail addresses that have already been parsed.
 *
 * Pure. Domains compare without regard to case (RFC 5321 §2.4). Local parts are case-sensitive by the letter of the RFC, but every provider
 * we relay to ignores their case, so policy does too; the address itself is never altered.
 *
 * @packageDocumentation
 */

/** The part after the last `@`, lower-case; `''` where there is none. */
export function domainOf(address: string): string {
  const at = address.lastIndexOf('@');
  return at === -1 ? '' : address.slice(at + 1).toLowerCase();
}

/** True where both name the same mailbox. */
export function isSameMailbox(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** One address as it can stand in RCPT TO: no name, no angle brackets, no list, nothing that ends a line. */
export function isPlainAddress(text: string): boolean {
  return /^[^\s<>",;:@\u0000-\u001f\u007f-\u009f]{1,64}@[^\s<>",;:@\u0000-\u001f\u007f-\u009f]{1,255}$/.test(text);
}
