/**
 * Lets attempts of one account begin, or not: by what is known of its trouble, and by its pace.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, milliseconds, type MonotonicMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Random } from '../core/ports/random.ts';
import type { AccountRef } from './account-ref.ts';
import { type AccountState, afterRepair, afterSuccess, afterTrouble, mayBegin, OPEN } from './account-state.ts';
import type { DeliveryLog } from './delivery-log.ts';
import type { AccountOutcome } from './outcome.ts';
import type { Counted, Pacer } from './pacer.ts';

/** What a gate needs. */
export interface GateDependencies {
  readonly pacer: Pacer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: DeliveryLog;
}

export class AccountGate {
  readonly #account: Readonly<AccountRef>;
  readonly #deps: GateDependencies;
  readonly #listeners = new Set<() => void>();
  #state: AccountState = OPEN;

  constructor(account: Readonly<AccountRef>, deps: GateDependencies) {
    this.#account = account;
    this.#deps = deps;
  }

  get state(): AccountState {
    return this.#state;
  }

  /** How many attempts may begin, while `underWay` are. */
  room(underWay: { readonly attempts: number; readonly probes: number }): number {
    const { connections } = this.#account.current.provider.limits;
    switch (mayBegin(this.#state, this.#deps.clock.monotonic())) {
      case 'all':
        return connections - underWay.attempts;
      case 'one':
        return 1 - underWay.probes;
      case 'none':
        return 0;
    }
  }

  /** How long the account's trouble keeps it from trying; 0 where it does not. */
  get troubleWait(): DurationMs {
    if (this.#state.kind === 'open') return milliseconds(0);
    return milliseconds(Math.max(0, between(this.#deps.clock.monotonic(), this.#state.until)));
  }

  /** How long the pace keeps a message to so many recipients from going; 0 where it does not. */
  paceWait(recipients: number): DurationMs {
    return this.#deps.pacer.waitFor(this.#account.current, recipients);
  }

  /** A message to so many recipients goes now. To be said in the turn in which the pace was asked, lest others take the same room. */
  count(recipients: number): Counted {
    return this.#deps.pacer.count(this.#account.current, recipients);
  }

  /** What an attempt that began at `began` has shown. */
  learn(outcome: AccountOutcome, began: MonotonicMs): void {
    if (outcome.kind === 'unknown') return;
    const { clock, random } = this.#deps;
    const moments = { began, now: clock.monotonic() };
    const isTrouble = outcome.kind === 'trouble';
    this.#change(isTrouble ? afterTrouble(this.#state, outcome.trouble, moments, random.fraction()) : afterSuccess(this.#state, began));
  }

  /** Something says that the trouble may be over. */
  repaired(): void {
    this.#change(afterRepair(this.#state, this.#deps.clock.monotonic()));
  }

  /** Called at each change of the state. @returns A function that ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #change(state: AccountState): void {
    const before = this.#state;
    if (state === before) return;
    this.#state = state;
    this.#deps.log.accountChanged(this.#account.current.name, before, state);
    for (const listener of this.#listeners) listener();
  }
}
