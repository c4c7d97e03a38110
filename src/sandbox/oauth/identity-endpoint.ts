/**
 * `GET /metadata/identity/oauth2/token`: the identity service of a virtual machine at Azure, which gives tokens to whoever is on the machine.
 *
 * Source: Microsoft's page on managed identities with virtual machines.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../../core/clock.ts';
import { type HttpAnswer, type HttpRequest, json } from '../http/answer.ts';
import type { TrustedCredentials } from '../trusted-credentials.ts';
import { EntraRefusal } from './entra-errors.ts';
import type { OAuthState } from './grants.ts';
import { applicationScopes } from './scopes.ts';

export function identityToken(
  { headers, url }: HttpRequest,
  state: OAuthState,
  trusted: TrustedCredentials,
  clientId: string,
  now: EpochMs,
): HttpAnswer {
  // Without this header a forged link in a browser could fetch a token.
  if (headers['metadata'] !== 'true') return refusal('Required metadata header not specified');
  const resource = url.searchParams.get('resource');
  if (url.searchParams.get('api-version') !== '2018-02-01' || resource === null) return refusal('api-version or resource is missing');
  const wanted = url.searchParams.get('client_id');
  if (wanted !== null && !trusted.hasIdentity(wanted)) return refusal('Identity not found');
  try {
    const { audience, names } = applicationScopes([`${resource}/.default`]);
    const { value, lifetimeSeconds } = state.accessTokens.issue({ audience, clientId: wanted ?? clientId, scopes: [], roles: names });
    // Numbers are strings here, and nowhere else.
    const times = { expires_in: String(lifetimeSeconds), expires_on: String(Math.floor(now / 1000) + lifetimeSeconds) };
    return json(200, { access_token: value, client_id: wanted ?? clientId, ...times, resource, token_type: 'Bearer' });
  } catch (error) {
    if (error instanceof EntraRefusal) return json(400, { error: 'invalid_resource', error_description: error.message });
    throw error;
  }
}

const refusal = (description: string): HttpAnswer => json(400, { error: 'invalid_request', error_description: description });
