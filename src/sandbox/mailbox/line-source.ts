/**
 * A socket as lines and runs of octets, read one after another.
 *
 * Bounded: a line that grows beyond its cap is an error, and a peer that sends ahead of what is read is paused.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';

/** The peer sent a line or literal that is longer than allowed. */
export class TooLongError extends Error {
  override readonly name = 'TooLongError';
}

const LINE_FEED = 0x0a;
const EMPTY = Buffer.alloc(0);

export class LineSource {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #longestLine: number;
  #held: Buffer = EMPTY;

  constructor(socket: Socket, longestLine: number) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    this.#longestLine = longestLine;
  }

  /** One line without its line end, in Latin-1. Undefined at the end of the stream. @throws TooLongError */
  async line(): Promise<string | undefined> {
    let searched = 0;
    for (;;) {
      const end = this.#held.indexOf(LINE_FEED, searched);
      if ((end === -1 ? this.#held.length : end) > this.#longestLine) throw new TooLongError('a line is too long');
      if (end !== -1)
        return this.#cut(end + 1)
          .toString('latin1')
          .replace(/\r?\n$/, '');
      searched = this.#held.length;
      const more = await this.#chunks.next();
      if (more.done === true) return undefined;
      this.#held = this.#held.length === 0 ? more.value : Buffer.concat([this.#held, more.value]);
    }
  }

  /** Exactly `count` octets. Undefined where the stream ends before. */
  async octets(count: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    let missing = count;
    while (missing > 0) {
      if (this.#held.length === 0) {
        const more = await this.#chunks.next();
        if (more.done === true) return undefined;
        this.#held = more.value;
      }
      const part = this.#cut(Math.min(missing, this.#held.length));
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  #cut(count: number): Buffer {
    const part = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return part;
  }
}
