/**
 * The writing end of the spool log: group commit, and what happens when the disk fails.
 *
 * Records are written in batches. While one batch is being synced, whatever arrives waits and forms the next: exactly one fdatasync is in flight,
 * and its cost is shared by all who wait.
 *
 * **A segment that failed once is never used again.** After a failed fdatasync nobody knows what is on the disk: Linux marks the pages clean, a second
 * fdatasync succeeds and means nothing. A short or failed write leaves a part. So the segment is closed where its last good sync ended, every
 * message of the batch is rejected, and the next segment is tried.
 *
 * **What was rejected must not come back at the next start**, although its record may well be on the disk, whole and with a good checksum. So each
 * segment begins with an *opening* record that says where the segments before it end; what lies behind that end is void for every reader. After a
 * failure the opening is synced before anybody is told of the rejection. If no other segment can be had, because the disk is full or
 * read-only, the failed one is cut short instead, which needs no room; it is synced for its new length only, nothing in it is taken as saved by that. Only
 * if that fails too, and the machine then stops before the disk recovers, could the rejected record be found again: as long as the process lives, the
 * opening is written first of all once the disk lets it.
 *
 * Outcomes and marks of a failed batch are not rejected but written again, once, to the next segment: to forget them would deliver messages twice.
 *
 * @packageDocumentation
 */
import { setImmediate as turnEnd } from 'node:timers/promises';
import type { Log } from '../core/ports/log.ts';
import { spoolError, spoolProblem } from './failure.ts';
import { type LogRecord, octetsOfRecord, sealRecord } from './record.ts';
import type { Segment, SegmentMaker } from './segment-file.ts';
import { type RecordPlace, type SegmentEnd, SegmentWriter } from './segment-writer.ts';

/** What a journal needs. */
export interface JournalOptions {
  readonly maker: SegmentMaker;
  readonly log: Log;
  /** Ends of segments found at the start that no opening tells. */
  readonly ends: readonly SegmentEnd[];
  /** Called for each segment that is put to use. */
  readonly onSegment: (segment: Segment) => void;
}

/** What a record is to the journal. */
export interface AppendOptions {
  /** It brings a new message: kept off the reserve, and rejected by a failure. All else is written again after a failure. */
  readonly isMessage: boolean;
  /** `written`: handed to the operating system, which survives a kill. */
  readonly until: 'written' | 'durable';
  /** Called before the promise resolves, in the order of the log; with `written` perhaps twice. */
  readonly apply?: (place: RecordPlace) => void;
}

interface Waiting extends Pick<AppendOptions, 'isMessage' | 'until'> {
  readonly apply: AppendOptions['apply'] | undefined;
  readonly record: LogRecord;
  readonly octets: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  isRepeated: boolean;
}

export class Journal {
  readonly #options: JournalOptions;
  #queue: Waiting[] = [];
  /** Ends that no opening on stable storage tells yet. */
  #ends: readonly SegmentEnd[];
  #writer: SegmentWriter | undefined;
  #isRunning = false;
  #whenIdle: Promise<void> = Promise.resolve();

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#ends = options.ends;
  }

  /** Number of the segment in use. */
  get segment(): number | undefined {
    return this.#writer?.segment.number;
  }

  /** Octets for messages in segments that stand ready. */
  get preparedRoom(): number {
    const { spareRoom } = this.#options.maker;
    return this.#roomFor({ isMessage: true }) + Math.max(0, spareRoom - reserveOf(spareRoom));
  }

  /** There is a segment, so that nobody has to wait for {@link ready}. */
  get isReady(): boolean {
    return this.#writer !== undefined;
  }

  /**
   * Make sure that there is a segment, before the content of a message comes.
   *
   * @throws ProblemError `SPOOL_FULL`, `SPOOL_FAILED`.
   */
  async ready(): Promise<void> {
    if (this.#writer === undefined) await this.append(sealRecord('opening', 0, { ends: [] }), { isMessage: true, until: 'durable' });
  }

  /**
   * Add a record.
   *
   * @throws ProblemError `SPOOL_FULL`, `SPOOL_FAILED`: the record counts for nothing, now and after a restart.
   */
  append(record: LogRecord, options: AppendOptions): Promise<void> {
    const { isMessage, until, apply } = options;
    return new Promise((resolve, reject) => {
      this.#queue.push({ record, isMessage, until, apply, octets: octetsOfRecord(record), resolve, reject, isRepeated: false });
      if (!this.#isRunning) this.#whenIdle = this.#run();
    });
  }

  /** Wait for what is under way, and give the files back. */
  async close(): Promise<void> {
    await this.#whenIdle;
    await this.#retire();
    await this.#options.maker.close();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#queue.length > 0) {
      await turnEnd(); // What other connections have ready in this turn of the event loop rides along. An idle process does not wait for it.
      const batch = this.#nextBatch();
      if (batch.length > 0) await this.#commit(batch);
      else await this.#makeRoom();
    }
    this.#isRunning = false;
  }

  /** The records that come next and have room in the segment in use. */
  #nextBatch(): Waiting[] {
    const [room, roomForMessages] = [this.#roomFor({ isMessage: false }), this.#roomFor({ isMessage: true })];
    let octets = 0;
    const misfit = this.#queue.findIndex((waiting) => {
      octets += waiting.octets;
      return octets > (waiting.isMessage ? roomForMessages : room);
    });
    const count = misfit === -1 ? this.#queue.length : misfit;
    const batch = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    return batch;
  }

  /** In the segment in use; outcomes may take what messages must leave. */
  #roomFor({ isMessage }: { readonly isMessage: boolean }): number {
    if (this.#writer === undefined) return 0;
    const { room, segment } = this.#writer;
    return isMessage ? Math.max(0, room - reserveOf(segment.size)) : room;
  }

  /** A new segment for the record that comes next; if none can be had, the record is rejected. */
  async #makeRoom(): Promise<void> {
    const first = this.#queue[0];
    if (first === undefined) return;
    try {
      await this.#rotate(!first.isMessage);
      if (first.octets > this.#roomFor(first)) throw spoolProblem('SPOOL_FULL', 'the disk has no room for a larger segment');
    } catch (error) {
      this.#queue = this.#queue.slice(1);
      first.reject(spoolError(error, 'making room in the spool'));
    }
  }

  async #rotate(isEssential: boolean): Promise<void> {
    const next = await this.#options.maker.take(isEssential);
    await this.#retire();
    this.#writer = new SegmentWriter(next, this.#ends);
    this.#options.onSegment(next);
  }

  /** Leave the segment in use, whose batches are all synced. */
  async #retire(): Promise<void> {
    const writer = this.#abandon();
    if (writer === undefined) return;
    await writer.shorten().catch((error: unknown) => {
      this.#options.log.debug(
        { event: 'spool-segment-unshortened', file: writer.segment.path, error },
        'room behind a segment not given back',
      );
    });
    await this.#close(writer);
  }

  /** From now on the segment ends where its last good sync did. */
  #abandon(): SegmentWriter | undefined {
    const writer = this.#writer;
    this.#writer = undefined;
    if (writer !== undefined) this.#ends = [...this.#ends, { segment: writer.segment.number, end: writer.end }];
    return writer;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#write(batch);
    } catch (error) {
      await this.#fail(batch, error);
    }
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const writer = this.#writer;
    if (writer === undefined) return;
    const entering = batch.map((waiting) => ({
      record: waiting.record,
      onWritten: (place: RecordPlace) => waiting.until === 'written' && finish(waiting, place),
    }));
    const places = await writer.commit(entering);
    this.#ends = []; // The opening of this segment tells them all.
    if (writer.room < writer.segment.size / 2) this.#options.maker.prepareAhead();
    for (const [index, place] of places.entries()) {
      const waiting = batch[index];
      if (waiting?.until === 'durable') finish(waiting, place);
    }
  }

  /** See the top of this file. */
  async #fail(batch: readonly Waiting[], error: unknown): Promise<void> {
    const failed = this.#abandon();
    const failure = spoolError(error, `writing to ${failed?.segment.path ?? 'the spool'}`);
    const { log } = this.#options;
    log.error(
      { event: 'spool-write-failed', problem: failure.problem, error },
      'a batch could not be made durable; its messages are rejected',
    );
    const isRepeatable = ({ isMessage, isRepeated }: Waiting): boolean => !isMessage && !isRepeated;
    if (failed !== undefined) {
      if (!(await this.#revoke())) await this.#cut(failed);
      await this.#close(failed);
    }
    const again = batch.filter(isRepeatable);
    for (const waiting of batch) if (!isRepeatable(waiting)) waiting.reject(failure);
    for (const waiting of again) waiting.isRepeated = true;
    this.#queue = [...again, ...this.#queue];
  }

  /** Tell the end of the failed segment in a new one. A second try is made, since the new one may be the spare from a better time. */
  async #revoke(): Promise<boolean> {
    for (let tries = 0; tries < 2; tries += 1) {
      try {
        await this.#rotate(true);
        await this.#write([]);
        return true;
      } catch (error) {
        const { problem: what } = spoolError(error, 'opening another segment');
        this.#options.log.warn({ event: 'spool-write-failed', problem: what, error }, 'no other segment could be opened');
        const writer = this.#abandon();
        if (writer !== undefined) await this.#close(writer);
      }
    }
    return false;
  }

  async #cut(failed: SegmentWriter): Promise<void> {
    try {
      await failed.cut();
    } catch (error) {
      const { problem: what } = spoolError(error, `shortening ${failed.segment.path}`);
      const message = 'rejected messages could not be revoked on the disk; keep this process running until the disk works again';
      this.#options.log.error({ event: 'spool-unrevoked', problem: what, file: failed.segment.path, error }, message);
    }
  }

  async #close(writer: SegmentWriter): Promise<void> {
    await writer.close().catch((error: unknown) => {
      this.#options.log.debug({ event: 'spool-file-unclosed', file: writer.segment.path, error }, 'segment not closed');
    });
  }
}

/** Octets of a segment kept for outcomes, so that a full disk still lets the queue drain. */
function reserveOf(size: number): number {
  return Math.min(1024 * 1024, Math.floor(size / 8));
}

function finish({ apply, resolve }: Waiting, place: RecordPlace): void {
  apply?.(place);
  resolve();
}
