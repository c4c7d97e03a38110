/**
 * Who may try to deliver what: leases, fences, and what an attempt came to.
 *
 * Leases live in memory, since their holders do: no lease outlives the process. Only the mark that a transmission was begun goes to the disk.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import type { QueueId } from '../core/ids.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Lease } from '../core/ports/spool.ts';
import { type AttemptOutcome, afterAttempt, type SpoolEntry } from '../core/spool-entry.ts';
import type { EntryChanges } from './entry-changes.ts';
import { isLeased } from './entry-index.ts';
import { entryOfRow, type Row } from './row.ts';

/** Settles an entry with another record than its own: a report that is accepted in the same step. */
export type SettleWith = (row: Row, entry: SpoolEntry | undefined) => Promise<void>;

export class Leases {
  readonly #changes: EntryChanges;
  readonly #clock: Clock;

  constructor(changes: EntryChanges, clock: Clock) {
    this.#changes = changes;
    this.#clock = clock;
  }

  /** See `Spool.claim`. */
  claim(queueId: QueueId, owner: string, until: EpochMs): Promise<Lease | undefined> {
    return this.#changes.exclusively(queueId, (row) => {
      if (row.holdCode !== undefined || isLeased(row, this.#clock.now())) return undefined;
      if (row.isTransmitting) row.isAmbiguous = true; // An earlier holder never came back.
      row.fence += 1;
      row.lease = { owner, until };
      return { queueId, fence: row.fence };
    });
  }

  /** See `Spool.renew`. */
  async renew(lease: Lease, until: EpochMs): Promise<boolean> {
    return this.#under(lease, (row) => {
      row.lease = { owner: row.lease?.owner ?? '', until };
    });
  }

  /** See `Spool.beginTransmission`. */
  beginTransmission(lease: Lease): Promise<boolean> {
    return this.#under(lease, (row) => this.#changes.mark(row));
  }

  /** See `Spool.settleAttempt`. */
  settle(lease: Lease, outcome: AttemptOutcome, settleWith?: SettleWith): Promise<boolean> {
    return this.#under(lease, async (row) => {
      const entry = afterAttempt(entryOfRow(row), outcome);
      if (settleWith !== undefined) await settleWith(row, entry);
      else if (entry === undefined) await this.#changes.remove(row);
      else await this.#changes.store(row, entry, false);
      row.lease = undefined;
    });
  }

  /** See `Spool.release`. */
  async release(lease: Lease): Promise<void> {
    await this.#under(lease, async (row) => {
      try {
        if (row.isTransmitting) await this.#changes.store(row, entryOfRow(row), false);
      } finally {
        row.lease = undefined; // Its holder is gone. If the mark is still there, the next one finds the entry ambiguous.
      }
    });
  }

  /** False where the lease is no longer the newest, or was given back. */
  async #under(lease: Lease, work: (row: Row) => Promise<void> | void): Promise<boolean> {
    const result = await this.#changes.exclusively(lease.queueId, async (row) => {
      if (row.lease === undefined || row.fence !== lease.fence) return false;
      await work(row);
      return true;
    });
    return result ?? false;
  }
}
