/**
 * A message on its way into the spool: kept in memory while it is small, in a file of its own from 256 KB on.
 *
 * @packageDocumentation
 */
import type { Chunks, Octets } from '../core/octets.ts';
import type { Draft, FirstLease, Lease } from '../core/ports/spool.ts';
import type { NewMessage, SpoolEntry } from '../core/spool-entry.ts';
import type { ContentStore, ContentWriter } from './content-store.ts';
import type { ContentFile } from './entry-codec.ts';
import type { Reservation } from './space.ts';

/** Content that is complete: in memory, or on stable storage in a file. */
export type DraftedContent =
  | { readonly kind: 'inline'; readonly octets: Uint8Array }
  | { readonly kind: 'file'; readonly file: ContentFile; readonly size: number };

/** What a draft needs. */
export interface DraftOptions {
  readonly contents: ContentStore;
  readonly reservation: Reservation;
  readonly inlineLimit: number;
  /** Make an entry of it. */
  readonly accept: (content: DraftedContent, message: NewMessage, lease?: FirstLease) => Promise<SpoolEntry>;
}

const SECOND_CAPACITY = 8 * 1024;
const CHUNK_OCTETS = 64 * 1024;
/** Of an entry's first lease. */
const FIRST_FENCE = 1;

export class SegmentDraft implements Draft {
  readonly #options: DraftOptions;
  /** What has come and is not in the file; copied, since the caller's chunk may be a sliver of something large. */
  #buffer = Buffer.alloc(0);
  #filled = 0;
  /** Somebody reads from the buffer: what is in there must stay. */
  #isShared = false;
  #size = 0;
  #writer: ContentWriter | undefined;
  #isOver = false;

  constructor(options: DraftOptions) {
    this.#options = options;
  }

  get size(): Octets {
    return this.#size as Octets;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    try {
      this.#requireOpen();
      this.#options.reservation.grow(this.#size + chunk.length);
    } catch (error) {
      return this.#endWith(error);
    }
    this.#size += chunk.length;
    if (this.#filled + chunk.length > this.#options.inlineLimit) return this.#addSlowly(chunk);
    this.#put(chunk);
    return undefined;
  }

  async accept(message: NewMessage): Promise<SpoolEntry> {
    return this.take((content) => this.#options.accept(content, message));
  }

  async acceptLeased(message: NewMessage, lease: FirstLease): Promise<Lease> {
    const { queueId } = await this.take((content) => this.#options.accept(content, message, lease));
    return { queueId, fence: FIRST_FENCE };
  }

  content(): Chunks {
    this.#requireOpen();
    const tail = this.#buffer.subarray(0, this.#filled);
    this.#isShared = true;
    const writer = this.#writer;
    return writer === undefined && tail.length <= CHUNK_OCTETS ? [tail] : joined(writer?.written(CHUNK_OCTETS), tail);
  }

  /** Complete the content, hand it over, and end the draft, whatever comes of it. */
  async take<Result>(use: (content: DraftedContent) => Promise<Result>): Promise<Result> {
    this.#requireOpen();
    try {
      return await use(await this.#complete());
    } finally {
      await this.discard();
    }
  }

  async discard(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#buffer = Buffer.alloc(0);
    this.#options.reservation.end();
    await this.#writer?.discard();
  }

  /** More than there is room for in memory. */
  async #addSlowly(chunk: Uint8Array): Promise<void> {
    const { inlineLimit, contents } = this.#options;
    try {
      for (let taken = 0; taken < chunk.length; ) {
        if (this.#filled === inlineLimit) {
          this.#writer ??= await contents.create();
          await this.#flush(this.#writer);
        }
        const part = chunk.subarray(taken, taken + inlineLimit - this.#filled);
        this.#put(part);
        taken += part.length;
      }
    } catch (error) {
      await this.#endWith(error);
    }
  }

  #put(part: Uint8Array): void {
    this.#makeRoom(this.#filled + part.length);
    this.#buffer.set(part, this.#filled);
    this.#filled += part.length;
  }

  async #endWith(error: unknown): Promise<never> {
    await this.discard();
    throw error;
  }

  async #flush(writer: ContentWriter): Promise<void> {
    await writer.write(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
    if (this.#isShared) this.#buffer = Buffer.alloc(0);
    this.#isShared = false;
  }

  #makeRoom(octets: number): void {
    if (octets <= this.#buffer.length) return;
    // Most messages come in one chunk, which gets as much room as it needs.
    const capacity = this.#buffer.length === 0 ? octets : Math.max(SECOND_CAPACITY, octets, this.#buffer.length * 2);
    const larger = Buffer.allocUnsafe(Math.min(this.#options.inlineLimit, capacity));
    larger.set(this.#buffer.subarray(0, this.#filled));
    this.#buffer = larger;
  }

  async #complete(): Promise<DraftedContent> {
    const writer = this.#writer;
    if (writer === undefined) return { kind: 'inline', octets: this.#buffer.subarray(0, this.#filled) };
    await this.#flush(writer);
    this.#writer = undefined; // Whatever comes, the writer has ended.
    return { kind: 'file', file: await writer.finish(), size: this.#size };
  }

  #requireOpen(): void {
    if (this.#isOver) throw new Error('the draft is over');
  }
}

async function* joined(head: AsyncIterable<Uint8Array> | undefined, tail: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  if (head !== undefined) yield* head;
  for (let at = 0; at < tail.length; at += CHUNK_OCTETS) yield tail.subarray(at, at + CHUNK_OCTETS);
}
