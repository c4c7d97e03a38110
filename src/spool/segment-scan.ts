/**
 * Reads a segment from front to back and tells sound records from damage, and damage from the debris of a write that never finished.
 *
 * Each record says where its batch began; everything before was on stable storage by then. So a gap is *damage* if a later record proves that it
 * had been synced, or if a later segment's opening says that the segment reaches beyond it. Else it lies in the last batch of all, which may
 * never have been synced: it is *damage* still where head and tail of one record stand around it and no sector in between has kept the zeros that a
 * segment is made of, for then more probably a bit has changed, and *debris* otherwise, which nobody was ever promised.
 *
 * @packageDocumentation
 */
import { type OpenFile, readFully } from '../platform/files.ts';
import { ALIGNMENT, checksumOf, FRAME_OCTETS, type Frame, frameAt, isSameRecord, octetsOfFrame } from './record.ts';
import { HEADER_OCTETS } from './segment-file.ts';

/** A record that matches its checksum. */
export interface SoundRecord {
  readonly offset: number;
  readonly frame: Frame;
  readonly envelope: string;
}

/** A stretch of octets that is no sound record. */
export interface Gap {
  readonly offset: number;
  readonly octets: number;
  readonly kind: 'damage' | 'debris';
  /** Whose it was, where head or tail is whole. */
  readonly frame?: Frame;
}

/** What a segment holds. */
export interface ScanResult {
  /** Where the debris begins, or what was never written. Sound records behind it are of the same unfinished batch, and void. */
  readonly end: number;
  readonly gaps: readonly Gap[];
}

/** What to read. */
export interface ScanOptions {
  readonly file: OpenFile;
  readonly tag: Buffer;
  /** Octets that count; what lies behind is void. */
  readonly limit: number;
  /** A later segment says so: then all of it was synced. */
  readonly isEndKnown: boolean;
}

interface FoundGap {
  readonly offset: number;
  readonly octets: number;
  readonly isEnclosed: boolean;
  readonly frame?: Frame;
}

/**
 * Scan a segment.
 *
 * @param onRecord - Called for each sound record, in order.
 * @throws Error of node:fs.
 */
export async function scanSegment(options: ScanOptions, onRecord: (record: SoundRecord) => void): Promise<ScanResult> {
  const scan = new Scan(options, onRecord);
  await scan.run();
  return scan.result();
}

class Scan {
  readonly #options: ScanOptions;
  readonly #onRecord: (record: SoundRecord) => void;
  readonly #window: Window;
  readonly #gaps: FoundGap[] = [];
  #at = HEADER_OCTETS;
  /** Everything before was synced, as later records prove. */
  #provenEnd = 0;

  constructor(options: ScanOptions, onRecord: (record: SoundRecord) => void) {
    this.#options = options;
    this.#onRecord = onRecord;
    this.#window = new Window(options.file, options.limit);
  }

  async run(): Promise<void> {
    while (this.#at + FRAME_OCTETS <= this.#options.limit) {
      const head = await this.#frameAt(this.#at);
      const isSound = head?.isHead === true && (await this.#takeRecord(head));
      if (!isSound && !(await this.#takeGap(head?.isHead === true ? head : undefined))) return;
    }
    const rest = (await this.#window.lastNonZero(this.#at)) - this.#at;
    if (rest > 0) this.#gap(rest, undefined, false);
  }

  result(): ScanResult {
    const firstDebris = this.#gaps.find((gap) => !this.#isDamage(gap))?.offset ?? Number.MAX_SAFE_INTEGER;
    const whole = this.#gaps.filter(({ offset }) => offset < firstDebris);
    const gaps = whole.map(({ offset, octets, frame }): Gap => ({ offset, octets, kind: 'damage', ...(frame && { frame }) }));
    const last = this.#gaps.at(-1);
    if (firstDebris === Number.MAX_SAFE_INTEGER || last === undefined) return { end: this.#at, gaps };
    const octets = Math.max(this.#at, last.offset + last.octets) - firstDebris;
    return { end: firstDebris, gaps: [...gaps, { offset: firstDebris, octets, kind: 'debris' }] };
  }

  #isDamage({ offset, isEnclosed }: FoundGap): boolean {
    return this.#options.isEndKnown || offset < this.#provenEnd || isEnclosed;
  }

  async #frameAt(at: number): Promise<Frame | undefined> {
    const frame = frameAt(await this.#window.read(at, FRAME_OCTETS), 0, this.#options.tag);
    if (frame !== undefined) this.#provenEnd = Math.max(this.#provenEnd, frame.batchStart); // Head or tail, it was written after that sync.
    return frame;
  }

  /** True where the record at the present place is sound; it has then been taken. */
  async #takeRecord(frame: Frame): Promise<boolean> {
    const total = octetsOfFrame(frame);
    if (this.#at + total > this.#options.limit) return false;
    const payload = await this.#window.read(this.#at + FRAME_OCTETS, frame.envelopeOctets + frame.contentOctets);
    if (checksumOf(payload) !== frame.checksum) return false;
    this.#onRecord({ offset: this.#at, frame, envelope: payload.toString('utf8', 0, frame.envelopeOctets) });
    this.#at += total;
    return true;
  }

  /** Go on behind what is not sound. False where nothing sound comes any more. */
  async #takeGap(head: Frame | undefined): Promise<boolean> {
    const next = await this.#nextFrame(this.#at + ALIGNMENT);
    if (next === undefined) {
      const octets = (await this.#window.lastNonZero(this.#at)) - this.#at;
      if (octets > 0) this.#gap(octets, head, false); // The place stays: here the segment ends.
      return false;
    }
    if (next.frame.isHead) {
      this.#passOver(next.at, head);
      return true;
    }
    const end = next.at + FRAME_OCTETS;
    const start = end - octetsOfFrame(next.frame);
    const own = start === this.#at ? head : undefined;
    if (start > this.#at) this.#passOver(start, head);
    const isOneRecord = start === this.#at && (own === undefined || isSameRecord(own, next.frame));
    const isEnclosed = isOneRecord && !(await this.#window.hasZeroSector(start, end));
    this.#gap(end - this.#at, start === this.#at ? next.frame : undefined, isEnclosed);
    this.#at = end;
    return true;
  }

  async #nextFrame(from: number): Promise<{ at: number; frame: Frame } | undefined> {
    for (
      let at = await this.#window.find(this.#options.tag, from);
      at !== undefined;
      at = await this.#window.find(this.#options.tag, at + 1)
    ) {
      if (at % ALIGNMENT !== 0) continue;
      const frame = await this.#frameAt(at);
      if (frame !== undefined) return { at, frame };
    }
    return undefined;
  }

  /** A record whose head is known may end before that; what follows it then was another, of which nothing is known. */
  #passOver(end: number, head: Frame | undefined): void {
    const ownEnd = head === undefined ? end : Math.min(end, this.#at + octetsOfFrame(head));
    this.#gap(ownEnd - this.#at, head, false);
    this.#at = ownEnd;
    if (ownEnd < end) this.#gap(end - ownEnd, undefined, false);
    this.#at = end;
  }

  #gap(octets: number, frame: Frame | undefined, isEnclosed: boolean): void {
    this.#gaps.push({ offset: this.#at, octets, isEnclosed, ...(frame === undefined ? {} : { frame }) });
  }
}

/** What disks write whole or not at all; many write more. */
const SECTOR_OCTETS = 512;
const WINDOW_OCTETS = 1024 * 1024;

/** The part of a file that is in memory. */
class Window {
  readonly #file: OpenFile;
  readonly #limit: number;
  #storage = Buffer.allocUnsafe(WINDOW_OCTETS);
  #octets = Buffer.alloc(0);
  #start = 0;

  constructor(file: OpenFile, limit: number) {
    this.#file = file;
    this.#limit = limit;
  }

  /** Fewer octets at the end of the file. Valid until the next call. */
  async read(at: number, length: number): Promise<Buffer> {
    const wanted = Math.min(length, this.#limit - at);
    if (at < this.#start || at + wanted > this.#start + this.#octets.length) await this.#load(at, wanted);
    return this.#octets.subarray(at - this.#start, at - this.#start + wanted);
  }

  /** Where `needle` next stands. */
  async find(needle: Buffer, from: number): Promise<number | undefined> {
    for (let at = from; at + needle.length <= this.#limit; ) {
      const octets = await this.read(at, Math.min(WINDOW_OCTETS, this.#limit - at));
      if (octets.length < needle.length) return undefined;
      const index = octets.indexOf(needle);
      if (index !== -1) return at + index;
      at += octets.length - needle.length + 1;
    }
    return undefined;
  }

  /** Behind the last octet from `from` on that is not zero; `from` where all are. */
  async lastNonZero(from: number): Promise<number> {
    let end = from;
    for (let at = from; at < this.#limit; at += WINDOW_OCTETS) {
      const octets = await this.read(at, WINDOW_OCTETS);
      if (octets.length === 0) break;
      for (let index = octets.length - 1; index >= 0; index -= 1) {
        if (octets[index] === 0) continue;
        end = at + index + 1;
        break;
      }
    }
    return end;
  }

  /** True where a sector between the two places is all zeros, as far as it lies between them; the last one is not looked at. */
  async hasZeroSector(from: number, to: number): Promise<boolean> {
    for (let at = from; at < to; ) {
      const end = (Math.floor(at / SECTOR_OCTETS) + 1) * SECTOR_OCTETS;
      if (end < to && (await this.read(at, end - at)).every((octet) => octet === 0)) return true;
      at = end;
    }
    return false;
  }

  async #load(at: number, length: number): Promise<void> {
    if (length > this.#storage.length) this.#storage = Buffer.allocUnsafe(length);
    const octets = this.#storage.subarray(0, Math.min(this.#storage.length, this.#limit - at));
    this.#octets = octets.subarray(0, await readFully(this.#file, octets, at));
    this.#start = at;
  }
}
