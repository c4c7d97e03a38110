/**
 * The refresh_token grant (RFC 6749 §6), for mailboxes that somebody signed in to.
 *
 * The scope is always sent: Entra's refresh tokens are bound to no resource, and without a scope the access token may be for another one than mail.
 *
 * @packageDocumentation
 */
import type { Account, RefreshTokenAuth } from '../../core/account.ts';
import { clientProof } from './client-proof.ts';
import { type FormContext, scopeParameter, type TokenForm } from './token-form.ts';

/** @throws ProblemError where the application cannot prove itself. */
export async function refreshTokenForm(
  account: Account,
  auth: RefreshTokenAuth,
  refreshToken: string,
  context: FormContext,
): Promise<TokenForm> {
  const { clientId, scopes = account.provider.scopes } = auth;
  const proof = await clientProof(account, auth, context);
  return {
    parameters: {
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: clientId,
      ...scopeParameter(scopes),
      ...proof.parameters,
    },
    secrets: [refreshToken, ...proof.secrets],
  };
}
