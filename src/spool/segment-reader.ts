/**
 * Segments opened for reading. The one that was read last stays open: a queue is read in the order in which it was written, so the next content most
 * probably lies in the same one.
 *
 * @packageDocumentation
 */
import type { Log } from '../core/ports/log.ts';
import type { FileSystem, OpenFile } from '../platform/files.ts';
import { parseSegmentName } from './segment-file.ts';

/** What a reader needs. */
export interface SegmentReaderOptions {
  readonly files: Pick<FileSystem, 'open'>;
  readonly log: Log;
  /** Undefined where there is no such segment any more. */
  readonly pathOf: (number: number) => string | undefined;
}

interface Opened {
  readonly number: number;
  readonly tag: Buffer;
  readonly file: Promise<OpenFile>;
  readers: number;
}

export class SegmentReader {
  readonly #options: SegmentReaderOptions;
  #kept: Opened | undefined;

  constructor(options: SegmentReaderOptions) {
    this.#options = options;
  }

  /**
   * Read from a segment, which stays open as long as `work` takes.
   *
   * @throws Error of node:fs, ENOENT where the segment is gone; whatever `work` throws.
   */
  async read<Result>(number: number, work: (file: OpenFile, tag: Buffer) => Promise<Result>): Promise<Result> {
    const opened = this.#take(number);
    opened.readers += 1;
    try {
      return await work(await opened.file, opened.tag);
    } catch (error) {
      this.forget(number); // Whatever it is about, the next one looks afresh.
      throw error;
    } finally {
      opened.readers -= 1;
      void this.#closeUnused(opened);
    }
  }

  /** The segment is gone; its room comes free once nobody reads from it. */
  forget(number: number): void {
    if (this.#kept?.number === number) void this.close();
  }

  /** Keep nothing open. Waits for no reader. */
  async close(): Promise<void> {
    const opened = this.#kept;
    this.#kept = undefined;
    if (opened !== undefined) await this.#closeUnused(opened);
  }

  #take(number: number): Opened {
    const before = this.#kept;
    if (before?.number === number) return before;
    const opened = this.#open(number);
    this.#kept = opened;
    if (before !== undefined) void this.#closeUnused(before);
    return opened;
  }

  #open(number: number): Opened {
    const path = this.#options.pathOf(number) ?? '';
    const name = parseSegmentName('', path.slice(path.lastIndexOf('/') + 1));
    return { number, tag: name?.tag ?? Buffer.alloc(0), file: this.#options.files.open(path, 'read'), readers: 0 };
  }

  /** Called when something stops to use it, the last of which closes it. Never rejects. */
  async #closeUnused(opened: Opened): Promise<void> {
    if (opened.readers > 0 || opened === this.#kept) return;
    const file = await opened.file.catch(() => undefined); // Told to who wanted to read.
    await file
      ?.close()
      .catch((error: unknown) => this.#options.log.debug({ event: 'spool-file-unclosed', error }, 'segment not closed after reading'));
  }
}
