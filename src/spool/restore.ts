/**
 * Puts a spool in order at the start: damaged entries into quarantine, leftovers away, the end of the log
 * cut to its last record and synced.
 *
 * Each step may be interrupted and is made again at the next start. Nothing here keeps the queue from working: what cannot be done now is said in
 * the log and left for the next start; a damaged entry is not delivered in either case.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { type FileSystem, type OpenFile, readFully } from '../platform/files.ts';
import type { Quarantine, QuarantineItem } from './quarantine.ts';
import { FRAME_OCTETS } from './record.ts';
import type { Found, FoundSegment } from './recovery.ts';
import type { Damage, PlacedGap } from './replay.ts';
import { entryOfRow, type Row } from './row.ts';

/** What restoring needs. */
export interface RestoreOptions {
  readonly files: FileSystem;
  readonly quarantine: Quarantine;
  readonly log: Log;
  readonly now: EpochMs;
  readonly pathOfContent: (name: string) => string;
}

/** To be noted in the log of the spool, so that the next start passes over it. */
export interface DamageNote {
  /** 0: of no entry that is known. */
  readonly serial: number;
  readonly segment: number;
  readonly offset: number;
}

/** @returns What was set aside safely. Never throws. */
export async function restore(found: Found, options: RestoreOptions): Promise<DamageNote[]> {
  const restoring = new Restoring(found, options);
  for (const path of found.damagedHeaders) {
    options.log.warn({ event: 'spool-header-damaged', file: path }, 'header of a segment is damaged; its records are read all the same');
  }
  const notes: DamageNote[] = [];
  for (const damage of found.damages) if (await restoring.keepDamage(damage)) notes.push(noteOf(damage.gap, damage.row));
  for (const row of found.incomplete) if (await restoring.keepIncomplete(row)) notes.push({ serial: row.serial, ...row.place });
  let isSecured = true;
  for (const segment of found.segments) isSecured = (await restoring.secureEnd(segment)) && isSecured;
  if (isSecured) await restoring.removeLeftovers(); // Not before it is certain that nobody will name them again.
  return notes;
}

function noteOf({ segment, offset }: PlacedGap, row: Row | undefined): DamageNote {
  return { serial: row?.serial ?? 0, segment, offset };
}

class Restoring {
  readonly #found: Found;
  readonly #options: RestoreOptions;

  constructor(found: Found, options: RestoreOptions) {
    this.#found = found;
    this.#options = options;
  }

  async keepDamage({ gap, row }: Damage): Promise<boolean> {
    const { segment, offset, octets, reason = 'octets that do not match their checksum' } = gap;
    const where = `segment ${segment}, octets ${offset} to ${offset + octets}`;
    const found = await this.#octets(segment, offset, octets);
    return this.#keep({
      kind: row === undefined ? 'unknown' : 'entry',
      reason: `${reason}: ${gap.frame === undefined ? 'unknown record' : `record '${gap.frame.kind}'`}, ${where}`,
      segment,
      offset,
      ...(found === undefined ? {} : { octets: found }),
      ...(row === undefined ? {} : await this.#partsOf(row)),
    });
  }

  async keepIncomplete(row: Row): Promise<boolean> {
    const { segment, offset } = row.place;
    const name = row.contentFile?.name ?? '';
    return this.#keep({
      kind: 'entry',
      reason: `content file ${name} is missing or has the wrong length`,
      segment,
      offset,
      ...(await this.#partsOf(row)),
    });
  }

  /** A content file that nobody names may belong to a damaged record; then it is kept with it. */
  async removeLeftovers(): Promise<void> {
    const { orphans, unfinished, segments, damages } = this.#found;
    for (const path of orphans) {
      if (damages.length === 0) await this.#remove(path);
      else
        await this.#keep({ kind: 'unknown', reason: 'a content file that no sound record names, found beside damage', contentPath: path });
    }
    for (const path of unfinished) await this.#remove(path);
    for (const { path, isEmpty } of segments) if (isEmpty) await this.#remove(path);
  }

  /**
   * Make the end of the log what it was read as. A process that was killed may have written without syncing; what is acted on from now on, an outcome
   * above all, must not be lost by a power cut later.
   */
  async secureEnd(segment: FoundSegment): Promise<boolean> {
    if (segment.isEndKnown || segment.isEmpty) return true;
    for (const { offset, octets } of this.#found.debris.filter((gap) => gap.segment === segment.number)) {
      const found = await this.#octets(segment.number, offset, octets);
      const isKept = await this.#keep({
        kind: 'debris',
        reason: 'an unfinished write',
        segment: segment.number,
        offset,
        ...(found && { octets: found }),
      });
      if (!isKept) return false;
    }
    const isSecured = await this.#attempt(segment.path, 'secured', () =>
      this.#withFile(segment.path, 'update', async (file) => {
        if (segment.end < segment.size) await file.truncate(segment.end);
        await file.datasync();
        return true;
      }),
    );
    return isSecured ?? false;
  }

  async #partsOf(row: Row): Promise<Partial<QuarantineItem>> {
    const { segment, offset, envelopeOctets, contentOctets } = row.place;
    const contentPath = row.contentFile === undefined ? undefined : this.#options.pathOfContent(row.contentFile.name);
    const entry = entryOfRow(row);
    if (contentPath !== undefined) return { entry, contentPath };
    const content = await this.#octets(segment, offset + FRAME_OCTETS + envelopeOctets, contentOctets);
    return content === undefined ? { entry } : { entry, content };
  }

  async #octets(number: number, offset: number, octets: number): Promise<Uint8Array | undefined> {
    const segment = this.#found.segments.find((candidate) => candidate.number === number);
    if (segment === undefined) return undefined;
    return this.#attempt(segment.path, 'read', () =>
      this.#withFile(segment.path, 'read', async (file) => {
        const buffer = Buffer.alloc(Math.max(0, Math.min(octets, segment.size - offset)));
        return buffer.subarray(0, await readFully(file, buffer, offset));
      }),
    );
  }

  #keep(item: QuarantineItem): Promise<boolean> {
    return this.#options.quarantine.keep(item, this.#options.now);
  }

  async #remove(path: string): Promise<void> {
    await this.#attempt(path, 'removed', () => this.#options.files.unlink(path));
  }

  async #withFile<Result>(path: string, mode: 'read' | 'update', use: (file: OpenFile) => Promise<Result>): Promise<Result> {
    const file = await this.#options.files.open(path, mode);
    try {
      return await use(file);
    } finally {
      await file.close();
    }
  }

  async #attempt<Result>(path: string, what: string, act: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await act();
    } catch (error) {
      this.#options.log.warn(
        { event: 'spool-restore-failed', file: path, error },
        `a file of the queue could not be ${what}; the next start tries again`,
      );
      return undefined;
    }
  }
}
