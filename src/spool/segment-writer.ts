/**
 * One segment while records are added to it, batch by batch.
 *
 * @packageDocumentation
 */
import { writeFully } from '../platform/files.ts';
import { composedOctets, type LogRecord, octetsOfRecord, piecesOf, sealRecord } from './record.ts';
import { HEADER_OCTETS, type Segment } from './segment-file.ts';

/** Where a record lies. */
export interface RecordPlace {
  readonly segment: number;
  readonly offset: number;
}

/** Where a segment ends: what lies behind is void. */
export interface SegmentEnd {
  readonly segment: number;
  readonly end: number;
}

/** A record to write, and what to do when the operating system has it. */
export interface Entering {
  readonly record: LogRecord;
  readonly onWritten: (place: RecordPlace) => void;
}

/** A larger batch is rare, and gets room of its own. */
const MOST_KEPT_OCTETS = 512 * 1024;

export class SegmentWriter {
  readonly segment: Segment;
  readonly #opening: LogRecord;
  /** Where batches are put together, one at a time. */
  #room = Buffer.alloc(0);
  #isOpened = false;
  #end = HEADER_OCTETS;

  /** @param ends - Of the segments before it, to be told by its first record. */
  constructor(segment: Segment, ends: readonly SegmentEnd[]) {
    this.segment = segment;
    this.#opening = sealRecord('opening', 0, { ends });
  }

  /** Behind the last batch that was synced. */
  get end(): number {
    return this.#end;
  }

  /** Octets that records can still take. */
  get room(): number {
    return this.segment.size - this.#end - (this.#isOpened ? 0 : octetsOfRecord(this.#opening));
  }

  /**
   * Write records behind one another and sync them.
   *
   * @returns Where each lies.
   * @throws Error of node:fs. The writer must not be used again, except for {@link cut} and {@link close}.
   */
  async commit(batch: readonly Entering[]): Promise<RecordPlace[]> {
    const start = this.#end;
    const records = batch.map(({ record }) => record);
    if (!this.#isOpened) records.unshift(this.#opening);
    const pieces = piecesOf(records, this.segment.tag, start, this.#roomFor(composedOctets(records)));
    await writeFully(this.segment.file, pieces, start);
    let end = this.#isOpened ? start : start + octetsOfRecord(this.#opening);
    const places = batch.map(({ record, onWritten }) => {
      const place = { segment: this.segment.number, offset: end };
      end += octetsOfRecord(record);
      onWritten(place);
      return place;
    });
    await this.segment.file.datasync();
    this.#isOpened = true;
    this.#end = end;
    return places;
  }

  #roomFor(octets: number): Buffer {
    if (octets <= this.#room.length) return this.#room;
    const room = Buffer.allocUnsafeSlow(octets);
    if (octets <= MOST_KEPT_OCTETS) this.#room = room;
    return room;
  }

  /** Give back the room behind the last batch. */
  async shorten(): Promise<void> {
    await this.segment.file.truncate(this.#end);
  }

  /** {@link shorten}, and make that durable. */
  async cut(): Promise<void> {
    await this.shorten();
    await this.segment.file.datasync();
  }

  close(): Promise<void> {
    return this.segment.file.close();
  }
}
