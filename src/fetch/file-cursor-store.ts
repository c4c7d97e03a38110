/**
 * The cursors of fetch rules as files, one for each: the cursor as it was at some time, and a line for each change since.
 *
 * A change costs one write and one sync, however many messages have been fetched. A line that a kill has torn off was never acknowledged, so whoever reads leaves it
 * out; the file is written anew when it is loaded and when the changes have become many.
 *
 * @packageDocumentation
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { applyChange, type Cursor, type CursorChange } from '../core/fetch-cursor.ts';
import type { CursorStore } from '../core/ports/cursor-store.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { isErrno, replaceFile } from '../platform/atomic-file.ts';
import { decodeChange, decodeCursor, encodeChange, encodeCursor } from './cursor-codec.ts';

/** Lines after which the file is written anew. */
const MOST_CHANGES = 20_000;
const RULE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

interface OpenCursor {
  cursor: Cursor;
  changes: number;
  /** Absent where the last write failed: what is in the file now is not known, so it is written anew. */
  file: FileHandle | undefined;
}

export class FileCursorStore implements CursorStore {
  readonly #directory: string;
  readonly #mostChanges: number;
  readonly #open = new Map<string, OpenCursor>();

  /** @param directory - Absolute. Made, with mode 0700, if it is not there. */
  constructor(directory: string, mostChanges = MOST_CHANGES) {
    this.#directory = directory;
    this.#mostChanges = mostChanges;
  }

  async load(rule: string): Promise<Cursor | undefined> {
    const path = this.#path(rule);
    return explained('reading', path, async () => {
      const cursor = await this.#read(path);
      if (cursor === undefined) return undefined;
      await this.#rewrite(rule, cursor);
      return cursor;
    });
  }

  async replace(rule: string, cursor: Cursor): Promise<void> {
    await explained('writing', this.#path(rule), () => this.#rewrite(rule, cursor));
  }

  async save(rule: string, change: CursorChange): Promise<void> {
    const path = this.#path(rule);
    const entry = this.#open.get(rule);
    if (entry === undefined) throw new Error(`the cursor of ${rule} has not been loaded`);
    await explained('writing', path, async () => {
      const next = applyChange(entry.cursor, change);
      if (entry.file === undefined || entry.changes >= this.#mostChanges) return this.#rewrite(rule, next);
      try {
        await writeWhole(entry.file, `${encodeChange(change)}\n`);
        await entry.file.datasync();
      } catch (error) {
        await closeQuietly(entry.file);
        entry.file = undefined;
        throw error;
      }
      entry.cursor = next;
      entry.changes += 1;
      return undefined;
    });
  }

  async remove(rule: string): Promise<void> {
    const path = this.#path(rule);
    await explained('removing', path, async () => {
      await this.#forget(rule);
      // Replaced first: an unlinked file may come back after a power cut, an emptied one does not.
      await replaceFile(path, new Uint8Array());
      await unlink(path);
    });
  }

  async paused(): Promise<ReadonlySet<string>> {
    const path = join(this.#directory, 'paused.json');
    return explained('reading', path, async () => {
      try {
        const names: unknown = JSON.parse(await readFile(path, 'utf8'));
        if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) throw new Error('not a list of rules');
        return new Set(names);
      } catch (error) {
        if (isErrno(error, 'ENOENT')) return new Set<string>();
        throw error;
      }
    });
  }

  async setPaused(rule: string, isPaused: boolean): Promise<void> {
    const names = new Set(await this.paused());
    if (isPaused) names.add(rule);
    else names.delete(rule);
    const path = join(this.#directory, 'paused.json');
    await explained('writing', path, async () => {
      await this.#makeDirectory();
      await replaceFile(path, Buffer.from(`${JSON.stringify([...names])}\n`));
    });
  }

  async close(): Promise<void> {
    for (const rule of this.#open.keys()) await this.#forget(rule);
  }

  #path(rule: string): string {
    if (!RULE.test(rule)) throw new Error(`not the name of a rule: ${rule}`);
    return join(this.#directory, `${rule}.cursor`);
  }

  async #read(path: string): Promise<Cursor | undefined> {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    if (text === '') return undefined;
    const lines = text.split('\n');
    lines.pop(); // What stands behind the last line end was torn off, or is empty.
    const [first, ...changes] = lines;
    if (first === undefined) throw new Error('there is no whole line in it');
    return changes.map(decodeChange).reduce(applyChange, decodeCursor(first));
  }

  async #rewrite(rule: string, cursor: Cursor): Promise<void> {
    const path = this.#path(rule);
    const known = this.#open.get(rule);
    await this.#forget(rule);
    this.#open.set(rule, { cursor: known?.cursor ?? cursor, changes: 0, file: undefined });
    await this.#makeDirectory();
    await replaceFile(path, Buffer.from(`${encodeCursor(cursor)}\n`));
    const file = await open(path, constants.O_WRONLY | constants.O_APPEND);
    this.#open.set(rule, { cursor, changes: 0, file });
  }

  async #forget(rule: string): Promise<void> {
    const file = this.#open.get(rule)?.file;
    this.#open.delete(rule);
    if (file !== undefined) await closeQuietly(file);
  }

  async #makeDirectory(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
  }
}

/** A full disk may take a part; the rest of the line would be glued to the next one. */
async function writeWhole(file: FileHandle, text: string): Promise<void> {
  const octets = Buffer.from(text);
  const { bytesWritten } = await file.write(octets);
  if (bytesWritten !== octets.length) throw new Error(`wrote ${bytesWritten} of ${octets.length} octets`);
}

/** What was written has been synced, or told as failed, before. */
async function closeQuietly(file: FileHandle): Promise<void> {
  await file.close().catch(() => undefined);
}

async function explained<Result>(doing: string, path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new ProblemError(problem('FETCH_CURSOR_FAILED', `${doing} ${path}: ${why}`), { cause: error });
  }
}
