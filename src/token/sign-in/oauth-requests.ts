/**
 * The requests of a sign-in, made by oauth4webapi and sent by our own HTTP: bounded, verified, through our dialer.
 *
 * What comes back is read by token-response.ts, as for every other grant, so that a refusal means the same and has the same remedy wherever it is met.
 *
 * Sources: RFC 6749 §4.1.3, RFC 7636 §4.5 (code), RFC 8628 §3.1 and §3.4 (device).
 *
 * @packageDocumentation
 */
import * as oauth from 'oauth4webapi';
import { kibibytes } from '../../core/octets.ts';
import { ProblemError, problem } from '../../core/problem.ts';
import { readSmallFile } from '../../platform/small-file.ts';
import { clientProof } from '../grants/client-proof.ts';
import { requestedScopes } from '../grants/grants.ts';
import type { TokenForm } from '../grants/token-form.ts';
import type { TokenAnswer, TokenFailure } from '../token-answer.ts';
import { askableUrl, withoutQuery } from '../token-http.ts';
import { readTokenResponse, type TokenHttpResponse } from '../token-response.ts';
import { type DeviceGrant, readDeviceResponse } from './device-response.ts';
import type { SignInAccount, SignInDependencies } from './sign-in.ts';

type SendOptions = Pick<oauth.TokenEndpointRequestOptions, typeof oauth.customFetch | typeof oauth.allowInsecureRequests>;
type Send = (proof: oauth.ClientAuth, options: SendOptions) => Promise<Response>;

const LARGEST_FILE = kibibytes(64);

/** All scopes that a sign-in asks for, each once: those of the tokens, and those that make the provider say who signed in. */
export function signInScopes(account: SignInAccount): string {
  return [...new Set([...requestedScopes(account), ...(account.provider.identityScopes ?? [])])].join(' ');
}

export class OAuthRequests {
  readonly #account: SignInAccount;
  readonly #deps: SignInDependencies;
  readonly #server: oauth.AuthorizationServer;
  readonly #client: oauth.Client;

  constructor(account: SignInAccount, deps: SignInDependencies) {
    const { tokenUrl, deviceUrl } = account.provider;
    this.#account = account;
    this.#deps = deps;
    this.#server = {
      issuer: tokenUrl,
      token_endpoint: tokenUrl,
      ...(deviceUrl === undefined ? {} : { device_authorization_endpoint: deviceUrl }),
    };
    this.#client = { client_id: account.auth.clientId };
  }

  /**
   * Exchange a code for tokens.
   *
   * @param answer - As oauth4webapi has validated it: it takes no other.
   * @throws ProblemError where the request cannot be made.
   */
  async redeemCode(answer: URLSearchParams, redirectUri: string, codeVerifier: string): Promise<TokenAnswer> {
    const secrets = [answer.get('code') ?? '', codeVerifier];
    const scope = { scope: signInScopes(this.#account) };
    return this.#askForTokens(secrets, (proof, options) =>
      oauth.authorizationCodeGrantRequest(this.#server, this.#client, proof, answer, redirectUri, codeVerifier, {
        ...options,
        additionalParameters: scope,
      }),
    );
  }

  /** Ask for a device code. @throws ProblemError where the request cannot be made. */
  async startDevice(deviceUrl: string): Promise<DeviceGrant | TokenFailure> {
    const parameters = { scope: signInScopes(this.#account) };
    const { response, secrets } = await this.#send('deviceUrl', deviceUrl, (proof, options) =>
      oauth.deviceAuthorizationRequest(this.#server, this.#client, proof, parameters, options),
    );
    return 'kind' in response ? response : readDeviceResponse(response, this.#deps.clock.now(), secrets);
  }

  /** Ask whether the person is done. @throws ProblemError where the request cannot be made. */
  async redeemDevice(deviceCode: string): Promise<TokenAnswer> {
    return this.#askForTokens([deviceCode], (proof, options) =>
      oauth.deviceCodeGrantRequest(this.#server, this.#client, proof, deviceCode, options),
    );
  }

  async #askForTokens(own: readonly string[], send: Send): Promise<TokenAnswer> {
    const { response, secrets } = await this.#send('tokenUrl', this.#account.provider.tokenUrl, send);
    return 'kind' in response ? response : readTokenResponse(response, this.#deps.clock.now(), [...own, ...secrets]);
  }

  /** The library makes the request and never sees the answer. */
  async #send(
    key: 'tokenUrl' | 'deviceUrl',
    text: string,
    send: Send,
  ): Promise<{ readonly response: TokenHttpResponse | TokenFailure; readonly secrets: readonly string[] }> {
    const url = askableUrl(text);
    if (url === undefined) throw new ProblemError(notAskable(key, text));
    const proof = await this.#proof();
    let response: TokenHttpResponse | TokenFailure | undefined;
    const post = async (body: URLSearchParams): Promise<Response> => {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      response = await this.#deps.http.request({ url, method: 'POST', headers, body: body.toString(), ca: this.#account.provider.ca });
      return new Response(null);
    };
    await send((_server, client, body) => fillIn(body, client.client_id, proof), {
      [oauth.customFetch]: (_url: string, { body }: { readonly body: URLSearchParams }) => post(body),
      // Which URLs may be asked has been decided above: http on loopback alone.
      [oauth.allowInsecureRequests]: true,
    });
    if (response === undefined) throw new Error('the request was not sent');
    return { response, secrets: proof.secrets };
  }

  async #proof(): Promise<TokenForm> {
    const { clock, random } = this.#deps;
    const context = { now: clock.now(), random, readFile: (path: string) => readSmallFile(path, LARGEST_FILE) };
    return clientProof(this.#account, this.#account.auth, context);
  }
}

function fillIn(body: URLSearchParams, clientId: string, proof: TokenForm): void {
  body.set('client_id', clientId);
  for (const [name, value] of Object.entries(proof.parameters)) body.set(name, value);
}

function notAskable(key: string, url: string) {
  const cause = `${key} ${withoutQuery(url)} is not https:// (http:// is taken on loopback only); nothing was sent`;
  return problem('TOKEN_MISCONFIGURED', cause, { remedy: `Correct providers.NAME.${key} in postern.yaml.` });
}
