/**
 * The application's side of a session until it has logged in: lines and octets, each with a bound and a deadline.
 *
 * What was read belongs to the local dialogue; what was not is handed over, octet for octet, by {@link AppConnection.detach}. No more is read from the
 * socket than a bounded buffer holds, so an application that talks ahead waits for us.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { type DurationMs, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { forgetUnread, ServerHandshake } from '../platform/server-handshake.ts';

/** Why the local dialogue is over before a login. */
export type DialogueEnd =
  /** The application is gone. */
  | 'gone'
  | 'idle'
  | 'too-long'
  /** It began TLS where clear text is spoken first. */
  | 'tls-hello'
  | 'tls-failed'
  /** Everything has been said (LOGOUT, QUIT, too many errors). */
  | 'done';

export class DialogueOver extends Error {
  override readonly name = 'DialogueOver';
  readonly end: DialogueEnd;
  constructor(end: DialogueEnd, message: string = end) {
    super(message);
    this.end = end;
  }
}

/** Made once: each session ends with it, and most have nobody who still listens. */
const GONE = new DialogueOver('gone');

const MOST_WAITING = 65_536;
const CLOSE_LIMIT = seconds(10);
/** First octet of a TLS record with a handshake (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16;

export class AppConnection {
  readonly #clock: Clock;
  readonly #patience: DurationMs;
  readonly #gone = new AbortController();
  #socket: Socket;
  #waiting: Buffer = Buffer.alloc(0);
  #hasTalked = false;
  #ending: DialogueOver | undefined;
  #wake: () => void = () => {};

  /** @param patience - For each line, and for literals. */
  constructor(socket: Socket, clock: Clock, patience: DurationMs) {
    this.#socket = socket;
    this.#clock = clock;
    this.#patience = patience;
    this.#listen();
  }

  get isSecure(): boolean {
    return this.#socket instanceof TLSSocket;
  }

  /** For the log: `TLSv1.3 TLS_AES_256_GCM_SHA384`. */
  get tls(): string | undefined {
    const socket = this.#socket;
    return socket instanceof TLSSocket ? `${socket.getProtocol()} ${socket.getCipher()?.name}` : undefined;
  }

  /** Aborted once nobody is there any more. A side that has only said its last word still listens. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Lines, each with CRLF added. */
  say(...lines: readonly string[]): void {
    if (this.#socket.writable) this.#socket.write(lines.map((line) => `${line}\r\n`).join(''), 'latin1');
  }

  /**
   * The next line without its end, be that CRLF or LF. An unfinished last line is no line.
   *
   * @throws DialogueOver
   */
  async readLine(longest: number): Promise<Buffer> {
    const isThere = (): boolean => this.#waiting.includes(0x0a) || this.#waiting.length > longest + 2;
    await this.#until(isThere);
    const end = this.#waiting.indexOf(0x0a);
    if (end === -1 || end > longest + 1) throw new DialogueOver('too-long');
    const line = this.#take(end + 1);
    return line.subarray(0, line.at(-2) === 0x0d ? -2 : -1);
  }

  /** @param count - At most 64 KB. @throws DialogueOver */
  async readOctets(count: number): Promise<Buffer> {
    await this.#until(() => this.#waiting.length >= count);
    return this.#take(count);
  }

  /**
   * Go on with TLS. What came in clear before is thrown away (RFC 3501 §11.1).
   *
   * @throws DialogueOver `tls-failed`, with OpenSSL's text.
   */
  async startTls(secureContext: SecureContext): Promise<void> {
    const plain = this.#unlisten();
    forgetUnread(plain);
    this.#waiting = Buffer.alloc(0);
    const handshake = new ServerHandshake(plain, secureContext, this.#clock);
    this.#socket = handshake.socket;
    try {
      await handshake.secured;
    } catch (error) {
      this.#gone.abort(GONE);
      throw new DialogueOver('tls-failed', error instanceof Error ? error.message : 'closed');
    }
    this.#listen();
  }

  /** No more dialogue: the socket, paused and with a listener for errors alone, and what it has received that was not read. */
  detach(): { readonly socket: Socket; readonly rest: Buffer } {
    const socket = this.#unlisten().pause();
    socket.on('error', () => undefined); // A close follows, which whoever has the socket hears.
    const rest = this.#waiting;
    this.#waiting = Buffer.alloc(0);
    return { socket, rest };
  }

  /** Close once what was said has been written. */
  hangUp(): void {
    const socket = this.#socket.off('data', this.#onData); // Which would stop reading once it has much.
    this.#waiting = Buffer.alloc(0);
    socket.resume(); // What still comes is thrown away; otherwise the close would be a reset that may overtake our last words.
    socket.end();
    const timer = this.#clock.startTimer(CLOSE_LIMIT, () => socket.destroy(), { isBackground: true });
    socket.once('close', () => timer.cancel());
  }

  /** The listener stops: whoever waits for a line hears `done`. */
  stop(): void {
    this.#end('done');
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    this.#socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onError);
  }

  /** Ours alone: Node has listeners of its own on a socket. */
  #unlisten(): Socket {
    return this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', this.#onError);
  }

  readonly #onData = (octets: Buffer): void => {
    if (!this.#hasTalked && !this.isSecure && octets[0] === TLS_HANDSHAKE) this.#end('tls-hello');
    this.#hasTalked = true;
    this.#waiting = this.#waiting.length === 0 ? octets : Buffer.concat([this.#waiting, octets]);
    if (this.#waiting.length >= MOST_WAITING) this.#socket.pause();
    this.#wake();
  };
  readonly #onEnd = (): void => this.#end('gone');
  readonly #onError = (): void => this.#onClose();
  readonly #onClose = (): void => {
    this.#gone.abort(GONE);
    this.#end('gone');
  };

  #end(end: DialogueEnd): void {
    this.#ending ??= new DialogueOver(end);
    this.#wake();
  }

  #take(count: number): Buffer {
    const taken = this.#waiting.subarray(0, count);
    this.#waiting = this.#waiting.subarray(count);
    if (this.#waiting.length < MOST_WAITING && this.#ending === undefined) this.#socket.resume();
    return taken;
  }

  /** Waits until it is true, and until what we have said has been taken: who does not read is not served. */
  async #until(isTrue: () => boolean): Promise<void> {
    let isLate = false;
    const timer = this.#clock.startTimer(this.#patience, () => {
      isLate = true;
      this.#wake();
    });
    const onDrain = (): void => this.#wake();
    this.#socket.on('drain', onDrain);
    try {
      for (;;) {
        if (this.#ending !== undefined && (this.#ending.end !== 'gone' || this.#gone.signal.aborted)) throw this.#ending;
        if (isTrue() && !this.#socket.writableNeedDrain) return;
        if (this.#ending !== undefined && !isTrue()) throw this.#ending;
        if (isLate) throw new DialogueOver('idle');
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      timer.cancel();
      this.#socket.off('drain', onDrain);
    }
  }
}
