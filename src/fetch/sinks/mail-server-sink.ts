/**
 * Messages handed to a mail server: LMTP, whose reply after the final dot is that of the one recipient, or SMTP.
 *
 * 2yz after the final dot: stored. 4yz anywhere, or a connection that breaks: later; broken between the final dot and its reply, the message may come twice,
 * with the same `id` in its topmost Received field. 5yz to MAIL, RCPT, DATA or the final dot: refused. 5yz before that is about this server and not about
 * the message, so it is later, too. Each message has a connection of its own.
 *
 * Sources: RFC 2033 (LMTP), RFC 5321 §3.3, §4.2.1, RFC 3207 (STARTTLS), RFC 6152 (8BITMIME).
 *
 * @packageDocumentation
 */
import { hostname } from 'node:os';
import type { Socket } from 'node:net';
import { type DurationMs, minutes, seconds } from '../../core/clock.ts';
import type { SinkSettings } from '../../core/fetch-rule.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { FetchedMessage, MessageSink, SinkOutcome } from '../../core/ports/message-sink.ts';
import { describeReply, isAccepted, isPermanent, joinReplyLines, parseReplyLine, type Reply, type ReplyLine } from '../../core/reply.ts';
import { toWireForm } from '../../message/wire-form.ts';
import { upgradeToTls } from '../../platform/dial.ts';
import { later, readable, refused, rethrow, type SinkParts } from './sink-parts.ts';

type Settings = Extract<SinkSettings, { readonly kind: 'lmtp' | 'smtp' }>;

const CONNECT_DEADLINE = seconds(30);
/** RFC 5321 §4.5.3.2: minutes. The message is safe where it is, so nothing is gained by more. */
const REPLY_DEADLINE = minutes(2);
const FINAL_DEADLINE = minutes(10);
/** For one chunk to be taken. */
const CHUNK_DEADLINE = minutes(3);
const LONGEST_REPLY = 65_536;

/** The server has said something that ends this attempt. */
class Unwelcome extends Error {
  override readonly name = 'Unwelcome';
  readonly outcome: SinkOutcome;
  constructor(outcome: SinkOutcome) {
    super('not taken');
    this.outcome = outcome;
  }
}

export class MailServerSink implements MessageSink {
  readonly description: string;
  readonly #settings: Settings;
  readonly #parts: SinkParts;
  readonly #target: string;

  constructor(settings: Settings, parts: SinkParts) {
    const { kind, host, port, to } = settings;
    this.#settings = settings;
    this.#parts = parts;
    this.#target = `${host}:${port}`;
    this.description = `${kind} ${this.#target} for ${to}`;
  }

  async deliver(message: FetchedMessage, signal: AbortSignal): Promise<SinkOutcome> {
    let connection: ReplyConnection | undefined;
    try {
      connection = await this.#connect(signal);
      const has8Bit = await this.#greet(connection, signal);
      return await this.#transfer(connection, message, { has8Bit, signal });
    } catch (error) {
      rethrow(error, signal);
      if (error instanceof Unwelcome) return error.outcome;
      return later(`${this.#target}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      connection?.close();
    }
  }

  async close(): Promise<void> {}

  async #connect(signal: AbortSignal): Promise<ReplyConnection> {
    const { host, port, tls } = this.#settings;
    const { dial, clock } = this.#parts;
    const socket = await dial({ host, port, tls: tls === 'implicit' ? 'implicit' : 'none', deadline: CONNECT_DEADLINE, clock, signal });
    return new ReplyConnection(socket, clock, signal);
  }

  /** @returns Whether 8 bit content is announced for. */
  async #greet(connection: ReplyConnection, signal: AbortSignal): Promise<boolean> {
    const { host, port, tls } = this.#settings;
    this.#expect(await connection.reply(), 'the greeting', 'about the server');
    let offers = await this.#hello(connection);
    if (tls === 'starttls') {
      if (!offers.has('STARTTLS')) throw new Unwelcome(later(`${this.#target} does not offer STARTTLS, and nothing is sent in clear text`));
      this.#expect(await connection.ask('STARTTLS'), 'STARTTLS', 'about the server');
      const { clock } = this.#parts;
      await connection.secure((plain) =>
        upgradeToTls(plain, { servername: host, port, clock, deadline: CONNECT_DEADLINE, signal, ca: undefined }),
      );
      offers = await this.#hello(connection);
    }
    return offers.has('8BITMIME');
  }

  async #hello(connection: ReplyConnection): Promise<ReadonlySet<string>> {
    const verb = this.#settings.kind === 'lmtp' ? 'LHLO' : 'EHLO';
    const answer = await connection.ask(`${verb} ${hostname().replaceAll(/[^A-Za-z0-9.-]/g, '-')}`);
    this.#expect(answer, verb, 'about the server');
    return new Set(answer.text.slice(1).map((line) => line.trim().split(/\s/)[0]?.toUpperCase() ?? ''));
  }

  async #transfer(
    connection: ReplyConnection,
    message: FetchedMessage,
    { has8Bit, signal }: { readonly has8Bit: boolean; readonly signal: AbortSignal },
  ): Promise<SinkOutcome> {
    const { from = '', to } = this.#settings;
    this.#expect(await connection.ask(`MAIL FROM:<${from}>${has8Bit ? ' BODY=8BITMIME' : ''}`), 'MAIL');
    this.#expect(await connection.ask(`RCPT TO:<${to}>`), 'RCPT');
    const invitation = await connection.ask('DATA');
    if (invitation.code !== 354) this.#expect({ ...invitation, code: isAccepted(invitation) ? 451 : invitation.code }, 'DATA');
    for await (const octets of toWireForm(readable(message, signal))) await connection.write(octets);
    const answer = await connection.ask('.', FINAL_DEADLINE);
    this.#expect(answer, 'the message');
    connection.farewell();
    return { kind: 'stored', detail: describeReply(answer) };
  }

  #expect(answer: Reply, what: string, scope: 'about the message' | 'about the server' = 'about the message'): void {
    if (isAccepted(answer)) return;
    const cause = `${this.#target} answered ${what} with ${describeReply(answer)}`;
    throw new Unwelcome(isPermanent(answer) && scope === 'about the message' ? refused(cause) : later(cause));
  }
}

/** Commands out, replies in; every wait is bounded, and so is what a reply may hold. */
class ReplyConnection {
  #socket: Socket;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #waiting = '';
  #ending: Error | undefined;
  #wake: () => void = () => undefined;
  readonly #onData = (octets: Buffer): void => {
    this.#waiting += octets.toString('latin1');
    if (this.#waiting.length > LONGEST_REPLY) this.#end('it sends more than a reply');
    this.#wake();
  };
  readonly #onClose = (): void => void this.#end('the server closed the connection');
  readonly #onError = (error: Error): void => void this.#end(`connection lost (${error.message})`);
  readonly #onAbort = (): void => void this.#end('called off');

  constructor(socket: Socket, clock: Clock, signal: AbortSignal) {
    this.#socket = socket;
    this.#clock = clock;
    this.#signal = signal;
    this.#listen();
    signal.addEventListener('abort', this.#onAbort, { once: true });
    if (signal.aborted) this.#onAbort();
  }

  async ask(command: string, deadline: DurationMs = REPLY_DEADLINE): Promise<Reply> {
    // Else a 250 that was sent ahead would count for a message that nobody has looked at.
    if (this.#waiting !== '') throw this.#end('it answers before it is asked');
    await this.write(Buffer.from(`${command}\r\n`, 'latin1'));
    return this.reply(deadline);
  }

  async reply(deadline: DurationMs = REPLY_DEADLINE): Promise<Reply> {
    const lines: ReplyLine[] = [];
    await this.#until(() => this.#takeReply(lines), deadline);
    const [first, ...rest] = lines;
    if (first === undefined) throw this.#end('no reply');
    return joinReplyLines([first, ...rest]);
  }

  /** Resolves once the socket wants more. */
  async write(octets: Uint8Array): Promise<void> {
    if (this.#ending !== undefined) throw this.#ending;
    let isDrained = this.#socket.write(octets);
    if (isDrained) return;
    this.#socket.once('drain', () => {
      isDrained = true;
      this.#wake();
    });
    await this.#until(() => isDrained, CHUNK_DEADLINE);
  }

  async secure(upgrade: (plain: Socket) => Promise<Socket>): Promise<void> {
    // What came in clear behind the reply would be taken for encrypted text (CVE-2011-0411).
    if (this.#waiting !== '') throw this.#end('clear text after the answer to STARTTLS');
    this.#unlisten();
    this.#socket = await upgrade(this.#socket.pause());
    this.#listen();
  }

  /** The message is stored: what becomes of this does not matter. */
  farewell(): void {
    if (this.#ending === undefined) this.#socket.end('QUIT\r\n');
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    const socket = this.#socket;
    // A goodbye that is under way gets out.
    if (socket.writableEnded) socket.destroySoon();
    else socket.destroy();
  }

  /** @returns Whether the last line of a reply has come. */
  #takeReply(lines: ReplyLine[]): boolean {
    for (let end = this.#waiting.indexOf('\n'); end !== -1; end = this.#waiting.indexOf('\n')) {
      const line = parseReplyLine(this.#waiting.slice(0, end).replace(/\r$/, ''));
      this.#waiting = this.#waiting.slice(end + 1);
      if (line === undefined) throw this.#end('its answer is no reply');
      lines.push(line);
      if (line.isLast) return true;
    }
    return false;
  }

  async #until(isDone: () => boolean, deadline: DurationMs): Promise<void> {
    const timer = this.#clock.startTimer(deadline, () => this.#end(`nothing happened for ${deadline / 1000} s`));
    try {
      while (!isDone()) {
        if (this.#ending !== undefined) throw this.#ending;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      timer.cancel();
    }
  }

  #listen(): void {
    this.#socket.on('data', this.#onData).on('close', this.#onClose).on('end', this.#onClose).on('error', this.#onError).resume();
  }

  #unlisten(): void {
    this.#socket.off('data', this.#onData).off('close', this.#onClose).off('end', this.#onClose).off('error', this.#onError);
  }

  #end(what: string): Error {
    this.#ending ??= new Error(what);
    this.#socket.destroy();
    this.#wake();
    return this.#ending;
  }
}
