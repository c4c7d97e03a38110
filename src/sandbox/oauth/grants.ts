/**
 * The grants of the token endpoint: from a request to a token response, or an {@link EntraRefusal}.
 *
 * Source: RFC 6749 §4.1.3, §4.4, §6; RFC 8628 §3.4.
 *
 * @packageDocumentation
 */
import type { Directory, SandboxClient } from '../directory.ts';
import type { FaultSwitches } from '../faults.ts';
import type { AccessTokens } from './access-tokens.ts';
import type { AuthorizationCodes } from './authorization-codes.ts';
import type { DeviceCodes } from './device-codes.ts';
import { EntraRefusal } from './entra-errors.ts';
import type { RefreshTokens } from './refresh-tokens.ts';
import { applicationScopes, delegatedScopes, presentScopes, splitScopes } from './scopes.ts';

/** Everything the OAuth server remembers. */
export interface OAuthState {
  readonly directory: Directory;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly codes: AuthorizationCodes;
  readonly devices: DeviceCodes;
  readonly faults: FaultSwitches;
}

/** A successful answer (RFC 6749 §5.1), with Entra's own field beside `expires_in`. */
export interface TokenResponse {
  readonly token_type: 'Bearer';
  readonly scope?: string;
  readonly expires_in: number;
  readonly ext_expires_in: number;
  readonly access_token: string;
  readonly refresh_token?: string;
}

/** Answer a token request of an authenticated client. @throws EntraRefusal */
export function answerGrant(state: OAuthState, client: SandboxClient, form: URLSearchParams): TokenResponse {
  const grantType = required(form, 'grant_type');
  switch (grantType) {
    case 'refresh_token':
      return refresh(state, client, form);
    case 'client_credentials':
      return clientCredentials(state, client, form);
    case 'authorization_code':
      return authorizationCode(state, client, form);
    case 'urn:ietf:params:oauth:grant-type:device_code':
    case 'device_code':
      return deviceCode(state, client, form);
    default:
      throw new EntraRefusal(70003);
  }
}

export function required(form: URLSearchParams, name: string): string {
  const value = form.get(name);
  if (value === null || value === '') throw new EntraRefusal(900144, name);
  return value;
}

function refresh(state: OAuthState, client: SandboxClient, form: URLSearchParams): TokenResponse {
  const sent = required(form, 'refresh_token');
  const record = state.refreshTokens.redeem(sent, client.clientId);
  const asked = splitScopes(form.get('scope') ?? '');
  const response = delegated(state, client, record.mailbox, asked.length === 0 ? record.scopes : asked);
  const { refreshTokens } = state.faults.token;
  if (refreshTokens === 'omit') return response;
  if (refreshTokens === 'same') return { ...response, refresh_token: sent };
  state.refreshTokens.markReplaced(record);
  return { ...response, refresh_token: state.refreshTokens.issue(record, record.line) };
}

function clientCredentials(state: OAuthState, client: SandboxClient, form: URLSearchParams): TokenResponse {
  if (client.clientSecret === undefined) throw new EntraRefusal(7000218, 'a public application has no token of its own');
  const { audience, names } = applicationScopes(splitScopes(required(form, 'scope')));
  const { value, lifetimeSeconds } = state.accessTokens.issue({ audience, clientId: client.clientId, scopes: [], roles: names });
  return { token_type: 'Bearer', expires_in: lifetimeSeconds, ext_expires_in: lifetimeSeconds, access_token: value };
}

function authorizationCode(state: OAuthState, client: SandboxClient, form: URLSearchParams): TokenResponse {
  const { mailbox, scopes } = state.codes.redeem(
    required(form, 'code'),
    client.clientId,
    required(form, 'redirect_uri'),
    form.get('code_verifier'),
  );
  return signedIn(state, client, mailbox, scopes, splitScopes(form.get('scope') ?? ''));
}

function deviceCode(state: OAuthState, client: SandboxClient, form: URLSearchParams): TokenResponse {
  const { mailbox, scopes } = state.devices.redeem(required(form, 'device_code'), client.clientId);
  return signedIn(state, client, mailbox, scopes, splitScopes(form.get('scope') ?? ''));
}

/** A person has signed in. A refresh token comes only where `offline_access` was asked for. */
function signedIn(
  state: OAuthState,
  client: SandboxClient,
  mailbox: string,
  granted: readonly string[],
  asked: readonly string[],
): TokenResponse {
  const response = delegated(state, client, mailbox, asked.length === 0 ? granted : asked);
  if (!granted.includes('offline_access')) return response;
  return { ...response, refresh_token: state.refreshTokens.issue({ mailbox, clientId: client.clientId, scopes: granted }) };
}

function delegated(state: OAuthState, client: SandboxClient, mailbox: string, scopes: readonly string[]): TokenResponse {
  if (state.directory.findMailbox(mailbox) === undefined) throw new EntraRefusal(50034);
  const resource = delegatedScopes(scopes);
  const grant = { audience: resource.audience, clientId: client.clientId, mailbox, scopes: resource.names, roles: [] };
  const { value, lifetimeSeconds } = state.accessTokens.issue(grant);
  return {
    token_type: 'Bearer',
    scope: presentScopes(resource),
    expires_in: lifetimeSeconds,
    ext_expires_in: lifetimeSeconds,
    access_token: value,
  };
}
