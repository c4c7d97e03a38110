/**
 * What an access token says about itself, where it is a JWT.
 *
 * Pure. The signature is not checked: that is for the mail server, and nothing is granted here. By contract access tokens are opaque to clients (RFC 6749
 * §1.4), so what does not decode is no fault, and what does is only used to explain.
 *
 * Source: RFC 7519 §4.1 (aud, exp, nbf); Entra's claims scp, roles, tid, upn.
 *
 * @packageDocumentation
 */
import { cleanText } from '../core/reply.ts';

/** The claims that matter here; texts are one printable line each. */
export interface TokenClaims {
  readonly audiences: readonly string[];
  /** Delegated permissions. */
  readonly scopes: readonly string[];
  /** Permissions of an application. */
  readonly roles: readonly string[];
  readonly tenantId?: string;
  /** Who signed in; absent in an application's own token. */
  readonly user?: string;
  /** Seconds since 1970. */
  readonly expiresAt?: number;
  readonly notBefore?: number;
}

const LONGEST_TOKEN = 16_384;
const LONGEST_TEXT = 120;
const MOST_ENTRIES = 50;

/** Undefined for an opaque token. */
export function decodeClaims(token: string): TokenClaims | undefined {
  const parts = token.split('.');
  if (parts.length !== 3 || token.length > LONGEST_TOKEN) return undefined;
  const [header, payload] = parts.map(decodeObject);
  if (typeof header?.['alg'] !== 'string' || payload === undefined) return undefined;
  const user = text(payload['upn']) ?? text(payload['preferred_username']) ?? text(payload['unique_name']);
  return {
    audiences: list(payload['aud']),
    scopes: typeof payload['scp'] === 'string' ? list(payload['scp'].split(' ')) : [],
    roles: list(payload['roles']),
    ...optional('tenantId', text(payload['tid'])),
    ...optional('user', user),
    ...optional('expiresAt', count(payload['exp'])),
    ...optional('notBefore', count(payload['nbf'])),
  };
}

function decodeObject(part: string): Record<string, unknown> | undefined {
  if (!/^[A-Za-z0-9_-]+$/.test(part)) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // Not a JWT: the answer to the question.
  }
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? cleanText(value).slice(0, LONGEST_TEXT) : undefined;

const count = (value: unknown): number | undefined => (typeof value === 'number' && Number.isFinite(value) ? value : undefined);

function list(value: unknown): string[] {
  const entries = Array.isArray(value) ? value.slice(0, MOST_ENTRIES) : [value];
  return entries.map(text).filter((entry) => entry !== undefined);
}

function optional<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [key in Name]: Value });
}
