/**
 * Gives back the disk: removes segments that nothing needs, and moves the few entries of an old segment forward where more of the log is dead than
 * alive, so that a message on hold for days pins one record and not gigabytes.
 *
 * Always from the oldest on (see {@link ./segment-table.ts}), one at a time, and with the directory synced before the next: a segment that came back
 * after a power cut, while the news that its messages were delivered did not, would deliver them again.
 *
 * @packageDocumentation
 */
import type { Log } from '../core/ports/log.ts';
import type { FileSystem } from '../platform/files.ts';
import type { EntryChanges } from './entry-changes.ts';
import type { EntryIndex } from './entry-index.ts';
import { errnoOf } from './failure.ts';
import type { Journal } from './journal.ts';
import type { Row } from './row.ts';
import type { ListedSegment, SegmentTable } from './segment-table.ts';

/** What reclaiming needs. */
export interface ReclaimerOptions {
  readonly files: FileSystem;
  readonly directory: string;
  readonly table: SegmentTable;
  readonly index: EntryIndex;
  readonly journal: Journal;
  readonly changes: () => EntryChanges;
  /** Content of a row as it lies in its record. Undefined where it is damaged; the row is then gone. */
  readonly readContent: (row: Row) => Promise<Uint8Array | undefined>;
  /** Called for each segment whose file has been removed. */
  readonly onRemoved: (number: number) => void;
  /** Octets that may be dead beside as many as are alive. */
  readonly tolerance: number;
  readonly log: Log;
}

export class Reclaimer {
  readonly #options: ReclaimerOptions;
  #running: Promise<void> | undefined;
  #isStopped = false;
  /** Removed, but the directory could not be synced. */
  #isUnsynced = false;

  constructor(options: ReclaimerOptions) {
    this.#options = options;
  }

  /** Look whether there is something to do, in the background. */
  start(): void {
    if (this.#running !== undefined || this.#isStopped || !this.#hasWork()) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Wait until nothing is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      while (!this.#isStopped && this.#hasWork()) await this.#reclaim();
    } catch (error) {
      this.#options.log.warn({ event: 'spool-reclaim-failed', error }, 'room of delivered messages not given back; tried again later');
    }
  }

  #hasWork(): boolean {
    const oldest = this.#oldest();
    return oldest !== undefined && (oldest.liveEntries === 0 || this.#isMostlyDead());
  }

  /** Undefined where the oldest is the one in use. */
  #oldest(): ListedSegment | undefined {
    const { table, journal } = this.#options;
    const oldest = table.oldest();
    return journal.segment === undefined || oldest?.number === journal.segment ? undefined : oldest;
  }

  #isMostlyDead(): boolean {
    const { table, tolerance } = this.#options;
    return table.deadOctets > table.liveOctets + tolerance;
  }

  async #reclaim(): Promise<void> {
    const oldest = this.#oldest();
    if (oldest === undefined) return;
    for (const row of this.#rowsOf(oldest)) if (!this.#isStopped) await this.#moveForward(row, oldest);
    if (this.#isStopped || this.#rowsOf(oldest).length > 0) return;
    await this.#remove(oldest);
  }

  #rowsOf({ number, liveEntries }: ListedSegment): Row[] {
    return liveEntries === 0 ? [] : [...this.#options.index.rows()].filter((row) => row.place.segment === number);
  }

  async #moveForward(row: Row, { number }: ListedSegment): Promise<void> {
    const { changes, readContent } = this.#options;
    await changes().exclusively(row.queueId, async () => {
      if (row.place.segment !== number) return;
      const content = await readContent(row);
      if (content !== undefined) await changes().moveForward(row, content);
    });
  }

  async #remove({ number, path }: ListedSegment): Promise<void> {
    const { files, directory, table, onRemoved } = this.#options;
    if (this.#isUnsynced) await files.syncDirectory(directory);
    try {
      await files.unlink(path);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
    onRemoved(number);
    this.#isUnsynced = true;
    await files.syncDirectory(directory);
    this.#isUnsynced = false;
    table.remove(number);
  }
}
