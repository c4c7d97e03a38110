/**
 * The grants, by name: what each needs and sends. A new grant is a file beside this one and a case here.
 *
 * Grants that post a form are made into one here; managed identities and commands are asked in ways of their own (../token-router.ts).
 *
 * @packageDocumentation
 */
import type { Account, AuthSettings, ClientCredentialsAuth, RefreshTokenAuth, ServiceAccountAuth } from '../../core/account.ts';
import { clientCredentialsForm } from './client-credentials.ts';
import { refreshTokenForm } from './refresh-token.ts';
import { serviceAccountForm } from './service-account.ts';
import type { FormContext, TokenForm } from './token-form.ts';

/** Settings of a grant that posts a form to the provider's token URL. */
export type FormAuth = RefreshTokenAuth | ClientCredentialsAuth | ServiceAccountAuth;

/** The seed of a line of refresh tokens: undefined for grants that have none, and where the configuration gives none. */
export function configuredSeed(auth: AuthSettings): string | undefined {
  return auth.grant === 'refresh_token' ? auth.refreshToken : undefined;
}

/** True for grants that cannot ask without a refresh token. */
export function needsRefreshToken(auth: AuthSettings): boolean {
  return auth.grant === 'refresh_token';
}

/** Who asks, as far as it decides what a token is good for. No secret. */
export function identityOf(auth: AuthSettings): readonly (string | undefined)[] {
  switch (auth.grant) {
    case 'refresh_token':
      return [auth.tenant, auth.clientId];
    case 'client_credentials':
      return auth.managedIdentity === true ? ['managed identity', auth.clientId] : [auth.tenant, auth.clientId];
    case 'service_account':
      return [auth.clientEmail];
    case 'command':
      return [auth.directory, ...auth.command];
    default:
      return []; // A password has no token.
  }
}

/** What decides about an access token besides who asks: the scopes that are asked for. */
export function requestedScopes({ auth, provider }: Account): readonly string[] {
  switch (auth.grant) {
    case 'refresh_token':
    case 'service_account':
      return auth.scopes ?? provider.scopes;
    case 'client_credentials':
      return auth.scopes ?? provider.applicationScopes;
    default:
      return []; // The program decides; a password has none.
  }
}

/**
 * @throws ProblemError where the form cannot be made; nothing was sent.
 * @throws Error where the grant needs a refresh token and none is given: the manager asks {@link needsRefreshToken} first.
 */
export async function tokenForm(
  account: Account,
  auth: FormAuth,
  refreshToken: string | undefined,
  context: FormContext,
): Promise<TokenForm> {
  if (auth.grant === 'client_credentials') return clientCredentialsForm(account, auth, context);
  if (auth.grant === 'service_account') return serviceAccountForm(account, auth, context);
  if (refreshToken === undefined) throw new Error(`no refresh token for account ${account.name}`);
  return refreshTokenForm(account, auth, refreshToken, context);
}
