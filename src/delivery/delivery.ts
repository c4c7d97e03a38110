/**
 * The room put together: what submissions go to, and the queue behind it.
 *
 * @packageDocumentation
 */
import type { Account, AccountName } from '../core/account.ts';
import type { DurationMs, EpochMs } from '../core/clock.ts';
import { mebibytes } from '../core/octets.ts';
import type { Alerts, DeliveryWatch } from '../core/ports/alerts.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { PaceStore } from '../core/ports/pace-store.ts';
import type { Random } from '../core/ports/random.ts';
import type { Spool } from '../core/ports/spool.ts';
import type { Submission } from '../core/ports/submission.ts';
import type { Upstream } from '../core/ports/upstream.ts';
import type { ReportPolicy, ReportsTo } from '../message/report-plan.ts';
import type { AccountState } from './account-state.ts';
import { DeliveryByMode } from './by-mode.ts';
import { Calendar } from './calendar.ts';
import { DeadLetterWatch } from './dead-letter-watch.ts';
import { DeliveryLog } from './delivery-log.ts';
import { DirectDelivery } from './direct.ts';
import type { Classify } from './outcome.ts';
import type { PaceLeft } from './pace-windows.ts';
import { Pacer } from './pacer.ts';
import { Pauses } from './pauses.ts';
import { Scheduler } from './scheduler.ts';
import { SpooledDelivery } from './spooled.ts';

/** What happens to a message once it is accepted. */
export interface DeliveryOptions {
  /** How long an application waits for the attempt that is made at once. */
  readonly budget: DurationMs;
  readonly giveUpAfter: DurationMs;
  readonly warnAfter: DurationMs;
  readonly dsn: ReportsTo;
}

/** What the room needs. */
export interface DeliveryDependencies {
  readonly accounts: readonly Account[];
  readonly spool: Spool;
  readonly upstream: Upstream;
  readonly classify: Classify;
  readonly paceStore: PaceStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly watch?: DeliveryWatch;
  readonly alerts: Alerts;
  /** Our own name, as in the greeting. */
  readonly hostname: string;
  readonly options: DeliveryOptions;
}

/** Larger content is not sent back whole. */
const WHOLE_LIMIT = mebibytes(1);

export class Delivery {
  /** For the listener. */
  readonly submission: Submission;
  readonly #scheduler: Scheduler;
  readonly #calendar: Calendar;
  readonly #pacer: Pacer;
  readonly #pauses: Pauses;
  readonly #deadLetters: DeadLetterWatch;
  readonly #accounts: Map<AccountName, Account>;
  #options: DeliveryOptions;

  private constructor(deps: DeliveryDependencies, calendar: Calendar, pacer: Pacer) {
    const { accounts, spool, clock, classify, watch, alerts } = deps;
    this.#options = deps.options;
    const pauses = new Pauses(clock);
    const names = accounts.map(({ name }) => name);
    const deadLetters = new DeadLetterWatch(names, { spool, clock, alerts });
    const log = new DeliveryLog(deps.log, watch);
    const policyOf = ({ mailbox }: Account): ReportPolicy => ({
      to: this.#options.dsn,
      mailbox,
      warnAfter: this.#options.warnAfter,
      giveUpAfter: this.#options.giveUpAfter,
      wholeLimit: WHOLE_LIMIT,
    });
    this.#calendar = calendar;
    this.#pauses = pauses;
    this.#pacer = pacer;
    this.#deadLetters = deadLetters;
    this.#scheduler = new Scheduler({ ...deps, calendar, pacer, pauses, deadLetters, log, policyOf });
    const budget = (): DurationMs => this.#options.budget;
    const spooled = new SpooledDelivery({ scheduler: this.#scheduler, spool, clock, calendar, pauses, log, budget });
    const byName = new Map(accounts.map((account) => [account.name, account]));
    const direct = new DirectDelivery({
      ...deps,
      accounts: byName,
      pacer,
      pauses,
      explain: (stage, answer) => classify(stage, answer).problem,
    });
    this.#accounts = byName;
    this.submission = new DeliveryByMode(byName, { direct, auto: spooled, queue: spooled });
  }

  /** Delivers nothing yet. */
  static async open(deps: DeliveryDependencies): Promise<Delivery> {
    const calendar = new Calendar(deps.clock);
    const pacer = await Pacer.open({ store: deps.paceStore, clock: deps.clock, calendar, log: deps.log });
    return new Delivery(deps, calendar, pacer);
  }

  /** The time by which messages fall due. It does not follow a wall clock that jumps. */
  now(): EpochMs {
    return this.#calendar.now();
  }

  /** Begin to deliver what is in the spool. */
  start(): Promise<void> {
    return this.#scheduler.start();
  }

  /** Take over a changed configuration. Messages under way keep the settings with which they began. */
  async update(accounts: readonly Account[], options: DeliveryOptions): Promise<void> {
    this.#options = options;
    this.#accounts.clear();
    for (const account of accounts) this.#accounts.set(account.name, account);
    await this.#scheduler.updateAccounts(accounts);
  }

  /** Something says that the trouble of an account may be over: it has a token again. */
  repaired(account: AccountName): void {
    this.#scheduler.repaired(account);
  }

  /** Whether an account may submit now, and if not, why. Undefined for one that is not configured. */
  stateOf(account: AccountName): AccountState | undefined {
    return this.#scheduler.stateOf(account);
  }

  /** What an account may still submit without waiting. */
  paceLeft(account: Account): PaceLeft {
    return this.#pacer.left(account);
  }

  /**
   * Begin nothing more. Who waits for an attempt waits no longer: the message goes to the spool, and the attempt goes on until it ends or its
   * connection is cut. Submissions are still answered.
   */
  wind(): void {
    this.#pauses.endAll();
  }

  /** Resolves once every attempt under way has ended and been recorded. Somebody has to cut their connections. */
  async stop(): Promise<void> {
    this.wind();
    await this.#scheduler.stop();
    this.#deadLetters.close();
    await this.#pacer.close();
  }
}
