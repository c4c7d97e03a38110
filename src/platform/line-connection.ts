/**
 * A connection to an IMAP or POP3 server, line by line: for a short trial, or up to the moment from which a session is only passed on.
 *
 * Everything is bounded: the length of a line, the lines of an answer, the octets that wait to be read, and the time for each answer, however many lines
 * it has. What fails is a ProblemError; the connection is gone then.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import type { Endpoint } from '../core/account.ts';
import { between, milliseconds, type MonotonicMs, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import { type ProblemCode, ProblemError, problem } from '../core/problem.ts';
import { type Dial, upgradeToTls } from './dial.ts';
import { DialError } from './dial-error.ts';
import { dialProblem } from './dial-problem.ts';
import { SmallRecords } from './small-records.ts';

/** Where to connect, and what the server is called in remedies. */
export interface LineServer {
  readonly endpoint: Endpoint;
  readonly ca: string | undefined;
  readonly protocol: 'imap' | 'pop3';
}

const CONNECT_DEADLINE = seconds(30);
/** For the greeting, and for each answer as a whole: a server that says something now and then would else be listened to for ever. */
const ANSWER_DEADLINE = seconds(30);
/** RFC 4959 and RFC 5034 set no limit for challenges; 12,288 is that of SMTP (RFC 4954 §4). */
const LONGEST_LINE = 12_288;
const MOST_WAITING = 262_144;
const MOST_LINES = 200;

export class LineConnection {
  readonly target: string;
  readonly #server: LineServer;
  readonly #clock: Clock;
  #socket: Socket;
  #records: SmallRecords;
  #waiting = '';
  #ending: ProblemError | undefined;
  #linesLeft = MOST_LINES;
  /** Since when something is waited for. */
  #askedAt: MonotonicMs;
  #wake: () => void = () => {};
  readonly #signal: AbortSignal | undefined;
  readonly #onData = (octets: Buffer): void => {
    this.#waiting += octets.toString('latin1');
    const isTooLong = this.#waiting.length > LONGEST_LINE && !this.#waiting.includes('\n');
    if (isTooLong || this.#waiting.length > MOST_WAITING) this.#end('UPSTREAM_PROTOCOL', 'it sends more than the protocol allows');
    this.#wake();
  };
  readonly #onError = (error: Error): void => this.#end('UPSTREAM_LOST', `connection lost (${error.message})`);
  readonly #onEnd = (): void => this.#end('UPSTREAM_LOST', 'the server closed the connection');
  readonly #onClose = (): void => this.#end('UPSTREAM_LOST', 'connection closed');
  readonly #onAbort = (): void => this.#end('UPSTREAM_LOST', 'called off');

  private constructor(server: LineServer, socket: Socket, clock: Clock, signal: AbortSignal | undefined) {
    this.target = `${server.endpoint.host}:${server.endpoint.port}`;
    this.#server = server;
    this.#clock = clock;
    this.#askedAt = clock.monotonic();
    this.#socket = socket;
    this.#records = new SmallRecords(socket);
    this.#signal = signal;
    this.#listen();
    signal?.addEventListener('abort', this.#onAbort, { once: true });
    if (signal?.aborted === true) this.#onAbort();
  }

  /** @throws ProblemError `UPSTREAM_UNREACHABLE` or `UPSTREAM_TLS_FAILED` */
  static async open(server: LineServer, dial: Dial, clock: Clock, signal?: AbortSignal): Promise<LineConnection> {
    const { host, port, tls } = server.endpoint;
    const request = {
      host,
      port,
      tls: tls === 'implicit' ? 'implicit' : 'none',
      ca: server.ca,
      deadline: CONNECT_DEADLINE,
      clock,
      signal,
    } as const;
    const socket = await explained(server, () => dial(request));
    return new LineConnection(server, socket, clock, signal);
  }

  /** One line without its end. @throws ProblemError where none comes. */
  async readLine(): Promise<string> {
    if (this.#linesLeft === 0) throw this.#fail('UPSTREAM_PROTOCOL', 'its answers have no end');
    this.#linesLeft -= 1;
    let timer: Timer | undefined;
    try {
      for (;;) {
        const line = this.#takeLine();
        if (line !== undefined) return line;
        if (this.#ending !== undefined) throw this.#ending;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          timer ??= this.#clock.startTimer(
            milliseconds(Math.max(0, ANSWER_DEADLINE - between(this.#askedAt, this.#clock.monotonic()))),
            () => this.#end('UPSTREAM_TIMEOUT', `no answer within ${ANSWER_DEADLINE / 1000} s`),
          );
        });
      }
    } finally {
      timer?.cancel();
    }
  }

  send(line: string): void {
    if (/[\u0000-\u001f\u007f]/.test(line)) throw new Error('control character in a command');
    this.#askedAt = this.#clock.monotonic();
    if (this.#ending === undefined) this.#records.write(`${line}\r\n`);
  }

  /** Go on with TLS. @throws ProblemError */
  async startTls(): Promise<void> {
    const { endpoint, ca } = this.#server;
    // What came in clear after the answer would be taken for encrypted text (CVE-2011-0411).
    if (this.#waiting !== '') throw this.#fail('UPSTREAM_TLS_FAILED', 'clear text after the answer to STARTTLS');
    this.#records.flush();
    const plain = this.#unlisten().pause();
    const { host: servername, port } = endpoint;
    const upgrade = { servername, port, ca, clock: this.#clock, deadline: CONNECT_DEADLINE, signal: this.#signal };
    this.#socket = await explained(this.#server, () => upgradeToTls(plain, upgrade));
    this.#records = new SmallRecords(this.#socket);
    this.#listen();
  }

  /** @returns The error, with the server's name before `what`. The connection is over. */
  #fail(code: ProblemCode, what: string): ProblemError {
    this.#end(code, what);
    return this.#ending ?? new ProblemError(problem(code, `${this.target}: ${what}`));
  }

  close(): void {
    this.#end('UPSTREAM_LOST', 'closed by us');
  }

  /**
   * No more lines: the socket, paused and with a listener for errors alone, and what it has received that was not read.
   *
   * @throws ProblemError where the connection is over.
   */
  detach(): { readonly socket: Socket; readonly rest: Buffer } {
    if (this.#ending !== undefined) throw this.#ending;
    this.#signal?.removeEventListener('abort', this.#onAbort);
    const socket = this.#socket;
    // A server that answers before it has heard everything gets the rest first.
    this.#records.flush();
    this.#unlisten();
    socket.pause().on('error', () => undefined); // A close follows, which whoever has the socket hears.
    const rest = Buffer.from(this.#waiting, 'latin1');
    this.#waiting = '';
    return { socket, rest };
  }

  #listen(): void {
    this.#socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onError);
  }

  /** Ours alone: Node has listeners of its own on a socket. */
  #unlisten(): Socket {
    return this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', this.#onError);
  }

  #takeLine(): string | undefined {
    const end = this.#waiting.indexOf('\n');
    if (end === -1) return undefined;
    const line = this.#waiting.slice(0, end).replace(/\r$/, '');
    this.#waiting = this.#waiting.slice(end + 1);
    return line;
  }

  #end(code: ProblemCode, what: string): void {
    this.#ending ??= new ProblemError(problem(code, `${this.target}: ${what}`));
    this.#socket.destroy();
    this.#wake();
  }
}

const STARTTLS = { imap: '-starttls imap', pop3: '-starttls pop3' } as const;

async function explained<Result>({ endpoint, protocol }: LineServer, open: () => Promise<Result>): Promise<Result> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof DialError)) throw error;
    const starttls = endpoint.tls === 'implicit' ? '' : STARTTLS[protocol];
    throw new ProblemError(dialProblem(error, { kind: 'mail server', key: `providers.NAME.${protocol}.host`, starttls }), { cause: error });
  }
}
