/**
 * A token store that forgets, and that can be made slow or broken.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../../src/core/account.ts';
import type { StoredGrant, TokenStore } from '../../src/core/ports/token-store.ts';
import { ProblemError, problem } from '../../src/core/problem.ts';

export class MemoryTokenStore implements TokenStore {
  readonly grants = new Map<AccountName, StoredGrant>();
  /** Every save that became durable, in order. */
  readonly saved: { readonly account: AccountName; readonly grant: StoredGrant }[] = [];
  readonly #marks = new Map<AccountName, string>();
  loads = 0;
  /** Set to make every call of the kind fail. */
  isLoadBroken = false;
  isSaveBroken = false;
  /** Runs before a save becomes durable. */
  beforeSave: (account: AccountName, grant: StoredGrant) => Promise<void> | void = () => {};

  async load(account: AccountName): Promise<StoredGrant | undefined> {
    this.loads += 1;
    await Promise.resolve();
    if (this.isLoadBroken) throw broken('read');
    return this.grants.get(account);
  }

  async markOf(account: AccountName): Promise<string | undefined> {
    await Promise.resolve();
    return this.#marks.get(account);
  }

  async save(account: AccountName, grant: StoredGrant): Promise<void> {
    await this.beforeSave(account, grant);
    if (this.isSaveBroken) throw broken('written');
    this.grants.set(account, structuredClone(grant));
    this.#marks.set(account, String(this.saved.length));
    this.saved.push({ account, grant });
  }

  async exclusively<Result>(_account: AccountName, action: () => Promise<Result>): Promise<Result> {
    return action();
  }
}

function broken(verb: string): ProblemError {
  return new ProblemError(problem('TOKEN_STORE_FAILED', `the stored grant could not be ${verb}: the test says so`));
}
