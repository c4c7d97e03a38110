/**
 * Works on one entry of an account: leases it, tries to deliver it, records what came of it.
 *
 * Invariant: between the moment at which the upstream may have an entry's content and the record of what came of it, the entry is marked in the spool.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { minutes, seconds } from '../core/clock.ts';
import type { Envelope } from '../core/envelope.ts';
import type { QueueId } from '../core/ids.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Lease, Spool } from '../core/ports/spool.ts';
import { ProblemError } from '../core/problem.ts';
import type { SpoolEntry } from '../core/spool-entry.ts';
import type { Courier, Tried } from './courier.ts';
import type { DeadLetterWatch } from './dead-letter-watch.ts';
import type { DeliveryLog } from './delivery-log.ts';
import { LeaseKeeper } from './lease-keeper.ts';
import type { Pauses } from './pauses.ts';
import { afterAttempt, givenUp, pendingOf, withoutAttempt } from './settlement.ts';
import { type AttemptContext, type Decide, loggedEntry, type Settler } from './settler.ts';

/** What a worker needs. */
export interface EntryWorkerDependencies {
  readonly spool: Spool;
  readonly clock: Clock;
  readonly pauses: Pauses;
  readonly log: DeliveryLog;
  readonly deadLetters: DeadLetterWatch;
}

/** For attempts that nobody waits for. */
const PATIENCE = minutes(5);
/** An entry that came to nothing for reasons of our own is left alone for so long. */
const SHORT_PAUSE = seconds(1);
const FAULT_PAUSE = seconds(5);

const NO_ATTEMPT: AttemptContext = { isDsnPassedOn: true };

export class EntryWorker {
  readonly #account: Account;
  readonly #courier: Courier;
  readonly #settler: Settler;
  readonly #deps: EntryWorkerDependencies;
  readonly #leases: LeaseKeeper;

  constructor(account: Account, courier: Courier, settler: Settler, deps: EntryWorkerDependencies) {
    this.#account = account;
    this.#courier = courier;
    this.#settler = settler;
    this.#deps = deps;
    this.#leases = new LeaseKeeper(deps);
  }

  /**
   * Try to deliver an entry. Never rejects.
   *
   * @param onCounted - Called once the pacer knows of it, or nothing is going to be tried; perhaps twice.
   */
  attempt(queueId: QueueId, onCounted: () => void): Promise<void> {
    const work = async (): Promise<void> => {
      const held = await this.#claim(queueId);
      if (held === undefined) {
        onCounted();
        return this.#deps.pauses.wait(SHORT_PAUSE);
      }
      const { lease, entry } = held;
      const pending = pendingOf(entry);
      const trying = pending.length === 0 ? undefined : this.#try(lease, entry, pending);
      onCounted();
      if (trying === undefined) return this.#settler.settle(lease, entry, NO_ATTEMPT, withoutAttempt);
      return this.#conclude(lease, entry, await this.#leases.keep(lease, trying));
    };
    // Also where the claim has failed. A second call changes nothing.
    return this.#guard(queueId, () => work().finally(onCounted));
  }

  /** Go on with an entry whose attempt was begun before it was accepted. Never rejects. */
  conclude(lease: Lease, attempt: Promise<Tried>): Promise<void> {
    return this.#guard(lease.queueId, async () => {
      const tried = await this.#leases.keep(lease, attempt);
      const entry = await this.#deps.spool.entry(lease.queueId);
      if (entry !== undefined) await this.#conclude(lease, entry, tried);
    });
  }

  /** Report what an entry has to report already. Never rejects. */
  report(lease: Lease): Promise<void> {
    return this.#guard(lease.queueId, async () => {
      const entry = await this.#deps.spool.entry(lease.queueId);
      if (entry !== undefined) await this.#settler.settle(lease, entry, NO_ATTEMPT, withoutAttempt);
    });
  }

  /** Return an entry that has grown too old, or keep it for the operator. Never rejects. */
  giveUp(queueId: QueueId): Promise<void> {
    return this.#guard(queueId, async () => {
      const held = await this.#claim(queueId);
      if (held !== undefined) await this.#settler.settle(held.lease, held.entry, NO_ATTEMPT, givenUp);
    });
  }

  /** The content of a leased entry, once it is on record that the upstream may get it. */
  async *transmit(lease: Lease): AsyncGenerator<Uint8Array, void, undefined> {
    const { spool } = this.#deps;
    if (!(await spool.beginTransmission(lease))) throw new LeaseLost(lease.queueId);
    yield* spool.content(lease.queueId);
  }

  async #guard(queueId: QueueId, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (error instanceof LeaseLost) return; // Dropped by an operator in the middle of an attempt.
      this.#reportFault(queueId, error);
      await this.#deps.pauses.wait(FAULT_PAUSE);
    }
  }

  #reportFault(queueId: QueueId, error: unknown): void {
    const { log, deadLetters } = this.#deps;
    const { name: account } = this.#account;
    log.stuck({ queueId, account }, 'an attempt', error);
    // The spool has set the entry aside: it will be neither delivered nor returned.
    if (error instanceof ProblemError && error.problem.code === 'SPOOL_DAMAGED') deadLetters.found(account, error.problem);
  }

  async #claim(queueId: QueueId): Promise<{ readonly lease: Lease; readonly entry: SpoolEntry } | undefined> {
    const lease = await this.#leases.claim(queueId);
    const entry = lease === undefined ? undefined : await this.#deps.spool.entry(queueId);
    return lease === undefined || entry === undefined ? undefined : { lease, entry };
  }

  #try(lease: Lease, entry: SpoolEntry, pending: readonly number[]): Promise<Tried> {
    const message = loggedEntry(entry, pending);
    if (entry.isAmbiguous) this.#deps.log.triedAgain(message);
    const openContent = (): AsyncIterable<Uint8Array> => this.transmit(lease);
    return this.#courier.try({
      envelope: envelopeOf(entry, pending),
      openContent,
      message,
      attempt: entry.attempts + 1,
      patience: PATIENCE,
    });
  }

  /** Record what came of an attempt; or give the lease back, where it came to nothing. */
  async #conclude(lease: Lease, entry: SpoolEntry, { result, judgement }: Tried): Promise<void> {
    const { spool, pauses } = this.#deps;
    if (judgement.recipients.some((outcome) => outcome.kind !== 'waits' || outcome.reply !== undefined)) {
      const { isDsnPassedOn, upstream } = result;
      const context: AttemptContext = { isDsnPassedOn, ...(upstream === undefined ? {} : { remoteMta: hostOf(upstream) }) };
      const decide: Decide = (current, given) => afterAttempt(current, judgement, given);
      return this.#settler.settle(lease, entry, context, decide);
    }
    await spool.release(lease);
    if (judgement.account.kind !== 'trouble') await pauses.wait(SHORT_PAUSE);
  }
}

/** The entry is no longer ours to transmit. */
class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
  constructor(queueId: QueueId) {
    super(`the lease on ${queueId} is no longer ours`);
  }
}

function envelopeOf({ reversePath, parameters, recipients }: SpoolEntry, indexes: readonly number[]): Envelope {
  const forwardPaths = indexes.flatMap((index) => recipients[index]?.forwardPath ?? []);
  return { reversePath, parameters, forwardPaths };
}

/** `host:port` without the port. */
const hostOf = (upstream: string): string => upstream.replace(/:\d+$/, '');
