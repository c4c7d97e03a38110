/**
 * `POST /google/token`: Google's token endpoint for service accounts that act for a mailbox.
 *
 * The tokens are for the sandbox's own mail servers, as if those were Google's; the words of the refusals are the sandbox's own, but for those that
 * clients have to go by, since Google has no numbers.
 *
 * Source: RFC 7523 §2.1 and §3.1; Google's page on service accounts.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../../core/clock.ts';
import { formBody, type HttpAnswer, type HttpRequest, json } from '../http/answer.ts';
import type { TrustedCredentials } from '../trusted-credentials.ts';
import { isInTime, isSignedWith, parseAssertion } from './assertion.ts';
import type { OAuthState } from './grants.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const SCOPE = 'https://mail.google.com/';
const AUDIENCE = 'https://outlook.office365.com';
const NAMES = ['SMTP.Send', 'IMAP.AccessAsUser.All', 'POP.AccessAsUser.All'];
const LONGEST_VALIDITY_SECONDS = 3_600;

/** Answer a token request of a service account. @param url - The endpoint's own. */
export function serviceAccountToken(
  request: HttpRequest,
  state: OAuthState,
  trusted: TrustedCredentials,
  now: EpochMs,
  url: string,
): HttpAnswer {
  const form = formBody(request);
  if (form.get('grant_type') !== JWT_BEARER) return refusal('unsupported_grant_type', 'The grant type is not known here.');
  const assertion = parseAssertion(form.get('assertion') ?? '');
  if (assertion === undefined) return refusal('invalid_request', 'Bad Request');
  const { iss, sub, scope, aud, iat, exp } = assertion.claims;
  const account = trusted.serviceAccount(String(iss));
  if (account === undefined) return refusal('invalid_grant', 'Invalid grant: account not found');
  if (!isSignedWith(assertion, account.key, ['RS256'])) return refusal('invalid_grant', 'Invalid JWT Signature.');
  const isShort = typeof iat === 'number' && typeof exp === 'number' && exp - iat <= LONGEST_VALIDITY_SECONDS && iat * 1000 <= now;
  if (!isShort || !isInTime(assertion, now)) {
    return refusal('invalid_grant', 'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.');
  }
  if (aud !== url) return refusal('invalid_grant', 'Invalid JWT: aud is another endpoint.');
  if (!account.isDelegated) {
    return refusal('unauthorized_client', 'Client is unauthorized to retrieve access tokens using this method.', 401);
  }
  if (scope !== SCOPE) return refusal('invalid_scope', 'The scope is not known here.');
  const mailbox = state.directory.findMailbox(String(sub));
  if (mailbox === undefined) return refusal('invalid_grant', 'Invalid email or User ID');
  const grant = { audience: AUDIENCE, clientId: account.clientEmail, mailbox: mailbox.address, scopes: NAMES, roles: [] };
  const { value, lifetimeSeconds } = state.accessTokens.issue(grant);
  return json(200, { access_token: value, expires_in: lifetimeSeconds, token_type: 'Bearer' });
}

const refusal = (error: string, description: string, status = 400): HttpAnswer => json(status, { error, error_description: description });
