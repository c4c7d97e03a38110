/**
 * Asks the identity service of the machine (Azure) for a token.
 *
 * It is reached over http at a link-local address or on loopback, as the platform has it: no router passes such packets on. Deadlines are short, since
 * it is either near or not there.
 *
 * @packageDocumentation
 */
import type { ManagedIdentityAuth } from '../core/account.ts';
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { problem } from '../core/problem.ts';
import type { Dial } from '../platform/dial.ts';
import { type Environment, explainIdentityStatus, identityRequest, NO_IDENTITY_SERVICE } from './grants/managed-identity.ts';
import type { TokenAnswer, TokenEndpoint, TokenRequest } from './token-answer.ts';
import { askableUrl, TokenHttp, withoutQuery } from './token-http.ts';
import { readTokenResponse } from './token-response.ts';

/** What the endpoint needs. */
export interface ManagedIdentityEndpointOptions {
  readonly clock: Clock;
  readonly dial?: Dial;
  /** `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` are looked for. */
  readonly env: Environment;
}

const DEADLINES = { deadline: seconds(10), connectDeadline: seconds(3) };

export class ManagedIdentityEndpoint implements TokenEndpoint {
  readonly #clock: Clock;
  readonly #env: Environment;
  readonly #http: TokenHttp;

  constructor({ env, ...http }: ManagedIdentityEndpointOptions) {
    this.#clock = http.clock;
    this.#env = env;
    this.#http = new TokenHttp({ ...http, ...DEADLINES });
  }

  async request({ account }: TokenRequest): Promise<TokenAnswer> {
    const { url: text, headers, secrets } = identityRequest(account, identityAuth(account.auth, account.name), this.#env);
    const url = askableUrl(text, true);
    if (url === undefined) {
      const cause = `IDENTITY_ENDPOINT ${withoutQuery(text)} is neither https:// nor on this machine or link; nothing was sent`;
      return { kind: 'problem', problem: problem('TOKEN_MISCONFIGURED', cause, { remedy: 'Correct or unset IDENTITY_ENDPOINT.' }) };
    }
    const response = await this.#http.request({ url, method: 'GET', headers });
    if ('kind' in response) return response.kind === 'unreachable' ? { ...response, remedy: NO_IDENTITY_SERVICE } : response;
    const explained = explainIdentityStatus(response);
    if (explained !== undefined) return explained;
    const answer = readTokenResponse(response, this.#clock.now(), secrets);
    return answer.kind === 'refused' ? { ...answer, grant: 'client_credentials' } : answer;
  }

  async close(): Promise<void> {
    await this.#http.close();
  }
}

function identityAuth(auth: TokenRequest['account']['auth'], account: string): ManagedIdentityAuth {
  if (auth.grant === 'client_credentials' && auth.managedIdentity === true) return auth;
  throw new Error(`account ${account} has no managed identity`);
}
