/**
 * Every change of an entry: a record in the log, and once that is where it has to be, the same change in the index.
 *
 * Changes of one entry are made one after another ({@link EntryChanges.exclusively}); what is asked about an entry in between is answered from what
 * is durable.
 *
 * @packageDocumentation
 */
import type { QueueId } from '../core/ids.ts';
import type { Log } from '../core/ports/log.ts';
import type { FirstLease, SpoolChange } from '../core/ports/spool.ts';
import { problem } from '../core/problem.ts';
import type { SpoolEntry } from '../core/spool-entry.ts';
import type { ContentStore } from './content-store.ts';
import type { DraftedContent } from './draft.ts';
import { messageOf, type StoredMessage, type StoredState, stateOf } from './entry-codec.ts';
import type { EntryIndex } from './entry-index.ts';
import type { Journal } from './journal.ts';
import { type LogRecord, octetsOfRecord, type RecordKind, sealRecord } from './record.ts';
import type { DamageNote } from './restore.ts';
import { type Row, type RowPlace, rowOf, showState, storedOf } from './row.ts';
import type { SegmentTable } from './segment-table.ts';
import type { RecordPlace } from './segment-writer.ts';

/** What changes need. */
export interface EntryChangesOptions {
  readonly journal: Journal;
  readonly index: EntryIndex;
  readonly table: SegmentTable;
  readonly contents: ContentStore;
  readonly log: Log;
  /** Number of the next entry. */
  readonly nextSerial: number;
  /** Called when something may have become free. */
  readonly onRemoved: () => void;
}

/** A row and what becomes of it; without an entry, it goes. */
export interface Settlement {
  readonly row: Row;
  readonly entry: SpoolEntry | undefined;
}

/** What else happens when an entry is added. */
export interface AcceptOptions {
  /** In one step with it. The caller must have its row exclusively. */
  readonly settlement?: Settlement;
  readonly lease?: FirstLease;
}

export class EntryChanges {
  readonly #options: EntryChangesOptions;
  readonly #listeners = new Set<(change: SpoolChange) => void>();
  /** Queue ids of messages whose record is on its way. */
  readonly #arriving = new Set<QueueId>();
  #nextSerial: number;

  constructor(options: EntryChangesOptions) {
    this.#options = options;
    this.#nextSerial = options.nextSerial;
  }

  onChange(listener: (change: SpoolChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Do something with a row while nobody else changes it. Undefined where there is no such row any more. */
  async exclusively<Result>(queueId: QueueId, work: (row: Row) => Promise<Result> | Result): Promise<Result | undefined> {
    const row = this.#options.index.get(queueId);
    if (row === undefined) return undefined;
    const turn = Promise.resolve(row.turn).then(() => (row.isListed ? work(row) : undefined));
    const ended = turn.then(
      () => undefined,
      () => undefined, // The caller gets it from `turn`.
    );
    row.turn = ended;
    try {
      return await turn;
    } finally {
      if (row.turn === ended) row.turn = undefined;
    }
  }

  /**
   * Add an entry.
   *
   * @throws ProblemError; RangeError where the queue id is taken. Its content file is removed then.
   */
  async accept(entry: SpoolEntry, content: DraftedContent, { settlement, lease }: AcceptOptions = {}): Promise<SpoolEntry> {
    const { index, contents } = this.#options;
    const { queueId } = entry;
    try {
      if (index.get(queueId) !== undefined || this.#arriving.has(queueId)) throw new RangeError(`queue id ${queueId} is taken`);
      this.#arriving.add(queueId);
      try {
        await this.#acceptNew(entry, content, settlement, lease);
      } finally {
        this.#arriving.delete(queueId);
      }
      return entry;
    } catch (error) {
      if (content.kind === 'file') await contents.remove(content.file.name);
      throw error;
    }
  }

  async #acceptNew(
    entry: SpoolEntry,
    content: DraftedContent,
    settlement: Settlement | undefined,
    lease: FirstLease | undefined,
  ): Promise<void> {
    const state = stateOf(entry, lease === undefined ? 0 : 1, lease?.isTransmitting ?? false);
    const message = messageOf(entry, state, content.kind === 'file' ? content.file : undefined);
    const settled = settlement && settledState(settlement);
    const envelope: StoredMessage = settled === undefined ? message : { ...message, settles: settled };
    const serial = this.#nextSerial;
    this.#nextSerial += 1;
    const octets = content.kind === 'inline' ? content.octets : undefined;
    const record = sealRecord(settlement === undefined ? 'message' : 'report', serial, envelope, octets);
    await this.#append(record, 'durable', (place) => {
      const row = rowOf(serial, message, rowPlace(place, record));
      if (lease !== undefined) row.lease = { owner: lease.owner, until: lease.until };
      this.#list(row);
      if (settlement !== undefined) this.#show(settlement, settled?.state);
    });
    this.#options.onRemoved();
  }

  /** Make `entry` what the row stores. @param row - Had exclusively. */
  async store(row: Row, entry: SpoolEntry, isTransmitting = row.isTransmitting): Promise<void> {
    const state = stateOf(entry, row.fence, isTransmitting);
    await this.#append(sealRecord('state', row.serial, state), 'durable', () => this.#show({ row, entry }, state));
  }

  /** @param row - Had exclusively. */
  async remove(row: Row): Promise<void> {
    await this.#append(sealRecord('removed', row.serial, {}), 'durable', () => this.#show({ row, entry: undefined }, undefined));
    this.#options.onRemoved();
  }

  /** Note that a transmission is under way. */
  async mark(row: Row): Promise<void> {
    await this.#append(sealRecord('transmitting', row.serial, {}), 'written', () => {
      row.isTransmitting = true;
    });
  }

  /** Write an entry again at the end of the log, with its present state. @param row - Had exclusively. */
  async moveForward(row: Row, content: Uint8Array): Promise<void> {
    const { message, state } = storedOf(row);
    const record = sealRecord('message', row.serial, { ...message, state } satisfies StoredMessage, content);
    await this.#append(record, 'durable', (place) => {
      const { table } = this.#options;
      table.leave(row);
      row.place = rowPlace(place, record);
      table.enter(row);
    });
  }

  /** Note damage that was dealt with. */
  async noteDamage({ serial, segment, offset }: DamageNote): Promise<void> {
    await this.#append(sealRecord('damage', serial, { segment, offset }), 'durable', () => undefined);
  }

  /** Take a row out without a record: it is damaged and will be found so again until the damage is noted. */
  unlist(row: Row): void {
    this.#options.index.remove(row);
    this.#options.table.leave(row);
    this.#tell('removed', row);
  }

  async #append(record: LogRecord, until: 'written' | 'durable', apply: (place: RecordPlace) => void): Promise<void> {
    const { journal, table } = this.#options;
    await journal.append(record, {
      isMessage: isNew(record.kind),
      until,
      apply: (place) => {
        table.grow(place.segment, octetsOfRecord(record));
        apply(place);
      },
    });
  }

  #list(row: Row): void {
    this.#options.index.add(row);
    this.#options.table.enter(row);
    this.#tell('accepted', row);
  }

  #show({ row, entry }: Settlement, state: StoredState | undefined): void {
    const { index, table, contents } = this.#options;
    if (entry !== undefined && state !== undefined) {
      index.change(row, () => showState(row, state));
      this.#tell('changed', row);
      return;
    }
    index.remove(row);
    table.leave(row);
    this.#tell('removed', row);
    if (row.contentFile !== undefined) void contents.remove(row.contentFile.name);
  }

  #tell(kind: SpoolChange['kind'], { queueId, account }: Row): void {
    for (const listener of this.#listeners) {
      try {
        listener({ kind, queueId, account });
      } catch (error) {
        this.#options.log.error(
          { event: 'spool-listener-failed', queueId, problem: problem('INTERNAL'), error },
          'a listener of the spool failed',
        );
      }
    }
  }
}

/** A message that is rejected must not come; one that is there and only moves is no new one, but can be moved at another time. */
function isNew(kind: RecordKind): boolean {
  return kind === 'message' || kind === 'report';
}

function settledState({ row, entry }: Settlement): { serial: number; state?: StoredState } {
  return entry === undefined ? { serial: row.serial } : { serial: row.serial, state: stateOf(entry, row.fence, false) };
}

function rowPlace({ segment, offset }: RecordPlace, { envelope, content }: LogRecord): RowPlace {
  return { segment, offset, envelopeOctets: envelope.length, contentOctets: content.length };
}
