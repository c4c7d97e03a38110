/**
 * Asks a token endpoint: one form POST (RFC 6749 §3.2).
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import { kibibytes } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Random } from '../core/ports/random.ts';
import { ProblemError, problem } from '../core/problem.ts';
import type { Dial } from '../platform/dial.ts';
import { readSmallFile } from '../platform/small-file.ts';
import { systemRandom } from '../platform/system-random.ts';
import { type FormAuth, tokenForm } from './grants/grants.ts';
import type { FormContext, TokenForm } from './grants/token-form.ts';
import type { TokenAnswer, TokenEndpoint, TokenRequest } from './token-answer.ts';
import { askableUrl, TokenHttp, withoutQuery } from './token-http.ts';
import { readTokenResponse } from './token-response.ts';

/** What the endpoint needs. */
export interface HttpTokenEndpointOptions {
  readonly clock: Clock;
  readonly random?: Random;
  readonly dial?: Dial;
  /** For everything: connect, request, the whole body. */
  readonly deadline?: DurationMs;
}

/** Federated tokens have one to three kilobytes. */
const LARGEST_FILE = kibibytes(64);

/** For grants that post a form to the provider's token URL. */
export class HttpTokenEndpoint implements TokenEndpoint {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #http: TokenHttp;

  constructor({ random = systemRandom, ...http }: HttpTokenEndpointOptions) {
    this.#clock = http.clock;
    this.#random = random;
    this.#http = new TokenHttp(http);
  }

  async request(request: TokenRequest): Promise<TokenAnswer> {
    const { provider, auth } = request.account;
    const url = askableUrl(provider.tokenUrl);
    if (url === undefined) {
      const cause = `the token URL ${withoutQuery(provider.tokenUrl)} is not https:// (http:// is taken on loopback only); nothing was sent`;
      return {
        kind: 'problem',
        problem: problem('TOKEN_MISCONFIGURED', cause, { remedy: 'Correct providers.NAME.tokenUrl in postern.yaml.' }),
      };
    }
    let form: TokenForm;
    try {
      form = await tokenForm(request.account, formAuth(request), request.refreshToken, this.#context());
    } catch (error) {
      if (error instanceof ProblemError) return { kind: 'problem', problem: error.problem };
      throw error;
    }
    const answer = await this.#post(url, form, provider.ca);
    // What a refusal means depends on whether somebody could sign in again.
    return answer.kind === 'refused' && auth.grant !== 'refresh_token' ? { ...answer, grant: auth.grant } : answer;
  }

  async close(): Promise<void> {
    await this.#http.close();
  }

  async #post(url: URL, { parameters, secrets }: TokenForm, ca: string | undefined): Promise<TokenAnswer> {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const body = new URLSearchParams(parameters).toString();
    const response = await this.#http.request({ url, method: 'POST', headers, body, ca });
    return 'kind' in response ? response : readTokenResponse(response, this.#clock.now(), secrets);
  }

  #context(): FormContext {
    return { now: this.#clock.now(), random: this.#random, readFile: (path) => readSmallFile(path, LARGEST_FILE) };
  }
}

function formAuth({ account: { auth, name } }: TokenRequest): FormAuth {
  const isForm =
    auth.grant === 'refresh_token' ||
    auth.grant === 'service_account' ||
    (auth.grant === 'client_credentials' && auth.managedIdentity !== true);
  if (!isForm) throw new Error(`account ${name}: grant ${auth.grant} posts no form`);
  return auth;
}
