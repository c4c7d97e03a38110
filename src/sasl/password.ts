/**
 * PLAIN and LOGIN, client side: user name and password, for upstreams that still take them.
 *
 * Pure. Both put the password on the wire as it is, so they belong inside TLS alone.
 *
 * Sources: RFC 4616 §2 (PLAIN); draft-murchison-sasl-login (LOGIN, never an RFC; the only one that Exchange Online offers).
 *
 * @packageDocumentation
 */
import { checkUser, SaslStringError } from './bearer.ts';

/** Far beyond any password; RFC 4954 §4 ends a line at 12,288 octets of base64. */
const LONGEST_PASSWORD = 1024;

/**
 * The one response of PLAIN, in base64.
 *
 * @throws SaslStringError where user or password cannot be part of it.
 */
export function encodePlain(user: string, password: string): string {
  checkUser(user);
  checkPassword(password);
  // RFC 4616 §2: without an authorization identity, the user acts for itself.
  return Buffer.from(`\0${user}\0${password}`).toString('base64');
}

/**
 * The two responses of LOGIN, in base64: user name, then password.
 *
 * @throws SaslStringError where one of them must not be sent.
 */
export function encodeLogin(user: string, password: string): readonly [user: string, password: string] {
  checkUser(user);
  checkPassword(password);
  return [Buffer.from(user).toString('base64'), Buffer.from(password).toString('base64')];
}

/** NUL would end a field of PLAIN (RFC 4616 §2); no provider takes the other control characters. */
function checkPassword(password: string): void {
  const length = password.length;
  if (length === 0 || length > LONGEST_PASSWORD) throw new SaslStringError('password', `the password has ${length} characters`);
  if (/[\u0000-\u001f\u007f]/.test(password)) throw new SaslStringError('password', 'the password has a control character');
}
