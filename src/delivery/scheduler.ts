/**
 * All accounts' queues: starts them, tells them of changes in the spool, and brings them to an end.
 *
 * @packageDocumentation
 */
import { isDeepStrictEqual } from 'node:util';
import type { Account, AccountName } from '../core/account.ts';
import type { SpoolChange } from '../core/ports/spool.ts';
import type { AccountState } from './account-state.ts';
import { Lane, type LaneDependencies } from './lane.ts';

/** What a scheduler needs. */
export interface SchedulerDependencies extends LaneDependencies {
  readonly accounts: readonly Account[];
}

export class Scheduler {
  readonly #deps: SchedulerDependencies;
  readonly #lanes = new Map<AccountName, Lane>();
  /** Of accounts that were removed: should one come back while attempts are still under way, it goes on with the same lane. */
  readonly #removed = new Map<AccountName, Lane>();
  #isStarted = false;
  #unsubscribe: () => void = () => {};

  constructor(deps: SchedulerDependencies) {
    this.#deps = deps;
    for (const account of deps.accounts) this.#lanes.set(account.name, new Lane(account, deps));
  }

  /** Undefined for an account that is not configured. */
  laneOf(account: AccountName): Lane | undefined {
    return this.#lanes.get(account);
  }

  /** Undefined for an account that is not configured. */
  stateOf(account: AccountName): AccountState | undefined {
    return this.#lanes.get(account)?.gate.state;
  }

  /** Begin to deliver what is in the spool. */
  async start(): Promise<void> {
    this.#isStarted = true;
    this.#unsubscribe = this.#deps.spool.onChange((change) => this.#heed(change));
    await this.#reportOrphans();
    for (const lane of this.#lanes.values()) lane.start();
  }

  /** Take over a changed configuration. Accounts that did not change notice nothing. */
  async updateAccounts(accounts: readonly Account[]): Promise<void> {
    const names = new Set(accounts.map(({ name }) => name));
    let hasLost = false;
    for (const [name, lane] of this.#lanes) {
      if (names.has(name)) continue;
      lane.pause();
      this.#lanes.delete(name);
      this.#removed.set(name, lane);
      hasLost = true;
    }
    for (const account of accounts) this.#update(account);
    if (hasLost) await this.#reportOrphans();
  }

  #update(account: Account): void {
    const known = this.#lanes.get(account.name);
    if (known !== undefined) {
      if (!isDeepStrictEqual(known.account, account)) known.update(account);
      return;
    }
    const returning = this.#removed.get(account.name);
    const lane = returning ?? new Lane(account, this.#deps);
    this.#removed.delete(account.name);
    this.#lanes.set(account.name, lane);
    returning?.update(account);
    if (this.#isStarted) lane.start();
  }

  async #reportOrphans(): Promise<void> {
    const { spool, log } = this.#deps;
    for (const { account, entries } of await spool.accounts()) if (!this.#lanes.has(account)) log.orphaned(account, entries);
  }

  /** Something says that the trouble of an account may be over: it has a token again, or an operator has acted. */
  repaired(account: AccountName): void {
    this.#lanes.get(account)?.gate.repaired();
  }

  /** Resolves once every attempt under way has ended and been recorded. Only to be waited for when the pauses are over. */
  async stop(): Promise<void> {
    this.#unsubscribe();
    await Promise.all([...this.#lanes.values(), ...this.#removed.values()].map((lane) => lane.stop()));
  }

  #heed({ kind, account, queueId }: SpoolChange): void {
    const lane = this.#lanes.get(account);
    if (kind === 'accepted') lane?.wake();
    if (kind === 'changed') lane?.heed(queueId);
    if (kind !== 'accepted') this.#deps.deadLetters.changed(account);
  }
}
