/**
 * A load of SMTP submissions, far cheaper than what is measured: raw sockets, one message after another on each of so many connections, the content made
 * once. Every acknowledged message is counted, and every other answer is kept.
 */
import { connect, type Socket } from 'node:net';

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly milliseconds: number;
  /** Octets of each message. */
  readonly octets: number;
  /** False: a new connection for each message, closed with QUIT. */
  readonly keepsConnection: boolean;
  readonly from: string;
  readonly to: string;
}

export interface LoadOutcome {
  readonly acknowledged: number;
  readonly seconds: number;
  /** Of a message, connection included where each has its own; milliseconds. */
  readonly medianWait: number;
  /** Replies that were not the ones expected. */
  readonly refusals: readonly string[];
}

/** Runs until the time is over and every message under way has its answer. */
export async function runLoad(options: LoadOptions): Promise<LoadOutcome> {
  const content = contentOf(options);
  const waits: number[] = [];
  const refusals: string[] = [];
  const end = performance.now() + options.milliseconds;
  const work = async (): Promise<void> => {
    let session: Session | undefined;
    while (performance.now() < end) {
      const began = performance.now();
      try {
        session ??= await Session.open(options.port);
        await session.send(options, content);
        waits.push(performance.now() - began);
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
  const began = performance.now();
  await Promise.all(Array.from({ length: options.connections }, work));
  const seconds = (performance.now() - began) / 1000;
  waits.sort((one, other) => one - other);
  return { acknowledged: waits.length, seconds, medianWait: waits[waits.length >> 1] ?? Number.NaN, refusals };
}

function contentOf({ from, to, octets }: LoadOptions): Buffer {
  const header = `From: <${from}>\r\nTo: <${to}>\r\nSubject: load\r\nMessage-ID: <load@bench.test>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n`;
  const line = 'An ordinary line of text.\r\n';
  return Buffer.from(`${header}${line.repeat(Math.max(1, Math.ceil((octets - header.length) / line.length)))}.\r\n`);
}

/** One connection; commands wait for their replies, as most applications do. */
class Session {
  readonly #socket: Socket;
  #received = '';
  #settle: { resolve: (reply: string) => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.#received += text;
      this.#look();
    });
    const fail = (error: Error): void => {
      this.#failure = error;
      this.#settle?.reject(error);
    };
    socket.on('error', fail).on('close', () => fail(new Error('the connection was closed')));
  }

  static async open(port: number): Promise<Session> {
    const session = new Session(connect(port, '127.0.0.1'));
    await session.#expect('220');
    await session.#ask('EHLO bench.test\r\n', '250');
    return session;
  }

  async send({ from, to }: LoadOptions, content: Buffer): Promise<void> {
    await this.#ask(`MAIL FROM:<${from}>\r\n`, '250');
    await this.#ask(`RCPT TO:<${to}>\r\n`, '250');
    await this.#ask('DATA\r\n', '354');
    await this.#ask(content, '250');
  }

  async quit(): Promise<void> {
    await this.#ask('QUIT\r\n', '221');
    this.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #ask(octets: string | Buffer, code: string): Promise<void> {
    this.#socket.write(octets);
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

  #look(): void {
    const reply = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\n/.exec(this.#received)?.[0];
    if (reply === undefined || this.#settle === undefined) return;
    this.#received = this.#received.slice(reply.length);
    const { resolve } = this.#settle;
    this.#settle = undefined;
    resolve(reply);
  }
}
