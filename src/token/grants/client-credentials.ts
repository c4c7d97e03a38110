/**
 * The client_credentials grant (RFC 6749 §4.4), for applications that have rights of their own.
 *
 * No refresh token comes of it (RFC 6749 §4.4.3): the application proves itself again.
 *
 * @packageDocumentation
 */
import type { Account, ClientCredentialsAuth } from '../../core/account.ts';
import { clientProof } from './client-proof.ts';
import { type FormContext, scopeParameter, type TokenForm } from './token-form.ts';

/** @throws ProblemError where the application cannot prove itself. */
export async function clientCredentialsForm(account: Account, auth: ClientCredentialsAuth, context: FormContext): Promise<TokenForm> {
  const { clientId, scopes = account.provider.applicationScopes } = auth;
  const { parameters, secrets } = await clientProof(account, auth, context);
  return { parameters: { grant_type: 'client_credentials', client_id: clientId, ...parameters, ...scopeParameter(scopes) }, secrets };
}
