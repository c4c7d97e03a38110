/**
 * The JWT bearer grant of a Google service account that acts for a mailbox (domain-wide delegation). Nobody has to sign in.
 *
 * Pure.
 *
 * Sources: RFC 7523 §2.1 and §3; Google's page on service accounts (RS256, `kid`, `sub` is the user to act for, at most an hour).
 *
 * @packageDocumentation
 */
import type { Account, ServiceAccountAuth } from '../../core/account.ts';
import { hours } from '../../core/clock.ts';
import { ProblemError, problem } from '../../core/problem.ts';
import { openSigningKey, SigningKeyError } from '../../platform/signing-key.ts';
import { signJwt } from './signed-jwt.ts';
import type { FormContext, TokenForm } from './token-form.ts';

/** Google takes no more. */
const VALIDITY = hours(1);
/** Google refuses an assertion from the future, however near. */
const SKEW_SECONDS = 30;

/** @throws ProblemError `TOKEN_MISCONFIGURED` where the key cannot be used. */
export function serviceAccountForm(account: Account, auth: ServiceAccountAuth, { now }: Pick<FormContext, 'now'>): TokenForm {
  const { provider, mailbox } = account;
  const { clientEmail, privateKeyId, scopes = provider.scopes } = auth;
  const issuedAt = Math.floor(now / 1000) - SKEW_SECONDS;
  const claims = {
    iss: clientEmail,
    sub: mailbox,
    scope: scopes.join(' '),
    aud: provider.tokenUrl,
    iat: issuedAt,
    exp: issuedAt + VALIDITY / 1000,
  };
  const header = { alg: 'RS256', ...(privateKeyId === undefined ? {} : { kid: privateKeyId }) } as const;
  const assertion = signJwt(header, claims, openKey(auth));
  return { parameters: { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion }, secrets: [assertion] };
}

function openKey({ privateKey }: ServiceAccountAuth) {
  try {
    return openSigningKey(privateKey);
  } catch (error) {
    if (!(error instanceof SigningKeyError)) throw error;
    const remedy = 'Make a new key: gcloud iam service-accounts keys create FILE --iam-account=EMAIL, and name FILE in auth.keyFile.';
    throw new ProblemError(
      problem('TOKEN_MISCONFIGURED', `the key of the service account ${error.message}; nothing was sent`, { remedy }),
      { cause: error },
    );
  }
}
