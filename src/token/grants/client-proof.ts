/**
 * What a form says to prove which application asks: a secret, a signed assertion, a token of the platform, or for a public client nothing.
 *
 * Sources: RFC 6749 §2.3.1 (secret), RFC 7521 §4.2 and RFC 7523 §2.2 (assertion).
 *
 * @packageDocumentation
 */
import type { Account, ClientCredentialsAuth, RefreshTokenAuth } from '../../core/account.ts';
import { clientAssertion } from './client-assertion.ts';
import { readFederatedToken } from './federated-token.ts';
import type { FormContext, TokenForm } from './token-form.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** @throws ProblemError where the proof cannot be made; nothing was sent. */
export async function clientProof(
  { provider }: Account,
  { clientId, clientSecret, certificate, federatedTokenFile }: ClientCredentialsAuth | RefreshTokenAuth,
  context: FormContext,
): Promise<TokenForm> {
  if (certificate !== undefined) return assertion(clientAssertion(clientId, provider.tokenUrl, certificate, context));
  if (federatedTokenFile !== undefined) return assertion(await readFederatedToken(federatedTokenFile, context));
  // A public client must not send a secret (AADSTS700025).
  if (clientSecret === undefined) return { parameters: {}, secrets: [] };
  return { parameters: { client_secret: clientSecret }, secrets: [clientSecret] };
}

const assertion = (jwt: string): TokenForm => ({
  parameters: { client_assertion_type: JWT_BEARER, client_assertion: jwt },
  secrets: [jwt],
});
