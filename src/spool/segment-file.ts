/**
 * The files that the spool log is made of: their names, their headers, and how a new one comes into being.
 *
 * A segment is filled with zeros and synced under a temporary name, then renamed, and the directory synced, all before its first record. From then
 * on writing to it neither needs room on the disk nor changes anything but its content, so that a full disk is met early and a sync is short.
 * (Node has no posix_fallocate.) The next one is prepared in the background while the present one is in use.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import type { Octets } from '../core/octets.ts';
import type { Log } from '../core/ports/log.ts';
import type { Random } from '../core/ports/random.ts';
import { type FileSystem, type OpenFile, readFully, writeFully } from '../platform/files.ts';
import { spoolError, spoolProblem } from './failure.ts';
import { checksumOf } from './record.ts';

/** What this code writes, and the newest it reads. */
export const FORMAT_VERSION = 1;
/** Records begin behind it. */
export const HEADER_OCTETS = 64;

const MAGIC = Buffer.from('postern spool\n\0\0', 'latin1');
const NAME = /^(\d{10})-([0-9a-f]{16})\.seg$/;
/** Of a segment that is being prepared; removed at the next start if the process dies meanwhile. */
export const UNFINISHED = '.new';

/** A segment by its file name. */
export interface SegmentName {
  readonly number: number;
  readonly tag: Buffer;
  readonly path: string;
}

/** A segment that can be written to. */
export interface Segment extends SegmentName {
  readonly file: OpenFile;
  /** Octets of the file, header included. */
  readonly size: number;
}

/** Undefined where `name` is not that of a segment. */
export function parseSegmentName(directory: string, name: string): SegmentName | undefined {
  const [, number, tag] = NAME.exec(name) ?? [];
  return number === undefined || tag === undefined
    ? undefined
    : { number: Number(number), tag: Buffer.from(tag, 'hex'), path: join(directory, name) };
}

/**
 * Whether a header is that of its file.
 *
 * @throws ProblemError `SPOOL_FORMAT_NEWER`.
 */
export function isHeaderSound(header: Buffer, { tag, path }: SegmentName): boolean {
  const isWhole = header.length === HEADER_OCTETS && header.readUInt32LE(HEADER_OCTETS - 4) === checksumOf(header.subarray(0, -4));
  if (!isWhole || !header.subarray(0, MAGIC.length).equals(MAGIC)) return false;
  const version = header.readUInt32LE(16);
  if (version > FORMAT_VERSION) {
    throw spoolProblem('SPOOL_FORMAT_NEWER', `${path} has format version ${version}; this Postern knows ${FORMAT_VERSION}`);
  }
  return header.subarray(24, 32).equals(tag);
}

/** The first octets of a segment file. */
export async function readHeader(file: OpenFile): Promise<Buffer> {
  const header = Buffer.alloc(HEADER_OCTETS);
  return header.subarray(0, await readFully(file, header, 0));
}

function headerOf(number: number, tag: Uint8Array, size: number): Buffer {
  const header = Buffer.alloc(HEADER_OCTETS);
  header.set(MAGIC);
  header.writeUInt32LE(FORMAT_VERSION, 16);
  header.writeUInt32LE(number, 20);
  header.set(tag, 24);
  header.writeUInt32LE(size, 32);
  header.writeUInt32LE(checksumOf(header.subarray(0, -4)), HEADER_OCTETS - 4);
  return header;
}

/** What a maker of segments needs. */
export interface SegmentMakerOptions {
  readonly directory: string;
  readonly files: FileSystem;
  readonly random: Random;
  readonly log: Log;
  /** Number of the first segment made. */
  readonly nextNumber: number;
  readonly segmentSize: Octets;
  /** To leave to others on the disk. */
  readonly minFree: Octets;
}

/** The first segment of a process is small: many processes never need more. */
const FIRST_SIZE = 8 * 1024 * 1024;
/** Below it a segment is not worth making. */
const SMALLEST = 16 * 1024;
const ZEROS = new Uint8Array(256 * 1024);
/** So much is left to be synced at most, lest the sync of an accepted message has to wait behind all of a new segment. */
const SYNC_EVERY = 4 * 1024 * 1024;

/** Prepares segments, one ahead. */
export class SegmentMaker {
  readonly #options: SegmentMakerOptions;
  #nextNumber: number;
  #spare: Promise<Segment> | undefined;
  #spareSize = 0;

  constructor(options: SegmentMakerOptions) {
    this.#options = options;
    this.#nextNumber = options.nextNumber;
  }

  /** Octets in the segment that stands ready. */
  get spareRoom(): number {
    return this.#spareSize;
  }

  /** Begin to prepare the next segment. Failures are met again, and told, by {@link take}. */
  prepareAhead(): void {
    if (this.#spare !== undefined) return;
    const spare = this.#make(this.#options.segmentSize, this.#options.minFree);
    this.#spare = spare;
    spare.then(
      ({ size }) => {
        if (this.#spare === spare) this.#spareSize = size;
      },
      (error: unknown) => {
        if (this.#spare === spare) this.#spare = undefined;
        const { problem: what } = spoolError(error, 'preparing a segment');
        this.#options.log.warn({ event: 'spool-segment-unprepared', problem: what, error }, 'no room prepared for the next messages');
      },
    );
  }

  /**
   * A segment to write to.
   *
   * @param isEssential - It is for outcomes, without which messages would be delivered twice: what is kept free for others may be used.
   * @throws ProblemError `SPOOL_FULL`, `SPOOL_FAILED`.
   */
  async take(isEssential: boolean): Promise<Segment> {
    const spare = this.#spare;
    this.#spare = undefined;
    this.#spareSize = 0;
    if (spare !== undefined) {
      try {
        return await spare;
      } catch {
        // Told by prepareAhead. The disk may have recovered, and what is essential may use more of it.
      }
    }
    const size =
      this.#nextNumber === this.#options.nextNumber ? Math.min(FIRST_SIZE, this.#options.segmentSize) : this.#options.segmentSize;
    return this.#make(size, isEssential ? 0 : this.#options.minFree);
  }

  /** Remove the spare. */
  async close(): Promise<void> {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare === undefined) return;
    const segment = await spare.catch(() => undefined); // Told by prepareAhead.
    if (segment !== undefined) await this.#discard(segment.file, segment.path);
  }

  async #make(wanted: number, minFree: number): Promise<Segment> {
    const { directory, files, random } = this.#options;
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    const tag = Buffer.from(random.octets(8));
    const path = join(directory, `${String(number).padStart(10, '0')}-${tag.toString('hex')}.seg`);
    try {
      const size = await this.#affordable(wanted, minFree);
      const file = await files.open(path + UNFINISHED, 'create');
      try {
        await fill(file, headerOf(number, tag, size), size);
        await files.rename(path + UNFINISHED, path);
        await files.syncDirectory(directory);
      } catch (error) {
        await this.#discard(file, path + UNFINISHED, path);
        throw error;
      }
      return { number, tag, path, file, size };
    } catch (error) {
      throw spoolError(error, 'preparing a segment');
    }
  }

  /** At most half of what is free, so that a small disk has room for messages in files of their own too. */
  async #affordable(wanted: number, minFree: number): Promise<number> {
    const free = (await this.#options.files.freeOctets(this.#options.directory)) - minFree;
    const size = Math.min(wanted, Math.floor(free / 2));
    if (size < Math.min(SMALLEST, wanted)) throw spoolProblem('SPOOL_FULL', `only ${Math.max(0, free)} octets are free on the disk`);
    return size;
  }

  /** Empty segments do no harm at the next start, so that what cannot be removed is left. */
  async #discard(file: OpenFile, ...paths: string[]): Promise<void> {
    const { files, log } = this.#options;
    await file.close().catch((error: unknown) => log.debug({ event: 'spool-file-unclosed', error }, 'segment not closed'));
    for (const path of paths) {
      await files
        .unlink(path)
        .catch((error: unknown) => log.debug({ event: 'spool-file-unremoved', file: path, error }, 'segment not removed'));
    }
  }
}

/** Header, then zeros to the full size, on stable storage. */
async function fill(file: OpenFile, header: Buffer, size: number): Promise<void> {
  await writeFully(file, [header], 0);
  let synced = 0;
  for (let at = header.length; at < size; at += ZEROS.length) {
    await writeFully(file, [ZEROS.subarray(0, Math.min(ZEROS.length, size - at))], at);
    if (at - synced < SYNC_EVERY) continue;
    await file.datasync();
    synced = at;
  }
  await file.datasync();
}
