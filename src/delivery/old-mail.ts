/**
 * Gives up what has grown too old while its account could not submit at all.
 *
 * Else a message is given up only after an attempt of it has failed; but where nothing is tried, nothing fails, and its sender would never be told.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { between, hours, minutes, type MonotonicMs } from '../core/clock.ts';
import type { QueueId } from '../core/ids.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Spool } from '../core/ports/spool.ts';
import type { ReportPolicy } from '../message/report-plan.ts';
import type { AccountRef } from './account-ref.ts';
import type { AccountState } from './account-state.ts';
import type { Calendar } from './calendar.ts';
import type { Pauses } from './pauses.ts';

/** What the search needs. */
export interface OldMailDependencies {
  readonly spool: Spool;
  readonly clock: Clock;
  readonly calendar: Calendar;
  readonly pauses: Pauses;
  /** Says when a message of the account is given up. */
  readonly policyOf: (account: Account) => Pick<ReportPolicy, 'giveUpAfter'>;
}

/** Trouble must have lasted so long, in this process: right after a start the clock may still be wrong. */
const HOPELESS_AFTER = hours(1);
const LOOK_EVERY = minutes(10);

export class OldMail {
  readonly #account: Readonly<AccountRef>;
  readonly #deps: OldMailDependencies;
  readonly #giveUp: (queueId: QueueId) => Promise<void>;
  #lookedAt: MonotonicMs | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(account: Readonly<AccountRef>, deps: OldMailDependencies, giveUp: (queueId: QueueId) => Promise<void>) {
    this.#account = account;
    this.#deps = deps;
    this.#giveUp = giveUp;
  }

  /** Look now, if it is time. Does not wait for what is found. */
  lookIfDue(state: AccountState): void {
    const now = this.#deps.clock.monotonic();
    if (state.kind === 'open' || between(state.since, now) < HOPELESS_AFTER) return;
    if (this.#lookedAt !== undefined && between(this.#lookedAt, now) < LOOK_EVERY) return;
    this.#lookedAt = now;
    this.#looking = this.#looking.then(() => this.#look());
  }

  /** Resolves once nobody looks. */
  idle(): Promise<void> {
    return this.#looking;
  }

  /** One after another: there may be thousands. Never rejects, since a lease or a record that fails is the worker's to report. */
  async #look(): Promise<void> {
    const { spool, calendar, policyOf, pauses } = this.#deps;
    const { giveUpAfter } = policyOf(this.#account.current);
    const found: QueueId[] = [];
    for await (const { queueId, acceptedAt } of spool.entries({ account: this.#account.current.name, isHeld: false })) {
      if (calendar.age(acceptedAt) >= giveUpAfter) found.push(queueId);
      // In order of acceptance, so the others are younger; unless this one was accepted while a clock was wrong.
      else if (acceptedAt <= calendar.now()) break;
    }
    for (const queueId of found) {
      if (pauses.isOver) return;
      await this.#giveUp(queueId);
    }
  }
}
