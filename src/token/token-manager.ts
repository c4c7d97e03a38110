/**
 * The access tokens of all accounts.
 *
 * Each account is on its own ({@link ./account-tokens.ts}): no token, trouble or wait of one touches another. Accounts that sign in with a password
 * are none of its business.
 *
 * @packageDocumentation
 */
import { type Account, type AccountName, usesTokens } from '../core/account.ts';
import { milliseconds } from '../core/clock.ts';
import type { AccessToken, TokenSource } from '../core/ports/token-source.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { AccountTokens, type AccountTokensDependencies, type TokenStatus } from './account-tokens.ts';

/** What the manager needs. */
export interface TokenManagerOptions extends AccountTokensDependencies {
  readonly accounts: readonly Account[];
}

/** At the start first tries are spread: so much for each account, … */
const START_SPREAD_EACH = 100;
/** … up to this. */
const START_SPREAD = 10_000;

export class TokenManager implements TokenSource {
  readonly #deps: AccountTokensDependencies;
  readonly #accounts = new Map<AccountName, AccountTokens>();
  /** Accounts that were removed: should one come back while its last try is still in progress, no second one may start beside that. */
  readonly #removed = new Map<AccountName, AccountTokens>();
  #isStarted = false;

  constructor({ accounts, ...deps }: TokenManagerOptions) {
    this.#deps = deps;
    for (const account of accounts.filter(({ auth }) => usesTokens(auth)))
      this.#accounts.set(account.name, new AccountTokens(account, deps));
  }

  async accessToken(account: AccountName): Promise<AccessToken> {
    return this.#tokensOf(account).accessToken();
  }

  async replaceRefused(account: AccountName, refused: AccessToken): Promise<AccessToken> {
    return this.#tokensOf(account).replaceRefused(refused);
  }

  /**
   * Ask the token endpoint now, whatever is in hand.
   *
   * @throws ProblemError as {@link accessToken}.
   */
  async refresh(account: AccountName): Promise<AccessToken> {
    return this.#tokensOf(account).refresh();
  }

  /** Get and renew tokens ahead of need from now on, for every account: trouble is then seen before a message meets it. */
  start(): void {
    this.#isStarted = true;
    for (const tokens of this.#accounts.values()) this.#start(tokens);
  }

  /** Take over a changed configuration. Accounts that did not change keep their tokens; a changed seed or secret is tried at once. */
  updateAccounts(configured: readonly Account[]): void {
    const accounts = configured.filter(({ auth }) => usesTokens(auth));
    const names = new Set(accounts.map(({ name }) => name));
    for (const [name, tokens] of this.#accounts) {
      if (names.has(name)) continue;
      tokens.pause();
      this.#accounts.delete(name);
      this.#removed.set(name, tokens);
    }
    for (const account of accounts) {
      const known = this.#accounts.get(account.name);
      if (known === undefined) this.#add(account);
      else known.update(account);
    }
  }

  /** For status pages and commands; without secrets. Undefined for an account that is not configured. */
  describe(account: AccountName): TokenStatus | undefined {
    return this.#accounts.get(account)?.describe();
  }

  /** Ends background work, and the endpoint. Tries in progress get five seconds, so that no rotated refresh token is lost. */
  async close(): Promise<void> {
    await Promise.all([...this.#accounts.values(), ...this.#removed.values()].map(async (tokens) => tokens.close()));
    await this.#deps.endpoint.close();
  }

  #add(account: Account): void {
    const returning = this.#removed.get(account.name);
    const tokens = returning ?? new AccountTokens(account, this.#deps);
    this.#removed.delete(account.name);
    this.#accounts.set(account.name, tokens);
    returning?.update(account);
    if (this.#isStarted) this.#start(tokens);
  }

  #start(tokens: AccountTokens): void {
    const spread = Math.min(START_SPREAD, START_SPREAD_EACH * this.#accounts.size);
    tokens.start(milliseconds(this.#deps.random.fraction() * spread));
  }

  #tokensOf(account: AccountName): AccountTokens {
    const tokens = this.#accounts.get(account);
    if (tokens === undefined) throw new ProblemError(problem('TOKEN_MISCONFIGURED', `there is no account named ${account}`));
    return tokens;
  }
}
