/**
 * The grants, by name: what each needs and sends. A new grant is a file beside this one and a case here.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { Account, AuthSettings } from '../../core/account.ts';
import { clientCredentialsForm } from './client-credentials.ts';
import { refreshTokenForm } from './refresh-token.ts';
import type { TokenForm } from './token-form.ts';

/** The seed of a line of refresh tokens: undefined for grants that have none, and where the configuration gives none. */
export function configuredSeed(auth: AuthSettings): string | undefined {
  return auth.grant === 'refresh_token' ? auth.refreshToken : undefined;
}

/** True for grants that cannot ask without a refresh token. */
export function needsRefreshToken(auth: AuthSettings): boolean {
  return auth.grant === 'refresh_token';
}

/** What decides about an access token besides secrets: the scopes that are asked for. */
export function requestedScopes({ auth, provider }: Account): readonly string[] {
  if (auth.scopes !== undefined) return auth.scopes;
  return auth.grant === 'client_credentials' ? provider.applicationScopes : provider.scopes;
}

/** @throws Error where the grant needs a refresh token and none is given: the manager asks {@link needsRefreshToken} first. */
export function tokenForm(account: Account, refreshToken: string | undefined): TokenForm {
  const { auth } = account;
  if (auth.grant === 'client_credentials') return clientCredentialsForm(account, auth);
  if (refreshToken === undefined) throw new Error(`no refresh token for account ${account.name}`);
  return refreshTokenForm(account, auth, refreshToken);
}
