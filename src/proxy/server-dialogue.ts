/**
 * A few commands of ours on an IMAP session that has signed in, before an application goes on with it.
 *
 * A response is a line: nothing is asked for that comes in a literal. Nothing of a line is kept but for what the caller takes.
 *
 * @packageDocumentation
 */
import { between, milliseconds, minutes, type MonotonicMs, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { OpenMailbox } from '../core/ports/mailbox.ts';
import { type ProblemCode, ProblemError, problem } from '../core/problem.ts';

/** How a command ended. */
export interface Conclusion {
  readonly status: 'OK' | 'NO' | 'BAD';
  /** Without the tag. */
  readonly line: string;
}

/** The longest line that is read; no response to our commands is longer. */
const LONGEST = 65_536;
/** For each line. */
const PATIENCE = seconds(30);
/** For all commands together, while the application waits. */
const LONGEST_DIALOGUE = minutes(2);
/** Octets of all answers together: what is to be told to the application is held until the end. */
const MOST_OCTETS = 4 * 1024 * 1024;
const LF = 0x0a;

export class ServerDialogue {
  readonly #mailbox: OpenMailbox;
  readonly #clock: Clock;
  #waiting: Buffer;
  #ending: ProblemError | undefined;
  #wake: () => void = () => {};
  #count = 0;
  #isDetached = false;
  #octetsLeft = MOST_OCTETS;
  readonly #begunAt: MonotonicMs;

  constructor(mailbox: OpenMailbox, clock: Clock) {
    this.#mailbox = mailbox;
    this.#clock = clock;
    this.#begunAt = clock.monotonic();
    this.#waiting = mailbox.rest;
    const { socket } = mailbox;
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onEnd);
    if (socket.destroyed) this.#onEnd();
    else socket.resume();
  }

  /** @param onUntagged - Gets lines with their end. May throw, which ends the command. @throws ProblemError */
  async command(text: string, onUntagged: (line: string) => void): Promise<Conclusion> {
    this.#count += 1;
    const tag = `postern-${this.#count}`;
    this.#mailbox.socket.write(`${tag} ${text}\r\n`, 'latin1');
    for (;;) {
      const line = await this.#readLine();
      if (/^\* BYE\b/i.test(line)) throw this.#fail('UPSTREAM_LOST', `it says goodbye: ${line.slice(6).trim()}`);
      const [, status] = line.startsWith(`${tag} `) ? (/^\S+ (OK|NO|BAD)\b/i.exec(line) ?? []) : [];
      if (status !== undefined) return { status: status.toUpperCase() as Conclusion['status'], line: line.slice(tag.length + 1).trimEnd() };
      if (!line.startsWith('* ')) throw this.#fail('UPSTREAM_PROTOCOL', 'its answer is not IMAP at this point');
      onUntagged(line);
    }
  }

  /** @param tag - The application's. @returns The line of consent; undefined where there is none. @throws ProblemError */
  async idle(tag: string, onUntagged: (line: string) => void): Promise<string | undefined> {
    this.#mailbox.socket.write(`${tag} IDLE\r\n`, 'latin1');
    for (;;) {
      const line = await this.#readLine();
      if (/^\* BYE\b/i.test(line)) throw this.#fail('UPSTREAM_LOST', `it says goodbye: ${line.slice(6).trim()}`);
      if (line.startsWith('+')) return line;
      if (!line.startsWith('* ')) return undefined;
      onUntagged(line);
    }
  }

  /** No more of ours: the socket is paused, and has no listener of ours. @returns What it has received that was not read. Harmless when repeated. */
  detach(): Buffer {
    if (!this.#isDetached) this.#mailbox.socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd).pause();
    this.#isDetached = true;
    const rest = this.#waiting;
    this.#waiting = Buffer.alloc(0);
    return rest;
  }

  readonly #onData = (octets: Buffer): void => {
    this.#waiting = this.#waiting.length === 0 ? octets : Buffer.concat([this.#waiting, octets]);
    if (this.#waiting.length > LONGEST) this.#mailbox.socket.pause();
    this.#wake();
  };
  readonly #onEnd = (): void => {
    this.#fail('UPSTREAM_LOST', 'connection lost');
    this.#wake();
  };

  #fail(code: ProblemCode, what: string): ProblemError {
    this.#ending ??= new ProblemError(problem(code, `${this.#mailbox.upstream}: ${what}`));
    return this.#ending;
  }

  #timeLeft(): number {
    return LONGEST_DIALOGUE - between(this.#begunAt, this.#clock.monotonic());
  }

  #late(): ProblemError {
    const isEndless = this.#timeLeft() <= 0;
    const what = isEndless ? `its answers took more than ${LONGEST_DIALOGUE / 1000} s` : `no answer within ${PATIENCE / 1000} s`;
    return this.#fail('UPSTREAM_TIMEOUT', what);
  }

  async #readLine(): Promise<string> {
    let timer: Timer | undefined;
    try {
      for (;;) {
        const end = this.#waiting.indexOf(LF);
        if (end !== -1) {
          const line = this.#waiting.toString('latin1', 0, end + 1);
          this.#waiting = this.#waiting.subarray(end + 1);
          this.#octetsLeft -= line.length;
          if (this.#octetsLeft < 0) throw this.#fail('UPSTREAM_PROTOCOL', 'its answers have no end');
          if (this.#timeLeft() <= 0) throw this.#late();
          return line;
        }
        if (this.#waiting.length > LONGEST) throw this.#fail('UPSTREAM_PROTOCOL', 'it sends longer lines than the protocol allows');
        if (this.#ending !== undefined) throw this.#ending;
        this.#mailbox.socket.resume();
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          timer ??= this.#clock.startTimer(milliseconds(Math.min(PATIENCE, Math.max(0, this.#timeLeft()))), () => {
            this.#late();
            resolve();
          });
        });
      }
    } finally {
      timer?.cancel();
    }
  }
}
