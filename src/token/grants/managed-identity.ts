/**
 * Asks the machine's own platform for a token (managed identity at Azure): there is no secret, the place of the request is the proof.
 *
 * Pure. Two dialects: the metadata service of virtual machines and Kubernetes nodes, and App Service with its kin, which name their address and a
 * header in the environment.
 *
 * Source: Microsoft's pages on managed identities with virtual machines (api-version 2018-02-01) and with App Service (2019-08-01).
 *
 * @packageDocumentation
 */
import type { Account, ManagedIdentityAuth } from '../../core/account.ts';
import { seconds } from '../../core/clock.ts';
import { problem } from '../../core/problem.ts';
import type { TokenFailure } from '../token-answer.ts';
import type { TokenHttpResponse } from '../token-response.ts';

/** A GET request. */
export interface IdentityRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
}

/** Of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

const METADATA_SERVICE = 'http://169.254.169.254/metadata/identity/oauth2/token';

export function identityRequest({ provider }: Account, auth: ManagedIdentityAuth, env: Environment): IdentityRequest {
  const [scope = ''] = auth.scopes ?? provider.applicationScopes;
  // The platform knows resources, not scopes.
  const query = { resource: scope.replace(/\/\.default$/, ''), ...(auth.clientId === undefined ? {} : { client_id: auth.clientId }) };
  const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: header } = env;
  if (isSet(endpoint) && isSet(header)) {
    const url = withQuery(endpoint, { 'api-version': '2019-08-01', ...query });
    return { url, headers: { 'X-IDENTITY-HEADER': header }, secrets: [header] };
  }
  const url = withQuery(isSet(endpoint) ? endpoint : METADATA_SERVICE, { 'api-version': '2018-02-01', ...query });
  // It answers nobody who does not say this, so that no forged link can fetch a token.
  return { url, headers: { Metadata: 'true' }, secrets: [] };
}

const isSet = (value: string | undefined): value is string => value !== undefined && value !== '';

const withQuery = (url: string, parameters: Readonly<Record<string, string>>): string =>
  `${url}${url.includes('?') ? '&' : '?'}${new URLSearchParams(parameters).toString()}`;

const ASSIGN =
  'Azure portal > the virtual machine or app > Identity: switch the system-assigned identity on, or assign the one whose id is in auth.clientId. It takes some minutes.';

/** What a status means here and nowhere else; undefined where the general reading is right. `IMDS` documents 404 and 410 as passing. */
export function explainIdentityStatus({ status, host, body }: TokenHttpResponse): TokenFailure | undefined {
  if (status === 404)
    return { kind: 'busy', cause: `${host} answered HTTP 404: the identity service is not ready, or no identity is assigned` };
  if (status === 410)
    return { kind: 'busy', cause: `${host} answered HTTP 410: the identity service is being renewed`, retryAfter: seconds(70) };
  const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429;
  // Where Entra itself refused, its number says more.
  if (!isRefused || /AADSTS\d/.test(body)) return undefined;
  const cause = `${host} answered HTTP ${status}: this machine has no such managed identity`;
  return { kind: 'problem', problem: problem('TOKEN_MISCONFIGURED', cause, { remedy: ASSIGN }) };
}

/** Where nothing listens, this is not Azure. */
export const NO_IDENTITY_SERVICE =
  'managedIdentity works on Azure virtual machines, AKS, App Service, Functions and Container Apps. Elsewhere use a certificate or federatedTokenFile.';
