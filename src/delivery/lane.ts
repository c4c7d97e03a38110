/**
 * The queue of one account: tries what is due, in order, as fast as the account may go, and no faster.
 *
 * Lanes know nothing of each other, so an account that is dead, slow or held keeps no other waiting. Within a lane messages begin in the order in which
 * they fell due, which is the order of acceptance unless a message was deferred for reasons of its own.
 *
 * Invariant: an entry is worked on once at a time. In this process `#underWay` says so, to all others its lease.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { type Awaitable, whenHere } from '../core/awaitable.ts';
import { between, type DurationMs, hours, milliseconds, seconds } from '../core/clock.ts';
import type { QueueId } from '../core/ids.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { Lease, Spool } from '../core/ports/spool.ts';
import type { SpoolEntry } from '../core/spool-entry.ts';
import { AccountGate, type GateDependencies } from './account-gate.ts';
import type { AccountRef } from './account-ref.ts';
import { Courier, type CourierDependencies, type Tried } from './courier.ts';
import { EntryWorker, type EntryWorkerDependencies } from './entry-worker.ts';
import { LEASE_TERM } from './lease-keeper.ts';
import { OldMail } from './old-mail.ts';
import type { Counted } from './pacer.ts';
import { LONGEST_WAIT } from './retry-schedule.ts';
import { pendingOf } from './settlement.ts';
import { Settler, type SettlerDependencies } from './settler.ts';
import { UnderWay } from './under-way.ts';

/** What a lane needs. */
export interface LaneDependencies extends GateDependencies, CourierDependencies, SettlerDependencies, EntryWorkerDependencies {
  readonly spool: Spool;
  readonly clock: Clock;
}

const SHORTEST_WAIT = seconds(1);
const FAULT_PAUSE = seconds(5);
/** No stored time of an attempt lies further ahead, unless a clock was wrong when it was stored. */
const HORIZON = hours(25);

export class Lane {
  readonly gate: AccountGate;
  readonly courier: Courier;
  readonly settler: Settler;
  readonly worker: EntryWorker;
  readonly #account: AccountRef;
  readonly #deps: LaneDependencies;
  readonly #oldMail: OldMail;
  readonly #underWay = new UnderWay();
  #probes = 0;
  #beginning: Promise<void> | undefined;
  #isWoken = false;
  #isStarted = false;
  #timer: Timer | undefined;

  constructor(configured: Account, deps: LaneDependencies) {
    const account: AccountRef = { current: configured };
    this.#account = account;
    this.#deps = deps;
    this.gate = new AccountGate(account, deps);
    this.courier = new Courier(account, this.gate, deps);
    this.settler = new Settler(account, deps);
    this.worker = new EntryWorker(account, this.courier, this.settler, deps);
    this.#oldMail = new OldMail(account, deps, (queueId) => this.#giveUp(queueId));
    this.gate.onChange(() => this.wake());
  }

  get account(): Account {
    return this.#account.current;
  }

  start(): void {
    this.#isStarted = true;
    this.wake();
  }

  /** Begin nothing more until the next {@link start}; what is under way goes on. */
  pause(): void {
    this.#isStarted = false;
    this.#timer?.cancel();
  }

  /** Take over changed settings of the account. They may have been its trouble, so it is tried again. */
  update(account: Account): void {
    this.#account.current = account;
    this.gate.repaired();
    this.wake();
  }

  /** An entry has changed. Where that was none of our doing an operator has acted, perhaps since the trouble of the account is repaired. */
  heed(queueId: QueueId): void {
    if (!this.#underWay.has(queueId)) this.gate.repaired();
    this.wake();
  }

  /** Something has changed: look what may begin. */
  wake(): void {
    if (!this.#isStarted || this.#deps.pauses.isOver) return;
    this.#isWoken = true;
    this.#beginning ??= this.#beginAll();
  }

  /**
   * Whether a new message may be tried at once, before it is in the spool: the account is in order, and nothing is due that should go first.
   *
   * @returns It is counted then; else undefined.
   */
  admitAtOnce(recipients: number): Awaitable<Counted | undefined> {
    if (!this.#mayTry(recipients)) return undefined;
    return whenHere(this.#nextDue(), (due) => {
      if (due !== undefined || !this.#mayTry(recipients)) return undefined; // Much may have begun meanwhile.
      return this.gate.count(recipients);
    });
  }

  #mayTry(recipients: number): boolean {
    return !this.#deps.pauses.isOver && this.gate.state.kind === 'open' && this.gate.paceWait(recipients) <= 0;
  }

  /** Go on with an entry whose attempt was begun before it was accepted. */
  adopt(lease: Lease, attempt: Promise<Tried>): void {
    void this.#run(lease.queueId, () => this.worker.conclude(lease, attempt));
  }

  /**
   * Report what an attempt has made of an entry that was accepted after it, and go on with the entry as usual.
   *
   * @param before - As the entry was before the attempt: a report is about what has changed.
   */
  report(lease: Lease, before: SpoolEntry, tried: Tried): void {
    void this.#run(lease.queueId, () => this.worker.report(lease, before, tried));
  }

  /** Resolves once nothing is under way. Only to be waited for when the pauses are over. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#beginning;
    await this.#oldMail.idle();
    await this.#underWay.idle();
  }

  async #beginAll(): Promise<void> {
    try {
      while (this.#isWoken && !this.#deps.pauses.isOver) {
        this.#isWoken = false;
        await this.#begin();
      }
    } catch (error) {
      this.#deps.log.stuck({ account: this.account.name }, 'looking for what is due', error);
      this.#wakeAfter(FAULT_PAUSE);
    } finally {
      this.#beginning = undefined;
    }
  }

  /** Begin as many attempts as may. */
  async #begin(): Promise<void> {
    for (;;) {
      this.#attendToTrouble();
      if (this.gate.room({ attempts: this.#underWay.size, probes: this.#probes }) <= 0) return;
      const entry = await this.#nextDue();
      if (this.#deps.pauses.isOver) return;
      if (entry === undefined) return this.#wakeForNext();
      const recipients = pendingOf(entry).length;
      const wait = this.gate.paceWait(recipients);
      if (wait > 0) return this.#wakeAfter(wait);
      this.#attempt(entry.queueId, this.gate.count(recipients));
    }
  }

  #attendToTrouble(): void {
    const { state, troubleWait } = this.gate;
    this.#oldMail.lookIfDue(state);
    if (troubleWait > 0) this.#wakeAfter(troubleWait);
  }

  #nextDue(): Awaitable<SpoolEntry | undefined> {
    const { spool, calendar } = this.#deps;
    const due = spool.due(this.account.name, calendar.now(), 1, (queueId) => this.#underWay.has(queueId));
    return whenHere(due, (entries) => entries[0]);
  }

  /** While the account is in trouble an attempt is a probe. */
  #attempt(queueId: QueueId, counted: Counted): void {
    const isProbe = this.gate.state.kind !== 'open';
    if (isProbe) this.#probes += 1;
    const work = async (): Promise<void> => {
      await this.worker.attempt(queueId, counted);
      if (isProbe) this.#probes -= 1;
    };
    void this.#run(queueId, work);
  }

  async #giveUp(queueId: QueueId): Promise<void> {
    await this.#underWay.free(queueId); // The oldest is the one that probes.
    await this.#run(queueId, () => this.worker.giveUp(queueId));
  }

  #run(queueId: QueueId, work: () => Promise<void>): Promise<void> {
    return this.#underWay.run(queueId, work, () => this.wake());
  }

  async #wakeForNext(): Promise<void> {
    const { spool, calendar } = this.#deps;
    const summary = (await spool.accounts()).find(({ account }) => account === this.account.name);
    if (summary === undefined) return;
    if (summary.nextAttemptAt === undefined) {
      // A lease that nobody gives back runs out, and nothing but the time tells of that.
      if (summary.entries > summary.held) this.#wakeAfter(LEASE_TERM);
      return;
    }
    const wait = between(calendar.now(), summary.nextAttemptAt);
    if (wait > HORIZON) await this.#bringForward();
    else this.#wakeAfter(milliseconds(Math.max(wait, SHORTEST_WAIT)));
  }

  /** Times that a wrong clock has stored would keep messages waiting for years. */
  async #bringForward(): Promise<void> {
    const { spool, calendar } = this.#deps;
    const now = calendar.now();
    for await (const entry of spool.entries({ account: this.account.name, isHeld: false })) {
      if (between(now, entry.nextAttemptAt) > HORIZON) await spool.retryNow(entry.queueId, now);
    }
    this.#isWoken = true;
  }

  #wakeAfter(wait: DurationMs): void {
    this.#timer?.cancel();
    const limited = milliseconds(Math.min(wait, LONGEST_WAIT));
    this.#timer = this.#deps.clock.startTimer(limited, () => this.wake(), { isBackground: true });
  }
}
