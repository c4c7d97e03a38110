/**
 * The URLs of the OAuth server, laid out as at login.microsoftonline.com.
 *
 * @packageDocumentation
 */
import { type HttpAnswer, type HttpRequest, json, type Route } from '../http/answer.ts';
import { html, page } from '../http/html.ts';
import { EntraRefusal } from './entra-errors.ts';
import type { SignInPages } from './sign-in-pages.ts';
import type { TokenEndpoint } from './token-endpoint.ts';

const TENANT = '(?<tenant>[^/]+)';
const oauth = (leaf: string): RegExp => new RegExp(`^/${TENANT}/oauth2/v2\\.0/${leaf}$`);

export function oauthRoutes(tokens: TokenEndpoint, pages: SignInPages, baseUrl: () => string): readonly Route[] {
  return [
    { method: 'POST', path: oauth('token'), handle: (request) => tokens.token(request) },
    { method: 'POST', path: oauth('devicecode'), handle: (request) => tokens.deviceCode(request) },
    { method: 'GET', path: oauth('authorize'), handle: (request) => pages.authorize(request) },
    { method: 'POST', path: oauth('authorize'), handle: (request) => pages.decideAuthorization(request) },
    { method: 'GET', path: /^\/devicelogin$/, handle: (request) => pages.deviceLogin(request) },
    { method: 'POST', path: /^\/devicelogin$/, handle: (request) => pages.decideDevice(request) },
    {
      method: 'GET',
      path: new RegExp(`^/${TENANT}/v2\\.0/\\.well-known/openid-configuration$`),
      handle: (request) => discovery(request, baseUrl()),
    },
    { method: 'GET', path: /^\/error$/, handle: errorPage },
  ];
}

/** RFC 8414 §2, as far as the sandbox has something to say. */
function discovery({ parameters }: HttpRequest, base: string): HttpAnswer {
  const tenant = encodeURIComponent(parameters.get('tenant') ?? '');
  const endpoint = (leaf: string): string => `${base}/${tenant}/oauth2/v2.0/${leaf}`;
  return json(200, {
    issuer: `${base}/${tenant}/v2.0`,
    authorization_endpoint: endpoint('authorize'),
    token_endpoint: endpoint('token'),
    device_authorization_endpoint: endpoint('devicecode'),
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials', 'urn:ietf:params:oauth:grant-type:device_code'],
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
    code_challenge_methods_supported: ['S256'],
  });
}

/** Where `error_uri` points. */
function errorPage({ url }: HttpRequest): HttpAnswer {
  const code = /^\d{1,8}$/.exec(url.searchParams.get('code') ?? '')?.[0];
  const text = code === undefined ? 'Name an AADSTS number: /error?code=70008' : new EntraRefusal(Number(code)).message;
  return page('What an AADSTS number means', html`<p>${text}</p>`);
}
