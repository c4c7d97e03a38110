/**
 * A token manager with everything around it in the hands of the test.
 *
 * @packageDocumentation
 */
import type { Account, AuthSettings } from '../../../src/core/account.ts';
import { hours } from '../../../src/core/clock.ts';
import type { AccessToken } from '../../../src/core/ports/token-source.ts';
import { type Problem, ProblemError } from '../../../src/core/problem.ts';
import { TokenManager } from '../../../src/token/token-manager.ts';
import { testAccount } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryTokenStore } from '../../support/memory-token-store.ts';
import { ScriptedTokenEndpoint } from '../../support/scripted-token-endpoint.ts';

export class ManagerStage {
  readonly clock = new FakeClock();
  readonly log = new MemoryLog();
  readonly secrets = new Set<string>();
  readonly endpoint: ScriptedTokenEndpoint;
  readonly store: MemoryTokenStore;
  readonly manager: TokenManager;

  constructor(options: { accounts?: readonly Account[]; store?: MemoryTokenStore; endpoint?: ScriptedTokenEndpoint } = {}) {
    this.store = options.store ?? new MemoryTokenStore();
    this.endpoint = options.endpoint ?? new ScriptedTokenEndpoint();
    this.manager = new TokenManager({
      accounts: options.accounts ?? [testAccount()],
      store: this.store,
      endpoint: this.endpoint,
      clock: this.clock,
      random: { fraction: () => 0, octets: (count) => new Uint8Array(count) },
      log: this.log,
      redactor: { add: (secret) => void this.secrets.add(secret) },
    });
  }

  async token(account = 'billing'): Promise<AccessToken> {
    return this.manager.accessToken(account);
  }

  /** The problem that asking for a token meets now. */
  async problem(account = 'billing'): Promise<Problem> {
    return problemOf(this.manager.accessToken(account));
  }

  get requests(): number {
    return this.endpoint.requests.length;
  }

  get state(): string | undefined {
    return this.manager.describe('billing')?.state;
  }

  /** Past the end of a token of an hour. */
  async expire(): Promise<void> {
    await this.clock.advance(hours(1));
  }
}

export async function problemOf(promise: Promise<unknown>): Promise<Problem> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof ProblemError) return error.problem;
    throw error;
  }
  throw new Error('a problem was expected and none came');
}

type RefreshTokenAuth = Extract<AuthSettings, { grant: 'refresh_token' }>;

export function withAuth(changes: Partial<RefreshTokenAuth>, account: Partial<Account> = {}): Account {
  return testAccount({
    ...account,
    auth: { grant: 'refresh_token', clientId: 'test-client', refreshToken: 'seed-refresh-token', ...changes },
  });
}
