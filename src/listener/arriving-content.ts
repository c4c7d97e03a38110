/**
 * The content of a message while it arrives: dots unstuffed, at most so many octets, and never taken for whole unless its end was seen.
 *
 * The session gives what it reads, and stops reading while nobody takes it. Whoever stops reading early leaves the rest to {@link ArrivingContent.drain}: an SMTP session
 * can go on only behind the true end-of-data (RFC 5321 §4.1.1.4).
 *
 * @packageDocumentation
 */
import type { Octets } from '../core/octets.ts';
import { problem } from '../core/problem.ts';
import { tooLarge } from './command-parameters.ts';
import { ContentScanner } from './content-scanner.ts';
import { SubmissionError } from './submission-error.ts';

/** More than this that nobody has taken is no longer read from the connection. */
const MOST_WAITING = 65_536;

/** Of one chunk; more are put together. */
const MOST_PIECES = 8;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class ArrivingContent implements AsyncIterable<Uint8Array> {
  readonly #maxSize: Octets;
  readonly #onRoom: () => void;
  readonly #scanner = new ContentScanner();
  readonly #waiting: Buffer[] = [];
  #waitingOctets = 0;
  #octets = 0;
  #isWhole = false;
  #isLost = false;
  /** Who waits for more. Usually one; a reader that was given up may still be among them when the rest is drained. */
  #wakes: (() => void)[] = [];

  /** @param onRoom - Called when {@link isFull} is no longer so. */
  constructor(maxSize: Octets, onRoom: () => void) {
    this.#maxSize = maxSize;
    this.#onRoom = onRoom;
  }

  /** Octets taken so far. */
  get octets(): number {
    return this.#octets;
  }

  /** Its end has come. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** No more should be given until somebody takes. */
  get isFull(): boolean {
    return this.#waitingOctets > MOST_WAITING;
  }

  /**
   * What has come from the connection.
   *
   * @param chunk - Not empty, and not changed afterwards.
   * @returns What follows the end; undefined where that has not come.
   */
  push(chunk: Buffer): Buffer | undefined {
    const { pieces, rest } = this.#scanner.push(chunk);
    // Stuffed dots cut it into slivers, each of which would take a turn of its own on its way.
    for (const piece of pieces.length > MOST_PIECES ? [Buffer.concat(pieces)] : pieces) {
      this.#waiting.push(piece);
      this.#waitingOctets += piece.length;
    }
    this.#isWhole = rest !== undefined;
    this.#stir();
    return rest;
  }

  /** The connection is gone; harmless where the content is whole. */
  lose(): void {
    this.#isLost = true;
    this.#stir();
  }

  /**
   * All of it, where it has come in one go, as most messages do: what can be held needs no loop.
   *
   * @returns Undefined where it comes bit by bit; nothing has been taken then.
   * @throws SubmissionError
   */
  async wholeAtOnce(): Promise<readonly Uint8Array[] | undefined> {
    while (this.#waiting.length === 0 && !this.#isWhole && !this.#isLost) await this.#stirred();
    if (!this.#isWhole) return undefined;
    const pieces = this.#waiting.splice(0).map((piece) => this.#taken(piece));
    if (this.#octets > this.#maxSize) throw this.#tooLarge();
    return pieces;
  }

  /** Leaving a loop early loses nothing: whoever reads next goes on from there. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        const result = await this.#read();
        if (this.#octets > this.#maxSize) throw this.#tooLarge();
        return result;
      },
    };
  }

  /** Whole, and all of it taken: there is nothing to {@link drain}. */
  get isTaken(): boolean {
    return this.#isWhole && this.#waiting.length === 0;
  }

  /**
   * Read and forget the rest.
   *
   * @throws SubmissionError where the application vanishes.
   */
  async drain(): Promise<void> {
    while ((await this.#read()).done !== true);
  }

  async #read(): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const piece = this.#waiting.shift();
      if (piece !== undefined) return { done: false, value: this.#taken(piece) };
      if (this.#isWhole) return DONE;
      if (this.#isLost) throw this.#aborted();
      await this.#stirred();
    }
  }

  #stirred(): Promise<void> {
    return new Promise((resolve) => void this.#wakes.push(resolve));
  }

  #taken(piece: Buffer): Buffer {
    const wasFull = this.isFull;
    this.#octets += piece.length;
    this.#waitingOctets -= piece.length;
    if (wasFull && !this.isFull) this.#onRoom();
    return piece;
  }

  #stir(): void {
    for (const wake of this.#wakes.splice(0)) wake();
  }

  #aborted(): SubmissionError {
    return new SubmissionError(
      problem('SUBMISSION_ABORTED', `the application closed the connection after ${this.#octets} octets of content`),
      undefined,
    );
  }

  #tooLarge(): SubmissionError {
    const cause = `the message has more than the ${this.#maxSize} octets this listener allows`;
    return new SubmissionError(problem('MESSAGE_TOO_LARGE', cause), tooLarge(this.#maxSize));
  }
}
