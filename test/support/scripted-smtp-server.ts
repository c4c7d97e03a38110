/**
 * An SMTP server that says what a test tells it to say, and remembers every octet that it was sent. Without a script it behaves as
 * Exchange Online's submission does: STARTTLS, then `AUTH LOGIN XOAUTH2`, direct 535, pipelining.
 *
 * @packageDocumentation
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import * as tls from 'node:tls';
import type { IssuedCertificate } from './test-ca.ts';

/** The steps of a session that can be scripted. */
export type ScriptStep =
  | 'greeting'
  | 'ehlo'
  | 'ehloAfterTls'
  | 'starttls'
  | 'auth'
  | 'authString'
  | 'authFailed'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'content'
  | 'rset'
  | 'quit'
  | 'other';

/**
 * What to answer: text (sent with CRLF added), raw octets, or text and then the end of the connection. Three words are not sent but done: `silence`,
 * `close`, `reset`.
 */
export type ScriptAnswer = string | Buffer | { readonly say: string | Buffer; readonly ends: 'close' | 'reset' };

/** Fixed, or made from the command line and the count of such commands in this session, from 1. */
export type ScriptEntry = ScriptAnswer | ((line: string, count: number, session: ServerSession) => ScriptAnswer | Promise<ScriptAnswer>);

export interface ScriptedServerOptions {
  readonly certificate?: IssuedCertificate;
  readonly tlsOptions?: tls.TlsOptions;
  readonly isImplicit?: boolean;
  readonly script?: Partial<Record<ScriptStep, ScriptEntry>>;
  /** Sends each answer in segments of this many octets, each in a packet of its own. */
  readonly segment?: number;
  /** Read nothing after 354 until {@link ServerSession.resume}. */
  readonly isStalling?: boolean;
}

const OFFERED = ['SIZE 157286400', 'PIPELINING', 'DSN', 'ENHANCEDSTATUSCODES', '8BITMIME', 'BINARYMIME', 'CHUNKING', 'SMTPUTF8'];

/** An EHLO reply that offers these extensions. */
export function ehloReply(...extensions: string[]): string {
  return ['mail.test Hello [127.0.0.1]', ...extensions]
    .map((line, index, all) => `250${index === all.length - 1 ? ' ' : '-'}${line}`)
    .join('\r\n');
}

const DEFAULTS: Readonly<Record<ScriptStep, string>> = {
  greeting: '220 mail.test Microsoft ESMTP MAIL Service ready at Mon, 23 Nov 2026 12:00:00 +0000',
  ehlo: ehloReply(...OFFERED, 'STARTTLS'),
  ehloAfterTls: ehloReply(...OFFERED, 'AUTH LOGIN XOAUTH2'),
  starttls: '220 2.0.0 SMTP server ready',
  auth: '334 ',
  authString: '235 2.7.0 Authentication successful',
  authFailed: '535 5.7.3 Authentication unsuccessful [mail.test 2026-11-23T12:00:00.000Z 08DE2A]',
  mail: '250 2.1.0 Sender OK',
  rcpt: '250 2.1.5 Recipient OK',
  data: '354 Start mail input; end with <CRLF>.<CRLF>',
  content: '250 2.0.0 OK <1@mail.test> [Hostname=mail.test]',
  rset: '250 2.0.0 Resetting',
  quit: '221 2.0.0 Service closing transmission channel',
  other: '500 5.3.3 Unrecognized command',
};

/** One connection, as the server saw it. */
export class ServerSession {
  /** Command lines, in order; those after TLS too. AUTH strings stand here as they came. */
  readonly lines: string[] = [];
  /** Every octet that came in clear. */
  clear = Buffer.alloc(0);
  /** Content of each message that was ended by a dot, without the dot. */
  readonly messages: Buffer[] = [];
  /** Content that has come since the last 354, and whether its dot has. */
  content = Buffer.alloc(0);
  isDotSeen = false;
  isSecured = false;
  isResumed = false;
  isClosed = false;
  /** Batches of commands or content that the client sent after it had been answered all it asked before: its waits. */
  flights = 0;
  /** Commands in each of them. */
  readonly batches: string[][] = [];
  readonly #server: ScriptedSmtpServer;
  readonly #counts = new Map<ScriptStep, number>();
  #socket: Socket;
  #buffer = Buffer.alloc(0);
  #mode: 'command' | 'auth' | 'auth-failed' | 'content' = 'command';
  #isBusy = false;
  #isHandshake = false;
  #isInFlight = false;

  constructor(server: ScriptedSmtpServer, socket: Socket) {
    this.#server = server;
    this.#socket = socket;
    this.#listen(socket);
  }

  async start(): Promise<void> {
    if (this.#server.options.isImplicit === true) await this.#secure();
    await this.#answer('greeting', '');
  }

  resume(): void {
    this.#socket.resume();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Say something that nobody asked for. */
  say(text: string): void {
    this.#socket.write(`${text}\r\n`);
  }

  end(): void {
    this.#socket.end();
  }

  #listen(socket: Socket): void {
    socket.on('data', (octets) => this.#receive(octets));
    socket.on('error', () => {}); // The client may cut the connection; that is what is being tested.
    socket.on('close', () => {
      this.isClosed = true;
      this.#server.wake();
    });
  }

  #receive(octets: Buffer): void {
    if (!this.isSecured && !this.#isHandshake) this.clear = Buffer.concat([this.clear, octets]);
    this.#buffer = Buffer.concat([this.#buffer, octets]);
    if (!this.#isBusy && !this.#isInFlight) {
      this.#isInFlight = true;
      this.flights += 1;
      this.batches.push([]);
    }
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (await this.#step());
    this.#isBusy = false;
    // All that came has been answered: what comes next is another flight, unless it is more of the same content.
    this.#isInFlight = this.#mode === 'content' && this.content.length > 0;
    this.#server.wake();
  }

  async #step(): Promise<boolean> {
    if (this.#mode === 'content') return this.#takeContent();
    const end = this.#buffer.indexOf('\r\n');
    if (end === -1) return false;
    const line = this.#buffer.subarray(0, end).toString();
    this.#buffer = this.#buffer.subarray(end + 2);
    this.lines.push(line);
    this.batches.at(-1)?.push(line);
    await this.#command(line);
    return true;
  }

  async #takeContent(): Promise<boolean> {
    this.content = Buffer.concat([this.content, this.#buffer]);
    this.#buffer = Buffer.alloc(0);
    const end = this.content.subarray(0, 3).toString() === '.\r\n' ? -2 : this.content.indexOf('\r\n.\r\n');
    if (end === -1) return false;
    this.isDotSeen = true;
    this.#buffer = this.content.subarray(end + 5);
    this.messages.push(this.content.subarray(0, end + 2));
    this.content = Buffer.alloc(0);
    this.#mode = 'command';
    this.#server.wake();
    await this.#answer('content', '.');
    return true;
  }

  async #command(line: string): Promise<void> {
    if (this.#mode === 'auth') {
      this.#mode = 'command';
      const answer = await this.#answer('authString', line);
      if (answer.startsWith('334')) this.#mode = 'auth-failed';
      return;
    }
    if (this.#mode === 'auth-failed') {
      this.#mode = 'command';
      await this.#answer('authFailed', line);
      return;
    }
    const verb = (line.split(' ')[0] ?? '').toUpperCase();
    if (verb === 'EHLO') await this.#answer(this.isSecured ? 'ehloAfterTls' : 'ehlo', line);
    else if (verb === 'STARTTLS') await this.#startTls(line);
    else if (verb === 'AUTH') this.#mode = (await this.#answer('auth', line)).startsWith('334') ? 'auth' : 'command';
    else if (verb === 'DATA') await this.#startContent(line);
    else if (verb === 'QUIT') await this.#quit(line);
    else await this.#answer(verb === 'MAIL' ? 'mail' : verb === 'RCPT' ? 'rcpt' : verb === 'RSET' ? 'rset' : 'other', line);
  }

  async #startTls(line: string): Promise<void> {
    const isWilling = this.#server.options.certificate !== undefined;
    if (isWilling) this.#socket.pause(); // What follows is for TLS.
    this.#isHandshake = isWilling;
    if ((await this.#answer('starttls', line)).startsWith('220') && isWilling) return this.#secure();
    this.#isHandshake = false;
    this.#socket.resume();
  }

  async #startContent(line: string): Promise<void> {
    if (!(await this.#answer('data', line)).startsWith('354')) return;
    this.#mode = 'content';
    this.content = Buffer.alloc(0);
    this.isDotSeen = false;
    if (this.#server.options.isStalling === true) this.#socket.pause();
  }

  async #quit(line: string): Promise<void> {
    const answer = await this.#answer('quit', line);
    if (answer.startsWith('221')) this.#socket.end();
  }

  async #secure(): Promise<void> {
    this.#isHandshake = true;
    const { certificate, tlsOptions } = this.#server.options;
    if (certificate === undefined) throw new Error('the scripted server has no certificate');
    const raw = this.#socket;
    raw.removeAllListeners('data');
    const secured = new tls.TLSSocket(raw, { isServer: true, secureContext: this.#server.context, ...tlsOptions });
    this.#socket = secured;
    this.#listen(secured);
    await new Promise((resolve) => secured.once('secure', resolve).once('close', resolve));
    this.isSecured = true;
    this.isResumed = secured.isSessionReused();
  }

  /** @returns The text that was sent, `''` for anything else. */
  async #answer(step: ScriptStep, line: string): Promise<string> {
    const count = (this.#counts.get(step) ?? 0) + 1;
    this.#counts.set(step, count);
    const entry = this.#server.script[step] ?? DEFAULTS[step];
    const answer = typeof entry === 'function' ? await entry(line, count, this) : entry;
    if (answer === 'silence') return '';
    if (answer === 'close') this.#socket.end();
    else if (answer === 'reset') this.#resetRaw();
    else if (typeof answer === 'string' || Buffer.isBuffer(answer)) await this.#write(answer);
    else {
      await this.#write(answer.say);
      if (answer.ends === 'close') this.#socket.end();
      else this.#resetRaw();
    }
    return typeof answer === 'string' ? answer : '';
  }

  #resetRaw(): void {
    this.#server.rawSocketOf(this).resetAndDestroy();
  }

  async #write(answer: string | Buffer): Promise<void> {
    const octets = typeof answer === 'string' ? Buffer.from(`${answer}\r\n`) : answer;
    const { segment } = this.#server.options;
    if (this.#socket.destroyed) return;
    if (segment === undefined) {
      await new Promise<void>((resolve) => this.#socket.write(octets, () => resolve()));
      return;
    }
    for (let at = 0; at < octets.length; at += segment) {
      await new Promise<void>((resolve) => this.#socket.write(octets.subarray(at, at + segment), () => resolve()));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

export class ScriptedSmtpServer {
  readonly options: ScriptedServerOptions;
  /** May be changed while the server runs. */
  readonly script: Partial<Record<ScriptStep, ScriptEntry>>;
  readonly sessions: ServerSession[] = [];
  /** The most connections that were open at one time. */
  peak = 0;
  readonly context: tls.SecureContext | undefined;
  readonly #raw = new Map<ServerSession, Socket>();
  readonly #server: Server;
  readonly #watchers = new Set<() => void>();

  private constructor(options: ScriptedServerOptions) {
    this.options = options;
    this.script = { ...options.script };
    const { certificate } = options;
    if (certificate !== undefined) {
      this.context = tls.createSecureContext({ cert: certificate.certPem, key: certificate.keyPem, ...options.tlsOptions });
    }
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  static async start(options: ScriptedServerOptions = {}): Promise<ScriptedSmtpServer> {
    const scripted = new ScriptedSmtpServer(options);
    await new Promise<void>((resolve, reject) => scripted.#server.once('error', reject).listen(0, '127.0.0.1', resolve));
    return scripted;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get open(): number {
    return this.sessions.filter(({ isClosed }) => !isClosed).length;
  }

  /** All messages taken, over all sessions. */
  get messages(): Buffer[] {
    return this.sessions.flatMap(({ messages }) => messages);
  }

  /** Wait until something about what the server has seen is true. */
  async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve) => {
      const check = (): void => {
        if (!condition()) return;
        this.#watchers.delete(check);
        resolve();
      };
      this.#watchers.add(check);
    });
  }

  wake(): void {
    for (const check of this.#watchers) check();
  }

  rawSocketOf(session: ServerSession): Socket {
    const socket = this.#raw.get(session);
    if (socket === undefined) throw new Error('no such session');
    return socket;
  }

  async close(): Promise<void> {
    for (const socket of this.#raw.values()) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    const session = new ServerSession(this, socket);
    this.#raw.set(session, socket);
    this.sessions.push(session);
    this.peak = Math.max(this.peak, this.open);
    void session.start();
    this.wake();
  }
}
