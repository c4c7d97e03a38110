/**
 * The client_credentials grant with a secret (RFC 6749 §4.4, §2.3.1), for applications that have rights of their own.
 *
 * Pure. No refresh token comes of it (RFC 6749 §4.4.3): the secret is asked with again.
 *
 * @packageDocumentation
 */
import type { Account, AuthSettings } from '../../core/account.ts';
import { scopeParameter, type TokenForm } from './token-form.ts';

export function clientCredentialsForm(account: Account, auth: Extract<AuthSettings, { grant: 'client_credentials' }>): TokenForm {
  const { clientId, clientSecret, scopes = account.provider.applicationScopes } = auth;
  return {
    parameters: { grant_type: 'client_credentials', client_id: clientId, client_secret: clientSecret, ...scopeParameter(scopes) },
    secrets: [clientSecret],
  };
}
