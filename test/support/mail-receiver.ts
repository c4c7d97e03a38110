/**
 * A mail server, SMTP or LMTP, that takes messages of any size without keeping them, and answers as a test tells it.
 *
 * @packageDocumentation
 */
import { createHash, type Hash } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as tls from 'node:tls';
import type { IssuedCertificate } from './test-ca.ts';

export type ReceiverStep = 'greeting' | 'hello' | 'starttls' | 'mail' | 'rcpt' | 'data' | 'final';

/**
 * Asked for each answer; undefined: yes. Text is sent with CRLF, several replies with CRLF between them. Two words are done, not said: `silence` and `close`.
 */
export type Answerer = (step: ReceiverStep, line: string) => string | undefined;

/** A message that came whole. */
export interface ReceivedMail {
  readonly reversePath: string;
  /** Those that were taken at RCPT. */
  readonly recipients: readonly string[];
  readonly digest: string;
  readonly size: number;
  /** Its octets, the first 64 KiB. */
  readonly octets: Buffer;
}

export interface MailReceiverOptions {
  readonly protocol: 'lmtp' | 'smtp';
  readonly answer?: Answerer;
  readonly certificate?: IssuedCertificate;
  readonly offered?: readonly string[];
  /** Sends each answer in segments of this many octets. */
  readonly segment?: number;
}

const KEPT = 65_536;

export class MailReceiver {
  readonly received: ReceivedMail[] = [];
  /** Command lines of all sessions. */
  readonly lines: string[] = [];
  /** Those that came in clear. */
  readonly clear: string[] = [];
  sessions = 0;
  answer: Answerer;
  readonly options: MailReceiverOptions;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  #isHeld = false;

  private constructor(options: MailReceiverOptions) {
    this.options = options;
    this.answer = options.answer ?? (() => undefined);
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.sessions += 1;
      this.watch(socket);
      new Session(this, socket).start();
    });
  }

  static async start(options: MailReceiverOptions): Promise<MailReceiver> {
    const receiver = new MailReceiver(options);
    await new Promise<void>((resolve) => void receiver.#server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Read no content until the result is called. */
  hold(): () => void {
    this.#isHeld = true;
    return () => {
      this.#isHeld = false;
      for (const socket of this.#sockets) socket.resume();
    };
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  watch(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => undefined); // The client may cut the connection; that is what is being tested.
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

class Session {
  readonly #receiver: MailReceiver;
  #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #isSecured = false;
  #isWorking = false;
  #reversePath = '';
  #recipients: string[] = [];
  #content: Content | undefined;

  constructor(receiver: MailReceiver, socket: Socket) {
    this.#receiver = receiver;
    this.#socket = socket;
    this.#listen(socket);
  }

  start(): void {
    void this.#say('greeting', '', '220 mail.test ready');
  }

  #listen(socket: Socket): void {
    socket.on('data', (octets: Buffer) => {
      this.#buffer = this.#buffer.length === 0 ? octets : Buffer.concat([this.#buffer, octets]);
      void this.#work();
    });
  }

  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    while (await this.#step());
    this.#isWorking = false;
  }

  async #step(): Promise<boolean> {
    if (this.#content !== undefined) return this.#takeContent(this.#content);
    const end = this.#buffer.indexOf('\r\n');
    if (end === -1) return false;
    const line = this.#buffer.subarray(0, end).toString();
    this.#buffer = this.#buffer.subarray(end + 2);
    this.#receiver.lines.push(line);
    if (!this.#isSecured) this.#receiver.clear.push(line);
    await this.#command(line);
    return true;
  }

  async #command(line: string): Promise<void> {
    const verb = (line.split(' ')[0] ?? '').toUpperCase();
    const { protocol, certificate, offered = ['SIZE 1000000000', '8BITMIME'] } = this.#receiver.options;
    if (verb === (protocol === 'lmtp' ? 'LHLO' : 'EHLO')) {
      const all = ['mail.test', ...offered, ...(certificate === undefined || this.#isSecured ? [] : ['STARTTLS'])];
      const text = all.map((word, index) => `250${index === all.length - 1 ? ' ' : '-'}${word}`).join('\r\n');
      await this.#say('hello', line, text);
    } else if (verb === 'STARTTLS') {
      this.#socket.pause();
      if ((await this.#say('starttls', line, '220 go on')) === '220 go on') this.#secure();
    } else if (verb === 'MAIL') {
      [this.#reversePath, this.#recipients] = [/<(.*?)>/.exec(line)?.[1] ?? '', []];
      await this.#say('mail', line, '250 2.1.0 yes');
    } else if (verb === 'RCPT') {
      const said = await this.#say('rcpt', line, '250 2.1.5 yes');
      if (said.startsWith('250')) this.#recipients.push(/<(.*?)>/.exec(line)?.[1] ?? '');
    } else if (verb === 'DATA') {
      if (!(await this.#say('data', line, '354 go on')).startsWith('354')) return;
      this.#content = new Content();
      if (this.#receiver.isHeld) this.#socket.pause();
    } else if (verb === 'QUIT') this.#socket.end('221 2.0.0 bye\r\n');
    else this.#socket.write('500 5.5.2 what?\r\n');
  }

  async #takeContent(content: Content): Promise<boolean> {
    const rest = content.take(this.#buffer);
    this.#buffer = rest ?? Buffer.alloc(0);
    if (rest === undefined) return false;
    this.#content = undefined;
    const { reversePath, recipients } = { reversePath: this.#reversePath, recipients: this.#recipients };
    const accepted: string[] = [];
    for (const recipient of this.#receiver.options.protocol === 'lmtp' ? recipients : ['']) {
      const text = this.#answer('final', recipient, '250 2.0.0 taken');
      if (text.startsWith('250')) {
        // Before it is said: who hears it may look at once.
        if (accepted.length === 0) this.#receiver.received.push({ reversePath, recipients: accepted, ...content.result() });
        accepted.push(...(recipient === '' ? recipients : [recipient]));
      }
      await this.#tell(text);
      if (text === 'close') break;
    }
    return true;
  }

  #secure(): void {
    const { certificate } = this.#receiver.options;
    if (certificate === undefined) throw new Error('the receiver has no certificate');
    const raw = this.#socket;
    raw.removeAllListeners('data');
    const secureContext = tls.createSecureContext({ cert: certificate.certPem, key: certificate.keyPem });
    const secured = new tls.TLSSocket(raw, { isServer: true, secureContext });
    this.#receiver.watch(secured);
    this.#isSecured = true;
    this.#socket = secured;
    this.#listen(secured);
  }

  /** @returns What was said or done. */
  async #say(step: ReceiverStep, line: string, yes: string): Promise<string> {
    const text = this.#answer(step, line, yes);
    await this.#tell(text);
    return text;
  }

  #answer(step: ReceiverStep, line: string, yes: string): string {
    return this.#receiver.answer(step, line) ?? yes;
  }

  async #tell(text: string): Promise<void> {
    if (text === 'close') this.#socket.end();
    else if (text !== 'silence') await this.#write(Buffer.from(`${text}\r\n`));
  }

  async #write(octets: Buffer): Promise<void> {
    const { segment = octets.length } = this.#receiver.options;
    for (let at = 0; at < octets.length && !this.#socket.destroyed; at += segment) {
      await new Promise<void>((resolve) => this.#socket.write(octets.subarray(at, at + segment), () => resolve()));
      if (segment < octets.length) await nextTurn();
    }
  }
}

/** Undoes dot-stuffing over any cuts, by another way than the program: octet for octet where a line begins. */
class Content {
  readonly #hash: Hash = createHash('sha256');
  #size = 0;
  #kept = Buffer.alloc(0);
  /** A part of a line end or dot that the next octets decide on. */
  #open = Buffer.alloc(0);
  #isAtLineStart = true;

  /** @returns What follows the final dot, or undefined while that has not come. */
  take(octets: Buffer): Buffer | undefined {
    let rest = Buffer.concat([this.#open, octets]);
    this.#open = Buffer.alloc(0);
    for (;;) {
      if (this.#isAtLineStart && rest[0] === 0x2e) {
        if (rest.length < 3) return this.#wait(rest);
        if (rest[1] === 0x0d && rest[2] === 0x0a) return rest.subarray(3);
        rest = rest.subarray(1);
        this.#isAtLineStart = false;
        continue;
      }
      const next = rest.indexOf('\r\n.');
      if (next === -1) break;
      this.#add(rest.subarray(0, next + 2));
      rest = rest.subarray(next + 2);
      this.#isAtLineStart = true;
    }
    // The last two octets may be the beginning of a line end.
    const certain = rest.subarray(0, Math.max(0, rest.length - 2));
    if (certain.length > 0) this.#isAtLineStart = false;
    this.#add(certain);
    const tail = rest.subarray(certain.length);
    if (tail.equals(Buffer.from('\r\n'))) {
      this.#add(tail);
      this.#isAtLineStart = true;
      return undefined;
    }
    return this.#wait(tail);
  }

  result(): Pick<ReceivedMail, 'digest' | 'size' | 'octets'> {
    return { digest: this.#hash.copy().digest('hex'), size: this.#size, octets: this.#kept };
  }

  #wait(octets: Buffer): undefined {
    this.#open = Buffer.from(octets);
    return undefined;
  }

  #add(octets: Buffer): void {
    this.#hash.update(octets);
    this.#size += octets.length;
    if (this.#kept.length < KEPT) this.#kept = Buffer.concat([this.#kept, octets.subarray(0, KEPT - this.#kept.length)]);
  }
}
