/**
 * A load of SMTP submissions, far cheaper than what is measured: raw sockets, one message after another on each of so many connections, commands waiting for
 * their replies as most applications do; the content is made once, and each message carries a number of its own in its Message-ID.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  /** No message begins later than this. */
  readonly milliseconds: number;
  /** All in all, where that comes first. */
  readonly messages?: number;
  /** Octets of each message. */
  readonly octets: number;
  /** False: a new connection for each message, closed with QUIT. */
  readonly keepsConnection: boolean;
  readonly from: string;
  readonly to: string;
  /** Whether the application does itself what a proxy is there for: STARTTLS and XOAUTH2, or only the latter where `port` brings TLS. */
  readonly signsIn?: 'starttls' | 'as-it-is' | undefined;
  /** Refusals are part of what is measured: the message is tried again at once. */
  readonly mayBeRefused?: boolean;
}

/** The numbers of a load: all of them from `from` up to but not including `to`. */
export interface Ids {
  readonly from: number;
  readonly to: number;
  readonly acknowledged: readonly number[];
}

export interface LoadOutcome extends Ids {
  readonly seconds: number;
  /** Of each message, connection and greeting included where each has its own, QUIT not; milliseconds, ascending. */
  readonly waits: readonly number[];
  /** Replies that were not the ones expected. */
  readonly refusals: readonly string[];
}

let nextId = 1;
const XOAUTH2 = Buffer.from(`user=bench@bench.test\u0001auth=Bearer ${'bench'.repeat(400)}\u0001\u0001`).toString('base64');

/** Runs until the time is over and every message under way has its answer. @throws Error where a message was refused, unless it may be. */
export async function runLoad(options: LoadOptions): Promise<LoadOutcome> {
  const body = bodyOf(options);
  const from = nextId;
  const last = from + (options.messages ?? Number.POSITIVE_INFINITY);
  const acknowledged: number[] = [];
  const waits: number[] = [];
  const refusals: string[] = [];
  const began = performance.now();
  const end = began + options.milliseconds;
  const work = async (): Promise<void> => {
    let session: Session | undefined;
    while (performance.now() < end && nextId < last) {
      const id = nextId++;
      const start = performance.now();
      try {
        session ??= await Session.open(options);
        await session.send(options, headerOf(options, id), body);
        waits.push(performance.now() - start);
        acknowledged.push(id);
        if (!options.keepsConnection) {
          await session.quit();
          session = undefined;
        }
      } catch (error) {
        refusals.push(error instanceof Error ? error.message : String(error));
        session?.destroy();
        session = undefined;
      }
    }
    await session?.quit();
  };
  await Promise.all(Array.from({ length: options.connections }, work));
  const seconds = (performance.now() - began) / 1000;
  waits.sort((one, other) => one - other);
  if (refusals.length > 0 && options.mayBeRefused !== true)
    throw new Error(`${refusals.length} messages were refused, ${acknowledged.length} were not: ${refusals[0]}`);
  return { from, to: nextId, acknowledged, seconds, waits, refusals };
}

const headerOf = ({ from, to }: LoadOptions, id: number): string =>
  `Message-ID: <bench-${id}@bench.test>\r\nFrom: <${from}>\r\nTo: <${to}>\r\nSubject: load\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n`;

function bodyOf(options: LoadOptions): Buffer {
  const line = `${'An ordinary line of text. '.repeat(3).slice(0, 76)}\r\n`;
  const rest = options.octets - headerOf(options, 1_000_000).length;
  return Buffer.from(`${line.repeat(Math.max(1, Math.ceil(rest / line.length)))}.\r\n`);
}

/** One connection. */
class Session {
  #socket: Socket;
  #received = '';
  #settle: { resolve: (reply: string) => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#attach(socket);
  }

  #attach(socket: Socket): void {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', this.#read);
    const fail = (error: Error): void => {
      this.#failure ??= error;
      this.#settle?.reject(error);
    };
    socket.on('error', fail).on('close', () => fail(new Error('the connection was closed')));
  }

  static async open({ port, signsIn }: LoadOptions): Promise<Session> {
    const host = '127.0.0.1';
    const session = new Session(connect({ port, host }));
    await session.#expect('220');
    await session.#ask('EHLO bench.test\r\n', '250');
    if (signsIn === 'starttls') {
      await session.#ask('STARTTLS\r\n', '220');
      await session.#secure();
      await session.#ask('EHLO bench.test\r\n', '250');
    }
    if (signsIn !== undefined) await session.#ask(`AUTH XOAUTH2 ${XOAUTH2}\r\n`, '235');
    return session;
  }

  /** The certificate is nobody's business here: what is measured verifies it. */
  async #secure(): Promise<void> {
    const socket = this.#socket;
    socket.removeAllListeners('data').removeAllListeners('close');
    const secured = connectTls({ socket, rejectUnauthorized: false });
    await new Promise<void>((resolve, reject) => void secured.once('secureConnect', resolve).once('error', reject));
    this.#attach(secured);
  }

  async send({ from, to }: LoadOptions, header: string, body: Buffer): Promise<void> {
    await this.#ask(`MAIL FROM:<${from}>\r\n`, '250');
    await this.#ask(`RCPT TO:<${to}>\r\n`, '250');
    await this.#ask('DATA\r\n', '354');
    this.#socket.cork();
    this.#socket.write(header, 'latin1');
    const answer = this.#ask(body, '250');
    this.#socket.uncork();
    await answer;
  }

  async quit(): Promise<void> {
    await this.#ask('QUIT\r\n', '221');
    this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #ask(octets: string | Buffer, code: string): Promise<void> {
    if (typeof octets === 'string') this.#socket.write(octets, 'latin1');
    else this.#socket.write(octets);
    await this.#expect(code);
  }

  async #expect(code: string): Promise<void> {
    const reply = await new Promise<string>((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#settle = { resolve, reject };
      this.#look();
    });
    if (!reply.startsWith(code)) throw new Error(reply.trim());
  }

  readonly #read = (chunk: Buffer): void => {
    this.#received += chunk.toString('latin1');
    this.#look();
  };

  /** Replies come one at a time, since commands go one at a time: a whole one is everything up to a line whose code is followed by a space. */
  #look(): void {
    const text = this.#received;
    if (this.#settle === undefined || text.charCodeAt(text.length - 1) !== 0x0a) return;
    const start = text.lastIndexOf('\n', text.length - 2) + 1;
    if (text.charCodeAt(start + 3) === 0x2d) return;
    this.#received = '';
    const { resolve } = this.#settle;
    this.#settle = undefined;
    resolve(text);
  }
}
