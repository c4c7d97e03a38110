/**
 * Reads the spool's directory at the start: which entries there are, what is damaged, what is left over.
 *
 * Nothing is changed here; a spool in a newer format is refused before anything is read of it. What is to be done about what was found is the
 * business of {@link ./restore.ts}.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import { type FileSystem, type OpenFile, readFully } from '../platform/files.ts';
import { isContentName } from './content-store.ts';
import { decodeEnds } from './entry-codec.ts';
import { spoolError } from './failure.ts';
import { FRAME_OCTETS, frameAt, octetsOfFrame } from './record.ts';
import { type Damage, type PlacedGap, Replay } from './replay.ts';
import type { Row } from './row.ts';
import { HEADER_OCTETS, isHeaderSound, parseSegmentName, readHeader, type SegmentName, UNFINISHED } from './segment-file.ts';
import { type SoundRecord, scanSegment } from './segment-scan.ts';
import type { SegmentEnd } from './segment-writer.ts';

/** The directories of a spool. */
export interface SpoolDirectories {
  readonly segments: string;
  readonly contents: string;
  readonly quarantine: string;
}

/** A segment that was found. */
export interface FoundSegment extends SegmentName {
  /** Behind its last record. */
  readonly end: number;
  /** Octets of the file. */
  readonly size: number;
  /** Told by the opening of a later one. */
  readonly isEndKnown: boolean;
  readonly isEmpty: boolean;
}

/** What a spool holds. */
export interface Found {
  /** In order of number. */
  readonly segments: readonly FoundSegment[];
  /** In order of acceptance; those with damage are not among them. */
  readonly rows: readonly Row[];
  readonly damages: readonly Damage[];
  readonly debris: readonly PlacedGap[];
  /** Entries whose content file is missing or has the wrong length. */
  readonly incomplete: readonly Row[];
  /** Content files that no entry names. */
  readonly orphans: readonly string[];
  /** Files of preparations that were not finished. */
  readonly unfinished: readonly string[];
  /** Segments whose first octets are damaged. Their names say the same, so nothing is lost. */
  readonly damagedHeaders: readonly string[];
  readonly nextSerial: number;
  readonly nextNumber: number;
}

/**
 * Read a spool.
 *
 * @throws ProblemError `SPOOL_FORMAT_NEWER`, `SPOOL_FAILED`.
 */
export async function readSpool(files: FileSystem, directories: SpoolDirectories): Promise<Found> {
  try {
    return await new Reading(files, directories).run();
  } catch (error) {
    throw spoolError(error, 'reading the spool');
  }
}

class Reading {
  readonly #files: FileSystem;
  readonly #directories: SpoolDirectories;
  readonly #replay = new Replay();
  readonly #gaps: PlacedGap[] = [];
  readonly #damagedHeaders: string[] = [];

  constructor(files: FileSystem, directories: SpoolDirectories) {
    this.#files = files;
    this.#directories = directories;
  }

  async run(): Promise<Found> {
    const names = await this.#files.list(this.#directories.segments);
    const segmentNames = this.#sorted(names);
    for (const name of segmentNames) await this.#withFile(name, async (file) => this.#checkHeader(name, await readHeader(file)));
    const ends = await this.#ends(segmentNames);
    const segments: FoundSegment[] = [];
    for (const name of segmentNames) segments.push(await this.#withFile(name, (file) => this.#scan(name, file, ends.get(name.number))));
    const damages = this.#replay.resolve(this.#gaps.filter(({ kind }) => kind === 'damage'));
    const contents = await this.#contents();
    const rows = [...this.#replay.rows.values()].sort((one, other) => one.serial - other.serial);
    for (const row of rows) if (row.isTransmitting) row.isAmbiguous = true; // The process died in the attempt.
    const unfinished = names.filter((name) => name.endsWith(UNFINISHED)).map((name) => join(this.#directories.segments, name));
    return {
      segments,
      rows: rows.filter((row) => !contents.incomplete.has(row)),
      damages,
      debris: this.#gaps.filter(({ kind }) => kind === 'debris'),
      incomplete: [...contents.incomplete],
      orphans: contents.orphans,
      unfinished: [...unfinished, ...contents.unfinished],
      damagedHeaders: this.#damagedHeaders,
      nextSerial: this.#replay.lastSerial + 1,
      nextNumber: (segments.at(-1)?.number ?? 0) + 1,
    };
  }

  #sorted(names: readonly string[]): SegmentName[] {
    return names
      .flatMap((name) => parseSegmentName(this.#directories.segments, name) ?? [])
      .sort((one, other) => one.number - other.number);
  }

  async #withFile<Result>({ path }: SegmentName, use: (file: OpenFile) => Promise<Result>): Promise<Result> {
    const file = await this.#files.open(path, 'read');
    try {
      return await use(file);
    } finally {
      await file.close();
    }
  }

  /** A damaged header is no harm: the name says the same. A newer version is refused. */
  #checkHeader(name: SegmentName, header: Buffer): void {
    if (!isHeaderSound(header, name)) this.#damagedHeaders.push(name.path);
  }

  /** What the openings say, the newest first: a segment that is void altogether says nothing. */
  async #ends(names: readonly SegmentName[]): Promise<Map<number, number>> {
    const ends = new Map<number, number>();
    for (const name of names.toReversed()) {
      if ((ends.get(name.number) ?? Number.MAX_SAFE_INTEGER) <= HEADER_OCTETS) continue;
      for (const { segment, end } of await this.#withFile(name, (file) => this.#opening(name, file))) {
        if (segment < name.number && !ends.has(segment)) ends.set(segment, end);
      }
    }
    return ends;
  }

  async #opening({ tag }: SegmentName, file: OpenFile): Promise<SegmentEnd[]> {
    const octets = Buffer.alloc(FRAME_OCTETS);
    await readFully(file, octets, HEADER_OCTETS);
    const frame = frameAt(octets, 0, tag);
    if (frame?.kind !== 'opening') return [];
    const opening: string[] = [];
    const limit = HEADER_OCTETS + octetsOfFrame(frame);
    await scanSegment({ file, tag, limit, isEndKnown: false }, ({ envelope }) => opening.push(envelope));
    return opening[0] === undefined ? [] : decodeEnds(opening[0]);
  }

  async #scan(name: SegmentName, file: OpenFile, knownEnd: number | undefined): Promise<FoundSegment> {
    const { number: segment, tag } = name;
    const size = await file.size();
    const isEndKnown = knownEnd !== undefined;
    const limit = Math.min(size, knownEnd ?? size);
    let records = 0;
    /** Where the end is not known, what turns out to lie behind it is void. */
    const undecided: SoundRecord[] = [];
    const { end, gaps } = await scanSegment({ file, tag, limit, isEndKnown }, (record) => {
      records += 1;
      if (isEndKnown) this.#apply(segment, record);
      else undecided.push(record);
    });
    for (const record of undecided) if (record.offset < end) this.#apply(segment, record);
    for (const gap of gaps) this.#gaps.push({ ...gap, segment });
    if (isEndKnown && size < knownEnd) {
      this.#gaps.push({ segment, offset: size, octets: knownEnd - size, kind: 'damage', reason: 'the file is shorter than it was' });
    }
    return { ...name, end: knownEnd ?? end, size, isEndKnown, isEmpty: records === 0 && gaps.length === 0 };
  }

  #apply(segment: number, record: SoundRecord): void {
    const gap = this.#replay.apply(segment, record);
    if (gap !== undefined) this.#gaps.push(gap);
  }

  async #contents(): Promise<{ incomplete: Set<Row>; orphans: string[]; unfinished: string[] }> {
    const { contents } = this.#directories;
    const names = new Set(await this.#files.list(contents));
    const incomplete = new Set<Row>();
    const needed = new Set<string>();
    for (const row of this.#replay.rows.values()) {
      const name = row.contentFile?.name;
      if (name === undefined) continue;
      needed.add(name);
      if (!names.has(name) || (await this.#files.size(join(contents, name))) !== row.size) incomplete.add(row);
    }
    const others = [...names].filter((name) => !needed.has(name));
    const orphans = others.filter(isContentName).map((name) => join(contents, name));
    return { incomplete, orphans, unfinished: others.filter((name) => !isContentName(name)).map((name) => join(contents, name)) };
  }
}
