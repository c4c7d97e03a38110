/**
 * One sign-in with authorization code and PKCE: the address to open, and what to make of whatever comes back.
 *
 * An answer counts once, within ten minutes, and only with the state of this very flow; the code in it is exchanged with the verifier of this flow,
 * so that a code that somebody slips in is worth nothing. An answer without the right state ends nothing: any web page can make a browser send one.
 *
 * Sources: RFC 6749 §4.1, RFC 7636 (S256 only), RFC 9700 §2.1 and §4.7 (state), RFC 8252. RFC 9207 (`iss`) is not needed: each flow knows its one server,
 * which the operator has configured.
 *
 * @packageDocumentation
 */
import * as oauth from 'oauth4webapi';
import { type MonotonicMs, plus } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { type Problem, problem } from '../../core/problem.ts';
import { cleanText } from '../../core/reply.ts';
import type { TokenAnswer } from '../token-answer.ts';
import { classifyTokenError } from '../token-error.ts';
import { askableUrl, withoutQuery } from '../token-http.ts';
import { readErrorCodes } from '../token-response.ts';
import { OAuthRequests, signInScopes } from './oauth-requests.ts';
import { expired, SIGN_IN_LIMIT, type SignInAccount, type SignInDependencies, unavailable } from './sign-in.ts';

/** What an answer of the browser means. */
export type Received =
  /** Not the answer to this flow; it goes on. `why` completes "The answer …". */
  | { readonly kind: 'stranger'; readonly why: string }
  /** The flow has ended without a code. */
  | { readonly kind: 'ended'; readonly problem: Problem }
  /** The flow has ended with a code. */
  | { readonly kind: 'code'; readonly redeem: () => Promise<TokenAnswer> };

const LONGEST_REASON = 300;

export class AuthorizationFlow {
  /** For the person to open. It holds no secret: state and challenge are of use only together with the verifier. */
  readonly url: string;
  /** Nothing counts from then on. */
  readonly endsAt: MonotonicMs;
  readonly #requests: OAuthRequests;
  readonly #redirectUri: string;
  readonly #state: string;
  readonly #codeVerifier: string;
  readonly #clock: Clock;
  #isUsed = false;

  private constructor(requests: OAuthRequests, url: string, redirectUri: string, state: string, codeVerifier: string, clock: Clock) {
    this.url = url;
    this.endsAt = plus(clock.monotonic(), SIGN_IN_LIMIT);
    this.#requests = requests;
    this.#redirectUri = redirectUri;
    this.#state = state;
    this.#codeVerifier = codeVerifier;
    this.#clock = clock;
  }

  /** @throws ProblemError `SIGN_IN_UNAVAILABLE` where the provider has no page to sign in. */
  static async begin(account: SignInAccount, redirectUri: string, deps: SignInDependencies): Promise<AuthorizationFlow> {
    const codeVerifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    deps.redactor.add(codeVerifier);
    const challenge = await oauth.calculatePKCECodeChallenge(codeVerifier);
    const url = authorizationUrl(account, { redirect_uri: redirectUri, state, code_challenge: challenge });
    return new AuthorizationFlow(new OAuthRequests(account, deps), url, redirectUri, state, codeVerifier, deps.clock);
  }

  /** @param parameters - The query of the address that the browser was sent to. */
  receive(parameters: URLSearchParams): Received {
    if (this.#clock.monotonic() >= this.endsAt) return { kind: 'ended', problem: expired(SIGN_IN_LIMIT) };
    const states = parameters.getAll('state');
    if (states.length === 0) return { kind: 'stranger', why: 'has no state' };
    if (states.length > 1 || states[0] !== this.#state) return { kind: 'stranger', why: 'belongs to another sign-in (state)' };
    if (this.#isUsed) return { kind: 'stranger', why: 'was used already' };
    // A server other than ours cannot know the state, so there is no mix-up for `iss` to tell.
    const own = new URLSearchParams([...parameters].filter(([name]) => name !== 'iss'));
    if (own.getAll('error').length === 1) return this.#end(refusalProblem(own));
    if (own.getAll('code').length !== 1) return { kind: 'stranger', why: 'has no code, or more than one' };
    let answer: URLSearchParams;
    try {
      answer = oauth.validateAuthResponse({ issuer: this.#redirectUri }, { client_id: 'unused' }, own, this.#state);
    } catch (error) {
      // The error holds the parameters, so nothing of it goes any further.
      return { kind: 'stranger', why: `is no answer to an authorization request (${error instanceof Error ? error.name : 'unknown'})` };
    }
    this.#isUsed = true;
    return { kind: 'code', redeem: () => this.#requests.redeemCode(answer, this.#redirectUri, this.#codeVerifier) };
  }

  #end(what: Problem): Received {
    this.#isUsed = true;
    return { kind: 'ended', problem: what };
  }
}

/** Parameters of OAuth win over those configured: `authorizeParameters` adds, and replaces nothing. */
function authorizationUrl(account: SignInAccount, own: Readonly<Record<string, string>>): string {
  const { provider, auth, smtpUser, name } = account;
  if (provider.authorizeUrl === undefined) throw unavailable(`provider ${provider.name} of account ${name} has no authorizeUrl`);
  const url = askableUrl(provider.authorizeUrl);
  if (url === undefined)
    throw unavailable(`authorizeUrl ${withoutQuery(provider.authorizeUrl)} is not https:// (http:// is taken on loopback only)`);
  const parameters = {
    // Saves typing, and picks the right one of several sessions. Who it really was is looked at afterwards.
    login_hint: smtpUser,
    ...provider.authorizeParameters,
    client_id: auth.clientId,
    response_type: 'code',
    scope: signInScopes(account),
    code_challenge_method: 'S256',
    ...own,
  };
  for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value);
  return url.href;
}

/** RFC 6749 §4.1.2.1. The texts come from outside: cleaned, cut, and shown as text only. */
function refusalProblem(parameters: URLSearchParams): Problem {
  const read = (key: string): string => cleanText(parameters.get(key) ?? '').slice(0, LONGEST_REASON);
  const error = read('error');
  const description = read('error_description');
  const errorCodes = readErrorCodes(undefined, description);
  const reason = description === '' ? error : `${error}: ${description}`;
  const known = classifyTokenError({ error, errorCodes, httpStatus: 400, ...(description === '' ? {} : { description }) });
  // Without a number, access_denied is what a person who changed their mind looks like.
  const isDeclined = error === 'access_denied' && errorCodes.length === 0;
  return problem('SIGN_IN_REFUSED', `the provider sent back ${reason}`, isDeclined ? {} : { remedy: known.problem.remedy });
}
