/**
 * What the two SASL mechanisms for OAuth 2.0 have in common: what may be in their strings, and how a server explains a refusal.
 *
 * Pure. User and token are checked here, at the last moment before they become a line, since a control character in either would let its
 * author add fields to the string (`\x01auth=Bearer …`) or commands to the session.
 *
 * Sources: RFC 7628 §3.2.2 and §3.2.3 (failure JSON), RFC 6750 §2.1 (token syntax, which issuers do not all keep to).
 *
 * @packageDocumentation
 */

/** A user name, token or password that must not be put into a SASL string. The message does not show it. */
export class SaslStringError extends Error {
  override readonly name = 'SaslStringError';
  readonly part: 'user' | 'token' | 'password';
  constructor(part: 'user' | 'token' | 'password', message: string) {
    super(message);
    this.part = part;
  }
}

const LONGEST_USER = 320; // 64 + '@' + 255 (RFC 5321 §4.5.3.1).
const LONGEST_TOKEN = 16_384;

/** @throws SaslStringError where `user` is empty, too long, or has a control character. */
export function checkUser(user: string): void {
  if (user === '' || user.length > LONGEST_USER) throw new SaslStringError('user', `the SASL user has ${user.length} characters`);
  if (/[\u0000-\u001f\u007f-\u009f]/.test(user)) throw new SaslStringError('user', 'the SASL user has a control character');
}

/** @throws SaslStringError where `token` is empty, over 16 KB, or has anything but printable ASCII without spaces. */
export function checkToken(token: string): void {
  if (token === '' || token.length > LONGEST_TOKEN) throw new SaslStringError('token', `the access token has ${token.length} characters`);
  if (!/^[\x21-\x7e]+$/.test(token)) throw new SaslStringError('token', 'the access token has a character that no token has');
}

/** How a server explains a refusal inside the exchange. */
export interface BearerFailure {
  /** `401`, `invalid_token` and the like. */
  readonly status?: string;
  /** Scope that a token would need. */
  readonly scope?: string;
  readonly schemes?: string;
}

const LONGEST_CHALLENGE = 12_288; // RFC 4954 §4.

/**
 * The JSON in a failure challenge.
 *
 * @param challenge - Text after `334 `, in base64.
 * @returns Undefined where it is not base64 of a JSON object; the exchange has failed all the same.
 */
export function decodeBearerFailure(challenge: string): BearerFailure | undefined {
  if (challenge === '' || challenge.length > LONGEST_CHALLENGE || !/^[A-Za-z0-9+/]+={0,2}$/.test(challenge)) return undefined;
  const fields = parseObject(Buffer.from(challenge, 'base64').toString('utf8'));
  if (fields === undefined) return undefined;
  const text = (name: string): Record<string, string> => {
    const value = fields[name];
    return typeof value === 'string' || typeof value === 'number' ? { [name]: String(value).slice(0, 200) } : {};
  };
  return { ...text('status'), ...text('scope'), ...text('schemes') };
}

function parseObject(json: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // Not JSON: nothing to learn from this challenge.
  }
}
