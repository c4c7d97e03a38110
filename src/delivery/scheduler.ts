/**
 * All accounts' queues: starts them, tells them of changes in the spool, and brings them to an end.
 *
 * @packageDocumentation
 */
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
  readonly #lanes: ReadonlyMap<AccountName, Lane>;
  #unsubscribe: () => void = () => {};

  constructor(deps: SchedulerDependencies) {
    this.#deps = deps;
    this.#lanes = new Map(deps.accounts.map((account) => [account.name, new Lane(account, deps)]));
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
    const { spool, log } = this.#deps;
    this.#unsubscribe = spool.onChange((change) => this.#heed(change));
    for (const { account, entries } of await spool.accounts()) if (!this.#lanes.has(account)) log.orphaned(account, entries);
    for (const lane of this.#lanes.values()) lane.start();
  }

  /** Something says that the trouble of an account may be over: it has a token again, or an operator has acted. */
  repaired(account: AccountName): void {
    this.#lanes.get(account)?.gate.repaired();
  }

  /** Resolves once every attempt under way has ended and been recorded. Only to be waited for when the pauses are over. */
  async stop(): Promise<void> {
    this.#unsubscribe();
    await Promise.all([...this.#lanes.values()].map((lane) => lane.stop()));
  }

  #heed({ kind, account, queueId }: SpoolChange): void {
    const lane = this.#lanes.get(account);
    if (kind === 'accepted') lane?.wake();
    if (kind === 'changed') lane?.heed(queueId);
    if (kind !== 'accepted') this.#deps.deadLetters.changed(account);
  }
}
