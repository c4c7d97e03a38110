/**
 * The refresh_token grant (RFC 6749 §6), for mailboxes that somebody signed in to.
 *
 * Pure. The scope is always sent: Entra's refresh tokens are bound to no resource, and without a scope the access token may be for another one
 * than mail.
 *
 * @packageDocumentation
 */
import type { Account, AuthSettings } from '../../core/account.ts';
import { scopeParameter, type TokenForm } from './token-form.ts';

export function refreshTokenForm(
  account: Account,
  auth: Extract<AuthSettings, { grant: 'refresh_token' }>,
  refreshToken: string,
): TokenForm {
  const { clientId, clientSecret, scopes = account.provider.scopes } = auth;
  return {
    parameters: {
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: clientId,
      ...scopeParameter(scopes),
      // A public client must not send one (AADSTS700025).
      ...(clientSecret === undefined ? {} : { client_secret: clientSecret }),
    },
    secrets: clientSecret === undefined ? [refreshToken] : [refreshToken, clientSecret],
  };
}
