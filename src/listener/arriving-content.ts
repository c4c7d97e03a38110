/**
 * The content of a message while it arrives: dots unstuffed, at most so many octets, and never taken for whole unless its end was seen.
 *
 * Reading applies backpressure to the application. Whoever stops reading early leaves the rest to {@link ArrivingContent.drain}: an SMTP session
 * can go on only behind the true end-of-data (RFC 5321 §4.1.1.4).
 *
 * @packageDocumentation
 */
import type { Readable } from 'node:stream';
import type { Octets } from '../core/octets.ts';
import { problem } from '../core/problem.ts';
import { tooLarge } from './command-parameters.ts';
import { SubmissionError } from './submission-error.ts';

export class ArrivingContent implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #maxSize: Octets;
  #octets = 0;

  /** @param stream - smtp-server's data stream: it ends only behind `CRLF.CRLF`, and is destroyed where the connection is lost before. */
  constructor(stream: Readable, maxSize: Octets) {
    this.#source = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    this.#maxSize = maxSize;
    // The iterator listens only once it is read. Until then a loss would be an unhandled 'error'; it is reported by the next read.
    stream.on('error', () => undefined);
  }

  /** Octets read so far. */
  get octets(): number {
    return this.#octets;
  }

  /** Without `return`: leaving a loop early must not destroy the stream, whose rest is still to be drained. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        const result = await this.#read();
        if (this.#octets > this.#maxSize) throw this.#tooLarge();
        return result;
      },
    };
  }

  /**
   * Read and forget the rest.
   *
   * @throws SubmissionError where the application vanishes.
   */
  async drain(): Promise<void> {
    for (;;) if ((await this.#read()).done === true) return;
  }

  async #read(): Promise<IteratorResult<Uint8Array>> {
    try {
      const result = await this.#source.next();
      if (result.done !== true) this.#octets += result.value.length;
      return result;
    } catch (error) {
      const cause = `the application closed the connection after ${this.#octets} octets of content`;
      throw new SubmissionError(problem('SUBMISSION_ABORTED', cause), undefined, { cause: error });
    }
  }

  #tooLarge(): SubmissionError {
    const cause = `the message has more than the ${this.#maxSize} octets this listener allows`;
    return new SubmissionError(problem('MESSAGE_TOO_LARGE', cause), tooLarge(this.#maxSize));
  }
}
