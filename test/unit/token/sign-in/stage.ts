/**
 * Signing in to the sandbox, with everything around it in the hands of the test.
 *
 * @packageDocumentation
 */
import type { Provider } from '../../../../src/core/account.ts';
import type { Clock } from '../../../../src/core/ports/clock.ts';
import { type Problem, ProblemError } from '../../../../src/core/problem.ts';
import { systemClock } from '../../../../src/platform/system-clock.ts';
import { systemRandom } from '../../../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../../../src/sandbox/sandbox.ts';
import { type SignInAccount, type SignInDependencies, signInAccount } from '../../../../src/token/sign-in/sign-in.ts';
import { TokenHttp } from '../../../../src/token/token-http.ts';
import { testAccount, testProvider } from '../../../support/accounts.ts';
import { MemoryLog } from '../../../support/memory-log.ts';
import { MemoryTokenStore } from '../../../support/memory-token-store.ts';

export const MAILBOX = 'billing@sandbox.test';

export class SignInStage {
  readonly sandbox: Sandbox;
  readonly store = new MemoryTokenStore();
  readonly secrets = new Set<string>();
  readonly #http: TokenHttp[] = [];

  private constructor(sandbox: Sandbox) {
    this.sandbox = sandbox;
  }

  static async open(): Promise<SignInStage> {
    const options = { clock: systemClock, random: systemRandom, log: new MemoryLog(), ports: { http: 0, smtp: 0 } };
    return new SignInStage(await startSandbox(options));
  }

  deps(clock: Clock = systemClock): SignInDependencies {
    const http = new TokenHttp({ clock: systemClock });
    this.#http.push(http);
    return { http, store: this.store, clock, random: systemRandom, redactor: { add: (secret) => void this.secrets.add(secret) } };
  }

  account(changes: Partial<SignInAccount> = {}, provider: Partial<Provider> = {}): SignInAccount {
    const { authorizeUrl, tokenUrl, deviceUrl, publicClientId: clientId, tenant } = this.sandbox;
    return signInAccount(
      testAccount({
        mailbox: MAILBOX,
        smtpUser: MAILBOX,
        provider: testProvider({ authorizeUrl, tokenUrl, deviceUrl, ...provider }),
        auth: { grant: 'refresh_token', tenant, clientId },
        ...changes,
      }),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#http.map((http) => http.close()));
    await this.sandbox.close();
  }
}

/** The problem that a promise ends with. */
export async function problemOf(promise: Promise<unknown>): Promise<Problem> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ProblemError) return error.problem;
    throw error;
  }
  throw new Error('a problem was expected and none came');
}
