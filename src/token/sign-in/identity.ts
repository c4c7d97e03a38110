/**
 * Who signed in, and whether that is the mailbox of the account.
 *
 * Pure. Signatures are not checked: both tokens came straight from the token endpoint over TLS (OpenID Connect Core 1.0 §3.1.3.7, point 6), and nothing is
 * granted here; the check is against the mistake of being signed in to the browser as somebody else. A person may have several names (user principal name,
 * mail address): one that fits is enough.
 *
 * Sources: OpenID Connect Core 1.0 §5.1 (preferred_username, email); Entra's claims upn and unique_name.
 *
 * @packageDocumentation
 */
import { isSameMailbox } from '../../core/address.ts';
import { ProblemError, problem } from '../../core/problem.ts';
import { cleanText } from '../../core/reply.ts';
import type { GrantedTokens } from '../token-answer.ts';
import type { SignInAccount } from './sign-in.ts';

const CLAIMS = ['preferred_username', 'upn', 'email', 'unique_name'] as const;
const LONGEST_ADDRESS = 320;

/**
 * The address of the account that signed in; undefined where the tokens do not say.
 *
 * @throws ProblemError `SIGN_IN_WRONG_MAILBOX`
 */
export function checkIdentity(account: SignInAccount, tokens: Pick<GrantedTokens, 'accessToken' | 'idToken'>): string | undefined {
  const { mailbox, smtpUser, auth } = account;
  const names = [...namesInIdToken(tokens.idToken, auth.clientId), ...namesIn(payloadOf(tokens.accessToken))];
  const [first] = names;
  if (first === undefined) return undefined;
  // The delegate of a shared mailbox signs in as themselves.
  const expected = smtpUser === mailbox ? [mailbox] : [smtpUser, mailbox];
  const match = expected.find((address) => names.some((name) => isSameMailbox(name, address)));
  if (match !== undefined) return match;
  const cause = `${[...new Set(names)].join(' / ')} signed in, not ${expected.join(' or ')}; nothing was stored`;
  throw new ProblemError(problem('SIGN_IN_WRONG_MAILBOX', cause));
}

/** An id_token for another application says nothing to us (OpenID Connect Core 1.0 §3.1.3.7, point 3). */
function namesInIdToken(idToken: string | undefined, clientId: string): string[] {
  const payload = idToken === undefined ? undefined : payloadOf(idToken);
  const audience = payload?.['aud'];
  const isOurs = audience === clientId || (Array.isArray(audience) && audience.includes(clientId));
  return isOurs ? namesIn(payload) : [];
}

function namesIn(payload: Record<string, unknown> | undefined): string[] {
  return CLAIMS.map((claim) => payload?.[claim])
    .filter((value) => typeof value === 'string')
    .map(readAddress)
    .filter((address) => address !== undefined);
}

/** Entra writes guests as `live.com#anna@outlook.com`. */
function readAddress(value: string): string | undefined {
  const address = value.slice(value.indexOf('#') + 1);
  const isAddress = /^[^@\s]+@[^@\s]+$/.test(address) && address.length <= LONGEST_ADDRESS && cleanText(address) === address;
  return isAddress ? address : undefined;
}

/** Undefined where the token is no JWT: access tokens are opaque by contract, and those of personal accounts are so in fact. */
function payloadOf(token: string): Record<string, unknown> | undefined {
  const [, payload, signature] = token.split('.');
  if (payload === undefined || signature === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // The answer to the question.
  }
}
