/**
 * Keeps the alert about messages that could be neither delivered nor returned true: raised with each, cleared once an operator has dealt with the last.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../core/account.ts';
import { minutes } from '../core/clock.ts';
import type { Alerts } from '../core/ports/alerts.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { Spool } from '../core/ports/spool.ts';
import type { Problem } from '../core/problem.ts';

/** What the watch needs. */
export interface DeadLetterWatchDependencies {
  readonly spool: Spool;
  readonly clock: Clock;
  readonly alerts: Alerts;
}

/** Looking takes a while where the queue is long, and nobody waits for it. */
const LOOK_AFTER = minutes(1);

export class DeadLetterWatch {
  readonly #deps: DeadLetterWatchDependencies;
  /** Accounts with an alert that is open, or was when the last process ended. */
  readonly #accounts: Set<AccountName>;
  #timer: Timer | undefined;

  constructor(accounts: Iterable<AccountName>, deps: DeadLetterWatchDependencies) {
    this.#accounts = new Set(accounts);
    this.#deps = deps;
  }

  /** There is another one. */
  found(account: AccountName, problem: Problem): void {
    this.#accounts.add(account);
    this.#deps.alerts.raise({ account, topic: 'dead-letters', event: 'dead_letter', problem });
  }

  /** Something in the queue of an account has changed: perhaps the last one is gone. */
  changed(account: AccountName): void {
    if (!this.#accounts.has(account)) return;
    this.#timer ??= this.#deps.clock.startTimer(LOOK_AFTER, () => void this.#look(), { isBackground: true });
  }

  close(): void {
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    for (const account of this.#accounts) {
      if (await this.#isAnyLeft(account)) continue;
      this.#accounts.delete(account);
      this.#deps.alerts.clear(account, 'dead-letters');
    }
  }

  async #isAnyLeft(account: AccountName): Promise<boolean> {
    for await (const _ of this.#deps.spool.entries({ account, holdCode: 'DEAD_LETTER' })) return true;
    return false;
  }
}
