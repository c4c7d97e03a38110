/**
 * Reads and checks the JWTs that applications and service accounts sign.
 *
 * The sandbox's own, apart from the one that Postern signs with, so that a mistake in one is not hidden by the other.
 *
 * Source: RFC 7515 §5.2, RFC 7518 §3.3 and §3.5, RFC 7523 §3.
 *
 * @packageDocumentation
 */
import { constants, type KeyObject, verify } from 'node:crypto';
import type { EpochMs } from '../../core/clock.ts';

/** A JWT taken apart; nothing in it has been checked. */
export interface Assertion {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly signed: string;
  readonly signature: Buffer;
}

/** Clocks of clients and servers differ. */
const SKEW_SECONDS = 300;

/** Undefined where it is no JWT. */
export function parseAssertion(jwt: string): Assertion | undefined {
  const [, header, claims, signature] = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(jwt) ?? [];
  const parts = [header, claims].map((part) => parseObject(Buffer.from(part ?? '', 'base64url').toString('utf8')));
  const [head, body] = parts;
  if (head === undefined || body === undefined || signature === undefined) return undefined;
  return { header: head, claims: body, signed: `${header}.${claims}`, signature: Buffer.from(signature, 'base64url') };
}

/** True where `key` has signed it with one of the algorithms. */
export function isSignedWith(
  { header, signed, signature }: Assertion,
  key: KeyObject,
  algorithms: readonly ('PS256' | 'RS256')[],
): boolean {
  const algorithm = algorithms.find((known) => known === header['alg']);
  if (algorithm === undefined || key.asymmetricKeyType !== 'rsa') return false;
  const padding =
    algorithm === 'PS256'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : { padding: constants.RSA_PKCS1_PADDING };
  return verify('sha256', Buffer.from(signed), { key, ...padding }, signature);
}

/** True where it is good now; `exp` must be there, `nbf` may (RFC 7523 §3). */
export function isInTime({ claims }: Assertion, now: EpochMs): boolean {
  const { exp, nbf = 0 } = claims;
  const seconds = now / 1000;
  return typeof exp === 'number' && typeof nbf === 'number' && seconds < exp + SKEW_SECONDS && seconds > nbf - SKEW_SECONDS;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
