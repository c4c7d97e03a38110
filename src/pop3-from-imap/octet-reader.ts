/**
 * Octets of a stream, taken when they are wanted: lines, and runs of known length.
 *
 * Nothing is read ahead beyond the stream's own buffer and one chunk, so a reader that stops asking stops the sender. Every wait has a deadline, every line a
 * longest length. Time counts only while octets are waited for, not while whoever asks is busy with the last ones.
 *
 * @packageDocumentation
 */
import type { Readable } from 'node:stream';
import type { DurationMs } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';

/** Why there are no more octets. `cut`: the stream ended in the middle of what was asked for. */
export type StreamEnd = 'ended' | 'cut' | 'silent' | 'too-long';

/** What was asked for did not come. */
export class StreamFault extends Error {
  override readonly name = 'StreamFault';
  readonly end: StreamEnd;
  constructor(end: StreamEnd, options?: ErrorOptions) {
    super(`the stream is ${end}`, options);
    this.end = end;
  }
}

const LF = 0x0a;
const CR = 0x0d;

export class OctetReader {
  readonly #stream: Readable;
  readonly #clock: Clock;
  readonly #silence: DurationMs;
  #held: Buffer;
  #hasEnded = false;
  #error: Error | undefined;
  #wake: () => void = () => {};

  /**
   * @param stream - Nobody else reads from it.
   * @param rest - Comes before what is read from the stream.
   * @param silence - Longest wait for the next octets.
   */
  constructor(stream: Readable, rest: Buffer, clock: Clock, silence: DurationMs) {
    this.#stream = stream;
    this.#held = rest;
    this.#clock = clock;
    this.#silence = silence;
    stream.on('readable', () => this.#wake());
    stream.on('end', () => this.#end());
    stream.on('close', () => this.#end());
    stream.on('error', (error) => this.#end(error));
    if (stream.destroyed || stream.readableEnded) this.#hasEnded = true;
  }

  /** True where nothing more will come, or what is left has been taken. */
  get isOver(): boolean {
    return this.#hasEnded && this.#held.length === 0;
  }

  /**
   * The next line without its line end, which is LF with or without a CR before it.
   *
   * @throws StreamFault. After `too-long` the line is still to come: {@link skipLine}.
   */
  async line(most: number): Promise<Buffer> {
    for (let looked = 0; ; ) {
      const end = this.#held.indexOf(LF, looked);
      if (end === -1 ? this.#held.length > most : end > most) throw new StreamFault('too-long');
      if (end !== -1) {
        const line = this.#take(end + 1);
        return line.subarray(0, end > 0 && line[end - 1] === CR ? end - 1 : end);
      }
      looked = this.#held.length;
      await this.#fill();
    }
  }

  /** Leave out everything up to the next LF. @throws StreamFault */
  async skipLine(): Promise<void> {
    for (;;) {
      const end = this.#held.indexOf(LF);
      if (end !== -1) return void this.#take(end + 1);
      this.#held = Buffer.alloc(0);
      await this.#fill();
    }
  }

  /** The next octets: at least one, at most `most`. @throws StreamFault */
  async some(most: number): Promise<Buffer> {
    if (this.#held.length === 0) await this.#fill();
    return this.#take(Math.min(most, this.#held.length));
  }

  #take(count: number): Buffer {
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }

  /** Hold at least one octet more than now. */
  async #fill(): Promise<void> {
    let timer: Timer | undefined;
    let isLate = false;
    try {
      for (;;) {
        const chunk = this.#stream.read() as Buffer | null;
        if (chunk !== null) {
          this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
          return;
        }
        if (this.#hasEnded) throw new StreamFault(this.#held.length === 0 ? 'ended' : 'cut', { cause: this.#error });
        if (isLate) throw new StreamFault('silent');
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          timer ??= this.#clock.startTimer(this.#silence, () => {
            isLate = true;
            resolve();
          });
        });
      }
    } finally {
      timer?.cancel();
    }
  }

  #end(error?: Error): void {
    this.#hasEnded = true;
    this.#error ??= error;
    this.#wake();
  }
}
