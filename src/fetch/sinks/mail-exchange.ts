/**
 * One connection to a server that fetched mail is handed to, by SMTP or LMTP: one command at a time, each step within its deadline.
 *
 * Invariants:
 * - A reply that nothing asked for ends the exchange: a server that says `250` in advance would otherwise have a message confirmed that it never took.
 * - Replies that come while content is sent disturb it; the caller looks at them before it goes on.
 * - Once failed, always failed: the socket is destroyed, and whoever waits or asks gets the same {@link ExchangeError}.
 *
 * It is not upstream's dialogue, which keeps sessions of the provider warm and pipelines; this one lives for one message.
 *
 * Sources: RFC 5321 §4.2 (replies), RFC 3207 §4.2 and §6 (nothing is kept over STARTTLS), RFC 2033 §4.2 (LMTP: several replies to one content).
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import { type DurationMs, seconds } from '../../core/clock.ts';
import type { Clock, Timer } from '../../core/ports/clock.ts';
import { describeReply, type Reply } from '../../core/reply.ts';
import { ReplyParser, ReplyViolation } from '../../message/reply-parser.ts';
import { errorCode } from '../../platform/dial-error.ts';

/** How far the hand-over had got. */
export type ExchangeStep = 'greeting' | 'hello' | 'starttls' | 'mail' | 'rcpt' | 'data' | 'content' | 'final-reply';

/** The exchange cannot go on. The message names the server and the step, nothing of the message. */
export class ExchangeError extends Error {
  override readonly name = 'ExchangeError';
  readonly fault: 'lost' | 'silent' | 'nonsense';
  constructor(fault: ExchangeError['fault'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

const CLOSE_DEADLINE = seconds(5);
/** A reply for each recipient may wait to be read; more than recipients there can be is nonsense. */
const MOST_UNREAD = 1_000;

export class MailExchange {
  /** `host:port` */
  readonly target: string;
  readonly #clock: Clock;
  #socket: Socket;
  #parser = new ReplyParser();
  #replies: Reply[] = [];
  #step: ExchangeStep = 'greeting';
  #failure: ExchangeError | undefined;
  /** Wakes whoever waits: something has come, or the exchange has failed. */
  #onNews: () => void = () => undefined;
  #unlisten: () => void = () => undefined;
  #closing: Timer | undefined;

  constructor(socket: Socket, target: string, clock: Clock) {
    this.target = target;
    this.#clock = clock;
    this.#socket = socket;
    this.#listen(socket);
  }

  /** A reply has come that nobody has looked at, or the exchange has failed. */
  get isDisturbed(): boolean {
    return this.#failure !== undefined || this.#replies.length > 0 || this.#parser.isMidReply;
  }

  /** The next reply. @throws ExchangeError */
  async reply(step: ExchangeStep, deadline: DurationMs): Promise<Reply> {
    this.#step = step;
    for (;;) {
      const next = this.#replies.shift();
      if (next !== undefined) return next;
      if (this.#failure !== undefined) throw this.#failure;
      await this.#news(deadline);
    }
  }

  /** Say one line and wait for its answer. @throws ExchangeError */
  async ask(step: ExchangeStep, line: string, deadline: DurationMs): Promise<Reply> {
    // The last guard against a second command on the line: nothing above should let a control character through.
    if (/[\u0000-\u001f\u007f]/.test(line)) throw new Error(`control character in a ${step} command`);
    this.#step = step;
    this.#refuseUnasked();
    this.#socket.write(`${line}\r\n`);
    return this.reply(step, deadline);
  }

  /** Send a part of the content, and wait until there is room for the next. @returns False where the server does not wait for the rest. @throws ExchangeError */
  async write(chunk: Uint8Array, deadline: DurationMs): Promise<boolean> {
    this.#step = 'content';
    if (this.isDisturbed) return false;
    if (this.#socket.write(chunk)) return true;
    const socket = this.#socket;
    let wake: () => void = () => undefined;
    const drained = new Promise<boolean>((resolve) => {
      wake = () => resolve(true);
      socket.once('drain', wake);
    });
    const timer = this.#clock.startTimer(deadline, () => this.#silent(deadline));
    try {
      return (await this.undisturbed(drained)) === true;
    } finally {
      timer.cancel();
      socket.off('drain', wake);
    }
  }

  /** @returns What `work` gives, or undefined where the server says something or fails first. */
  undisturbed<Value>(work: Promise<Value>): Promise<Value | undefined> {
    return new Promise((resolve, reject) => {
      this.#onNews = () => resolve(undefined);
      if (this.isDisturbed) resolve(undefined);
      work.then(resolve, reject);
    });
  }

  /** The final dot. From here on the message may have been delivered. Not where {@link isDisturbed}. */
  sendDot(): void {
    this.#step = 'final-reply';
    this.#socket.write('.\r\n');
  }

  /** Give up the socket, for TLS to take over. @throws ExchangeError where there is more than the reply to STARTTLS (CVE-2011-0411). */
  detach(): Socket {
    this.#refuseUnasked();
    this.#unlisten();
    return this.#socket.pause();
  }

  /** Go on over another socket. */
  attach(socket: Socket): void {
    this.#parser = new ReplyParser();
    this.#socket = socket;
    this.#listen(socket);
  }

  /** Close at once. Harmless when it has failed. */
  cut(): void {
    this.#fail('lost', 'closed by us');
  }

  /** QUIT, and close once the server does. What it answers changes nothing any more (RFC 5321 §4.1.1.10), so nobody waits. */
  quit(): void {
    if (this.#failure !== undefined) return;
    this.#failure = new ExchangeError('lost', `${this.target}: the exchange is over`);
    const socket = this.#socket;
    this.#closing = this.#clock.startTimer(CLOSE_DEADLINE, () => socket.destroy(), { isBackground: true });
    socket.end('QUIT\r\n');
  }

  /** What has not been read before a command answers nothing that was asked. */
  #refuseUnasked(): void {
    const [unasked] = this.#replies;
    if (unasked !== undefined) this.#fail('nonsense', `a reply that nothing asked for: ${describeReply(unasked)}`);
    else if (this.#parser.isMidReply) this.#fail('nonsense', 'a reply that nothing asked for');
    if (this.#failure !== undefined) throw this.#failure;
  }

  #news(deadline: DurationMs): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.startTimer(deadline, () => this.#silent(deadline));
      this.#onNews = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #listen(socket: Socket): void {
    const onData = (octets: Buffer): void => this.#read(octets);
    const onError = (error: Error): void => this.#fail('lost', errorCode(error) || error.message, error);
    const onEnd = (): void => this.#fail('lost', 'closed by the server');
    const onClose = (): void => {
      this.#fail('lost', 'closed');
      this.#closing?.cancel();
    };
    socket.on('data', onData).on('error', onError).on('end', onEnd).on('close', onClose);
    this.#unlisten = () => socket.off('data', onData).off('error', onError).off('end', onEnd).off('close', onClose);
  }

  #read(octets: Buffer): void {
    if (this.#failure !== undefined) return;
    try {
      this.#parser.push(octets);
      for (let reply = this.#parser.next(); reply !== undefined; reply = this.#parser.next()) this.#replies.push(reply);
    } catch (error) {
      if (!(error instanceof ReplyViolation)) throw error;
      return this.#fail('nonsense', error.message, error);
    }
    if (this.#replies.length > MOST_UNREAD) return this.#fail('nonsense', 'replies without end');
    if (this.#replies.length > 0 || this.#step === 'content') this.#onNews();
  }

  #silent(deadline: DurationMs): void {
    this.#fail('silent', `no answer for ${deadline / 1000} s`);
  }

  #fail(fault: ExchangeError['fault'], what: string, cause?: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = new ExchangeError(fault, `${this.target}: ${what}, at ${this.#step}`, { cause });
    this.#socket.destroy();
    this.#onNews();
  }
}
