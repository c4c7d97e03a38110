/**
 * The spool on the local disk: an append-only log of segments, with large content in files beside it (docs/spool-format.md).
 *
 * This file puts the parts together: {@link ./journal.ts} writes and syncs, {@link ./entry-changes.ts} keeps the index in step with it,
 * {@link ./leases.ts} says who may deliver what, {@link ./recovery.ts} and {@link ./restore.ts} begin where the last process ended, and
 * {@link ./reclaimer.ts} gives the disk back.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import { between, type DurationMs, type EpochMs } from '../core/clock.ts';
import type { AccountName } from '../core/account.ts';
import type { QueueId } from '../core/ids.ts';
import type { Octets } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Random } from '../core/ports/random.ts';
import type {
  AccountSummary,
  Draft,
  DraftRequest,
  EntryFilter,
  Lease,
  Report,
  Spool,
  SpoolChange,
  SpoolStats,
} from '../core/ports/spool.ts';
import {
  type AttemptOutcome,
  type Hold,
  type NewMessage,
  newEntry,
  onHold,
  type SpoolEntry,
  triedAgain,
  withoutHold,
} from '../core/spool-entry.ts';
import type { FileSystem } from '../platform/files.ts';
import { ContentStore } from './content-store.ts';
import { type DraftedContent, SegmentDraft } from './draft.ts';
import { type AcceptOptions, EntryChanges } from './entry-changes.ts';
import { EntryIndex } from './entry-index.ts';
import { spoolError, spoolProblem } from './failure.ts';
import { Journal } from './journal.ts';
import { Leases } from './leases.ts';
import { Quarantine } from './quarantine.ts';
import { Reclaimer } from './reclaimer.ts';
import { type Found, readSpool, type SpoolDirectories } from './recovery.ts';
import { restore } from './restore.ts';
import { entryOfRow, type Row } from './row.ts';
import { HEADER_OCTETS, SegmentMaker } from './segment-file.ts';
import { SegmentReader } from './segment-reader.ts';
import { SegmentTable } from './segment-table.ts';
import { Space, type SpoolQuota } from './space.ts';
import { ContentDamaged, type ContentSource, readContent, readInline } from './stored-content.ts';

/** What a spool needs. */
export interface SegmentSpoolOptions {
  /** Made, with mode 0700, if it is not there. */
  readonly dir: string;
  readonly quota: SpoolQuota;
  /** Octets to leave to others on the disk. */
  readonly minFree: Octets;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly files: FileSystem;
  /** 64 MB unless told. */
  readonly segmentSize?: Octets;
  /** Larger content gets a file of its own; 256 KB unless told. */
  readonly inlineLimit?: Octets;
}

/** What was found at the start. */
export interface RecoveryReport {
  readonly entries: number;
  readonly octets: Octets;
  readonly segments: number;
  /** Entries that an attempt may have delivered when the process died. */
  readonly ambiguous: number;
  /** Damaged records and entries set aside at this start. */
  readonly quarantined: number;
  /** Cut off or set aside: unfinished writes of messages that nobody was promised. */
  readonly debrisOctets: Octets;
  readonly duration: DurationMs;
}

const SEGMENT_SIZE = 64 * 1024 * 1024;
const INLINE_LIMIT = 256 * 1024;

export class SegmentSpool implements Spool {
  /** What was found at the start. */
  readonly recovery: RecoveryReport;
  readonly #options: SegmentSpoolOptions;
  readonly #inlineLimit: number;
  readonly #release: () => Promise<void>;
  readonly #contents: ContentStore;
  readonly #quarantine: Quarantine;
  readonly #index = new EntryIndex();
  readonly #table = new SegmentTable();
  readonly #reader: SegmentReader;
  readonly #source: ContentSource;
  readonly #journal: Journal;
  readonly #changes: EntryChanges;
  readonly #leases: Leases;
  readonly #space: Space;
  readonly #reclaimer: Reclaimer;

  /**
   * Lock the directory, read what is there, and put it in order.
   *
   * @throws ProblemError `SPOOL_LOCKED`, `SPOOL_FORMAT_NEWER`, `SPOOL_FAILED`.
   */
  static async open(options: SegmentSpoolOptions): Promise<SegmentSpool> {
    const { dir, files, log, clock } = options;
    const begun = clock.monotonic();
    const directories = { segments: join(dir, 'segments'), contents: join(dir, 'content'), quarantine: join(dir, 'quarantine') };
    const release = await lock(options, directories);
    try {
      const found = await readSpool(files, directories);
      const contents = new ContentStore({ directory: directories.contents, files, random: options.random, log });
      const quarantine = new Quarantine({ directory: directories.quarantine, files, log });
      await quarantine.load();
      const pathOfContent = (name: string): string => contents.pathOf(name);
      const notes = await restore(found, { files, quarantine, log, now: clock.now(), pathOfContent });
      const report = reportOf(found, between(begun, clock.monotonic()));
      const spool = new SegmentSpool(options, { directories, release, contents, quarantine, found, report });
      for (const note of notes) await spool.#changes.noteDamage(note).catch((error: unknown) => spool.#logNoteFailed(error));
      spool.#reclaimer.start();
      return spool;
    } catch (error) {
      await release();
      throw spoolError(error, 'opening the spool');
    }
  }

  private constructor(options: SegmentSpoolOptions, parts: Parts) {
    const { clock, log, files, random } = options;
    const { directories, found, contents } = parts;
    const segmentSize = (options.segmentSize ?? SEGMENT_SIZE) as Octets;
    this.#options = options;
    this.#inlineLimit = options.inlineLimit ?? INLINE_LIMIT;
    this.#release = parts.release;
    this.#contents = contents;
    this.#quarantine = parts.quarantine;
    this.recovery = parts.report;
    for (const { number, path, end, isEmpty } of found.segments) if (!isEmpty) this.#table.add(number, path, end - HEADER_OCTETS);
    for (const row of found.rows) this.#index.add(row);
    for (const row of found.rows) this.#table.enter(row);
    this.#reader = new SegmentReader({ files, log, pathOf: (number) => this.#table.pathOf(number) });
    this.#source = {
      readSegment: (number, work) => this.#reader.read(number, work),
      openFile: (name) => contents.open(name),
    };
    const { minFree } = options;
    this.#journal = new Journal({
      maker: new SegmentMaker({ directory: directories.segments, files, random, log, nextNumber: found.nextNumber, segmentSize, minFree }),
      log,
      ends: found.segments.filter(({ isEndKnown }) => !isEndKnown).map(({ number, end }) => ({ segment: number, end })),
      onSegment: ({ number, path }) => this.#table.add(number, path, 0),
    });
    const onRemoved = (): void => this.#reclaimer.start();
    this.#changes = new EntryChanges({
      journal: this.#journal,
      index: this.#index,
      table: this.#table,
      contents,
      log,
      nextSerial: found.nextSerial,
      onRemoved,
    });
    this.#leases = new Leases(this.#changes, clock);
    this.#space = new Space({
      quota: options.quota,
      minFree,
      clock,
      inlineLimit: this.#inlineLimit,
      used: () => ({ entries: this.#index.size, octets: this.#index.octets }),
      freeOctets: () => files.freeOctets(options.dir),
      preparedRoom: () => this.#journal.preparedRoom,
    });
    this.#reclaimer = new Reclaimer({
      files,
      directory: directories.segments,
      table: this.#table,
      index: this.#index,
      journal: this.#journal,
      changes: () => this.#changes,
      readContent: (row) => this.#contentInSegment(row),
      onRemoved: (number) => this.#reader.forget(number),
      tolerance: segmentSize,
      log,
    });
  }

  /** Finish what is under way and unlock the directory. Nothing may be called after that. */
  async close(): Promise<void> {
    await this.#reclaimer.stop();
    await this.#journal.close();
    await this.#reader.close();
    await this.#release();
  }

  async openDraft({ expectedSize, isReport = false }: DraftRequest): Promise<Draft> {
    const room = this.#space.reserve(expectedSize, isReport);
    const reservation = room instanceof Promise ? await room : room;
    try {
      if (!this.#journal.isReady) await this.#journal.ready();
    } catch (error) {
      reservation.end();
      throw error;
    }
    return new SegmentDraft({
      contents: this.#contents,
      reservation,
      inlineLimit: this.#inlineLimit,
      accept: (content, message, lease) => this.#accept(content, message, lease === undefined ? {} : { lease }),
    });
  }

  claim(queueId: QueueId, owner: string, until: EpochMs): Promise<Lease | undefined> {
    return this.#leases.claim(queueId, owner, until);
  }

  renew(lease: Lease, until: EpochMs): Promise<boolean> {
    return this.#leases.renew(lease, until);
  }

  beginTransmission(lease: Lease): Promise<boolean> {
    return this.#leases.beginTransmission(lease);
  }

  async settleAttempt(lease: Lease, outcome: AttemptOutcome, report?: Report): Promise<boolean> {
    if (report === undefined) return this.#leases.settle(lease, outcome);
    const { draft, message } = report;
    if (!(draft instanceof SegmentDraft)) throw new TypeError('the draft of a report must be of the same spool');
    try {
      return await this.#leases.settle(lease, outcome, async (row, entry) => {
        await draft.take((content) => this.#accept(content, message, { settlement: { row, entry } }));
      });
    } finally {
      await draft.discard();
    }
  }

  release(lease: Lease): Promise<void> {
    return this.#leases.release(lease);
  }

  hold(queueId: QueueId, hold: Hold): Promise<boolean> {
    return this.#change(queueId, (entry) => onHold(entry, hold));
  }

  unhold(queueId: QueueId): Promise<boolean> {
    return this.#change(queueId, (entry) => withoutHold(entry));
  }

  retryNow(queueId: QueueId, now: EpochMs): Promise<boolean> {
    return this.#change(queueId, (entry) => triedAgain(entry, now));
  }

  async drop(queueId: QueueId): Promise<boolean> {
    const isDropped = await this.#changes.exclusively(queueId, async (row) => {
      await this.#changes.remove(row);
      return true;
    });
    return isDropped ?? false;
  }

  async entry(queueId: QueueId): Promise<SpoolEntry | undefined> {
    const row = this.#index.get(queueId);
    return row === undefined ? undefined : entryOfRow(row);
  }

  async *entries(filter?: EntryFilter): AsyncGenerator<SpoolEntry, void, undefined> {
    for (const row of this.#index.rows(filter)) yield entryOfRow(row);
  }

  due(account: AccountName, now: EpochMs, limit: number, isLeftOut?: (queueId: QueueId) => boolean): SpoolEntry[] {
    return this.#index.due(account, { now, present: this.#options.clock.now(), limit, isLeftOut }).map(entryOfRow);
  }

  async accounts(): Promise<AccountSummary[]> {
    return this.#index.accounts(this.#options.clock.now());
  }

  async *content(queueId: QueueId): AsyncGenerator<Uint8Array, void, undefined> {
    const row = this.#index.get(queueId);
    if (row === undefined) throw spoolProblem('SPOOL_ENTRY_UNKNOWN', `there is no message ${queueId} in the queue`);
    try {
      yield* readContent(row, this.#source);
    } catch (error) {
      if (!(error instanceof ContentDamaged)) throw error;
      if (!row.isListed) throw spoolProblem('SPOOL_ENTRY_UNKNOWN', `message ${queueId} has left the queue`);
      await this.#changes.exclusively(queueId, () => this.#setAside(row, error));
      throw spoolProblem('SPOOL_DAMAGED', `content of message ${queueId}: ${error.message}`);
    }
  }

  async stats(): Promise<SpoolStats> {
    return { entries: this.#index.size, octets: this.#index.octets, segments: this.#table.size, quarantined: this.#quarantine.count };
  }

  onChange(listener: (change: SpoolChange) => void): () => void {
    return this.#changes.onChange(listener);
  }

  async #accept(content: DraftedContent, message: NewMessage, options: AcceptOptions): Promise<SpoolEntry> {
    const size = content.kind === 'inline' ? content.octets.length : content.size;
    return this.#changes.accept(newEntry(message, size as Octets), content, options);
  }

  async #change(queueId: QueueId, change: (entry: SpoolEntry) => SpoolEntry): Promise<boolean> {
    const isChanged = await this.#changes.exclusively(queueId, async (row) => {
      await this.#changes.store(row, change(entryOfRow(row)));
      return true;
    });
    return isChanged ?? false;
  }

  /** For moving a record. @param row - Had exclusively. */
  async #contentInSegment(row: Row): Promise<Uint8Array | undefined> {
    try {
      return await readInline(row, this.#source);
    } catch (error) {
      if (!(error instanceof ContentDamaged)) throw error;
      await this.#setAside(row, error);
      return undefined;
    }
  }

  /** @param row - Had exclusively. */
  async #setAside(row: Row, damage: ContentDamaged): Promise<void> {
    if (!row.isListed) return;
    const { segment, offset } = row.place;
    const contentPath = row.contentFile === undefined ? undefined : this.#contents.pathOf(row.contentFile.name);
    this.#changes.unlist(row);
    const { octets } = damage;
    const item = { kind: 'entry', reason: damage.message, segment, offset, entry: entryOfRow(row), ...(octets && { octets }) } as const;
    const isKept = await this.#quarantine.keep(contentPath === undefined ? item : { ...item, contentPath }, this.#options.clock.now());
    if (!isKept) return;
    await this.#changes.noteDamage({ serial: row.serial, segment, offset }).catch((error: unknown) => this.#logNoteFailed(error));
  }

  #logNoteFailed(error: unknown): void {
    this.#options.log.warn(
      { event: 'spool-note-failed', error },
      'damage set aside, but not noted: it will be found again at the next start',
    );
  }
}

interface Parts {
  readonly directories: SpoolDirectories;
  readonly release: () => Promise<void>;
  readonly contents: ContentStore;
  readonly quarantine: Quarantine;
  readonly found: Found;
  readonly report: RecoveryReport;
}

async function lock({ dir, files }: SegmentSpoolOptions, directories: SpoolDirectories): Promise<() => Promise<void>> {
  let release: (() => Promise<void>) | undefined;
  try {
    await files.makeDirectory(dir);
    const outcome = await files.lock(join(dir, 'lock'));
    if (outcome.kind === 'held') throw spoolProblem('SPOOL_LOCKED', `${outcome.holder} uses ${dir}`);
    release = outcome.release;
    for (const directory of Object.values<string>({ ...directories })) await files.makeDirectory(directory);
    return release;
  } catch (error) {
    await release?.();
    throw spoolError(error, 'locking the spool');
  }
}

function reportOf(found: Found, duration: DurationMs): RecoveryReport {
  const { rows, segments, damages, incomplete, debris } = found;
  return {
    entries: rows.length,
    octets: rows.reduce((sum, { size }) => sum + size, 0) as Octets,
    segments: segments.filter(({ isEmpty }) => !isEmpty).length,
    ambiguous: rows.filter(({ isAmbiguous }) => isAmbiguous).length,
    quarantined: damages.length + incomplete.length,
    debrisOctets: debris.reduce((sum, { octets }) => sum + octets, 0) as Octets,
    duration,
  };
}
