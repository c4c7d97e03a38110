/**
 * One segment while records are added to it, batch by batch.
 *
 * @packageDocumentation
 */
import { writeFully } from '../platform/files.ts';
import { type LogRecord, octetsOfRecord, piecesOf, sealRecord } from './record.ts';
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

export class SegmentWriter {
  readonly segment: Segment;
  readonly #opening: LogRecord;
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
    let end = start;
    const pieces: Uint8Array[] = [];
    const put = (record: LogRecord): RecordPlace => {
      const place = { segment: this.segment.number, offset: end };
      for (const piece of piecesOf(record, this.segment.tag, start)) pieces.push(piece);
      end += octetsOfRecord(record);
      return place;
    };
    if (!this.#isOpened) put(this.#opening);
    const places = batch.map(({ record }) => put(record));
    await writeFully(this.segment.file, pieces, start);
    batch.forEach(({ onWritten }, index) => onWritten(places[index] ?? { segment: this.segment.number, offset: start }));
    await this.segment.file.datasync();
    this.#isOpened = true;
    this.#end = end;
    return places;
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
