/**
 * Content too large for a record: a file each, written while it arrives.
 *
 * A file is written under a temporary name, synced, renamed, and the directory synced, all before the record that names it is added to the log: so a
 * record never names a file that could be missing. A file that no record names is what is left of a message that was never accepted; the next start
 * removes it. If the very last step fails, the directory's sync, the file is there but nobody was promised it: it is removed like the others.
 *
 * Syncs are made one after another, with one of the directory for all that were waiting, since they share four threads with everything else in
 * the process.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import type { Log } from '../core/ports/log.ts';
import type { Random } from '../core/ports/random.ts';
import { type FileSystem, type OpenFile, readFully, writeFully } from '../platform/files.ts';
import type { ContentFile } from './entry-codec.ts';
import { errnoOf, spoolError } from './failure.ts';
import { checksumOf } from './record.ts';

/** Of content that is still arriving. */
const UNFINISHED = '.part';
const NAME = /^[0-9a-f]{16}\.wire$/;

/** True for the name of a finished content file. */
export function isContentName(name: string): boolean {
  return NAME.test(name);
}

/** What a store needs. */
export interface ContentStoreOptions {
  readonly directory: string;
  readonly files: FileSystem;
  readonly random: Random;
  readonly log: Log;
}

interface Finished {
  readonly file: OpenFile;
  readonly name: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class ContentStore {
  readonly #options: ContentStoreOptions;
  #finished: Finished[] = [];
  #isRunning = false;

  constructor(options: ContentStoreOptions) {
    this.#options = options;
  }

  /** @throws ProblemError. */
  async create(): Promise<ContentWriter> {
    const name = `${Buffer.from(this.#options.random.octets(8)).toString('hex')}.wire`;
    try {
      return new ContentWriter(this, name, await this.#options.files.open(this.pathOf(name) + UNFINISHED, 'create'));
    } catch (error) {
      throw spoolError(error, 'making a content file');
    }
  }

  pathOf(name: string): string {
    return join(this.#options.directory, name);
  }

  /** For reading. @throws Error of node:fs. */
  open(name: string): Promise<OpenFile> {
    return this.#options.files.open(this.pathOf(name), 'read');
  }

  /** For reading what still arrives; or has just arrived, and goes by its final name. @throws ProblemError. */
  async openUnfinished(name: string): Promise<OpenFile> {
    const { files } = this.#options;
    try {
      return await files.open(this.pathOf(name) + UNFINISHED, 'read').catch((error: unknown) => {
        if (errnoOf(error) !== 'ENOENT') throw error;
        return files.open(this.pathOf(name), 'read');
      });
    } catch (error) {
      throw spoolError(error, 'reading a content file');
    }
  }

  /** What cannot be removed now is removed at the next start, since no entry names it. */
  async remove(name: string): Promise<void> {
    await this.#unlink(this.pathOf(name));
  }

  /** Make a written file durable under its final name. Closes it in each case. @throws Error of node:fs. */
  finish(file: OpenFile, name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#finished.push({ file, name, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async discard(file: OpenFile, name: string): Promise<void> {
    await this.#close(file);
    await this.#unlink(this.pathOf(name) + UNFINISHED);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#finished.length > 0) {
      const batch = this.#finished;
      this.#finished = [];
      await this.#sync(batch);
    }
    this.#isRunning = false;
  }

  async #sync(batch: readonly Finished[]): Promise<void> {
    const named: Finished[] = [];
    for (const finished of batch) if (await this.#name(finished)) named.push(finished);
    if (named.length === 0) return;
    try {
      await this.#options.files.syncDirectory(this.#options.directory);
    } catch (error) {
      for (const { name, reject } of named) {
        await this.remove(name);
        reject(error);
      }
      return;
    }
    for (const { resolve } of named) resolve();
  }

  async #name({ file, name, reject }: Finished): Promise<boolean> {
    const path = this.pathOf(name);
    try {
      await file.datasync();
      await this.#options.files.rename(path + UNFINISHED, path);
      await this.#close(file);
      return true;
    } catch (error) {
      await this.discard(file, name);
      reject(error);
      return false;
    }
  }

  async #close(file: OpenFile): Promise<void> {
    await file
      .close()
      .catch((error: unknown) => this.#options.log.debug({ event: 'spool-file-unclosed', error }, 'content file not closed'));
  }

  async #unlink(path: string): Promise<void> {
    await this.#options.files.unlink(path).catch((error: unknown) => {
      this.#options.log.debug({ event: 'spool-file-unremoved', file: path, error }, 'content file not removed');
    });
  }
}

/** A content file while it arrives. */
export class ContentWriter {
  readonly #store: ContentStore;
  readonly #name: string;
  readonly #file: OpenFile;
  #size = 0;
  #checksum = 0;

  constructor(store: ContentStore, name: string, file: OpenFile) {
    this.#store = store;
    this.#name = name;
    this.#file = file;
  }

  /** @throws ProblemError; discard it then. */
  async write(octets: Uint8Array): Promise<void> {
    try {
      await writeFully(this.#file, [octets], this.#size);
    } catch (error) {
      throw spoolError(error, 'writing a content file');
    }
    this.#size += octets.length;
    this.#checksum = checksumOf(octets, this.#checksum);
  }

  /** What has been written so far. Once begun, it comes to its end even if the file is finished or discarded meanwhile. @throws ProblemError. */
  written(chunkOctets: number): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#read(this.#size, chunkOctets);
  }

  async *#read(size: number, chunkOctets: number): AsyncGenerator<Uint8Array, void, undefined> {
    const file = await this.#store.openUnfinished(this.#name);
    try {
      for (let at = 0; at < size; ) {
        const chunk = Buffer.allocUnsafeSlow(Math.min(chunkOctets, size - at));
        if ((await readFully(file, chunk, at)) < chunk.length) throw new Error(`${this.#name} is too short`);
        at += chunk.length;
        yield chunk;
      }
    } catch (error) {
      throw spoolError(error, 'reading a content file');
    } finally {
      await file.close();
    }
  }

  /** Onto stable storage, under its final name. @throws ProblemError; nothing is left then. */
  async finish(): Promise<ContentFile> {
    try {
      await this.#store.finish(this.#file, this.#name);
    } catch (error) {
      throw spoolError(error, 'syncing a content file');
    }
    return { name: this.#name, checksum: this.#checksum };
  }

  discard(): Promise<void> {
    return this.#store.discard(this.#file, this.#name);
  }
}
