/**
 * A submission client that does exactly what a test says, octet by octet, and a sandbox to try it on.
 *
 * @packageDocumentation
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { systemRandom } from '../../../src/platform/system-random.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../../src/sandbox/sandbox.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';

/** A sandbox with the clock and the log it uses. */
export interface TestSandbox {
  readonly sandbox: Sandbox;
  readonly clock: FakeClock;
  readonly log: MemoryLog;
}

export async function openSandbox(options: Partial<SandboxOptions> = {}): Promise<TestSandbox> {
  const clock = new FakeClock();
  const log = new MemoryLog();
  const sandbox = await startSandbox({ ports: { http: 0, smtp: 0 }, clock, random: systemRandom, log, ...options });
  return { sandbox, clock, log };
}

/** The response of XOAUTH2, base64. */
export function xoauth2(user: string, token: string): string {
  return Buffer.from(`user=${user}\u0001auth=Bearer ${token}\u0001\u0001`).toString('base64');
}

/** A connection that is read reply by reply. */
export class Wire {
  #socket: Socket | TLSSocket;
  #received = '';
  #isClosed = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen();
  }

  static async open(port: number): Promise<Wire> {
    const socket = connect({ port, host: '127.0.0.1' });
    const wire = new Wire(socket);
    await once(socket, 'connect');
    return wire;
  }

  /** Connected, greeted, encrypted, EHLO said again. */
  static async secured(sandbox: Sandbox): Promise<Wire> {
    const wire = await Wire.open(sandbox.smtp.port);
    await wire.reply();
    await wire.command('EHLO client.test');
    await wire.command('STARTTLS');
    await wire.secure(sandbox.caPem);
    await wire.command('EHLO client.test');
    return wire;
  }

  /** As {@link secured}, then signed in with a new token. */
  static async signedIn(sandbox: Sandbox, user: string = sandbox.mailboxes[0]): Promise<Wire> {
    const wire = await Wire.secured(sandbox);
    const answer = await wire.command(`AUTH XOAUTH2 ${xoauth2(user, sandbox.mint.accessToken(user))}`);
    if (!answer.startsWith('235')) throw new Error(`not signed in: ${answer}`);
    return wire;
  }

  /** Write without a line end and without waiting. */
  write(octets: string | Buffer): void {
    this.#socket.write(octets);
  }

  async command(line: string): Promise<string> {
    this.write(`${line}\r\n`);
    return this.reply();
  }

  /** The next whole reply; lines are joined by line feeds. `closed` where the server left instead. */
  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\r\n/.exec(this.#received);
      if (match !== null) {
        this.#received = this.#received.slice(match[0].length);
        return match[0].trimEnd().replaceAll('\r\n', '\n');
      }
      if (this.#isClosed) return 'closed';
      await this.#change();
    }
  }

  /** Resolves once the server has closed the connection; returns what it sent before. */
  async closed(): Promise<string> {
    while (!this.#isClosed) await this.#change();
    return this.#received;
  }

  /** What has arrived and was not read. */
  get pending(): string {
    return this.#received;
  }

  async secure(ca: string, servername = 'localhost'): Promise<TLSSocket> {
    this.#socket.removeAllListeners();
    const secured = connectTls({ socket: this.#socket, ca, servername });
    this.#socket = secured;
    this.#listen();
    await once(secured, 'secureConnect');
    return secured;
  }

  /** A whole message; the last reply. */
  async submit(
    content = 'Subject: a\r\n\r\nb\r\n',
    { from = 'relay@sandbox.test', to = ['you@example.com'] }: { from?: string; to?: readonly string[] } = {},
  ): Promise<string> {
    for (const line of [`MAIL FROM:<${from}>`, ...to.map((address) => `RCPT TO:<${address}>`), 'DATA']) {
      const answer = await this.command(line);
      if (!/^[23]/.test(answer)) return answer;
    }
    this.write(content);
    return this.command('.');
  }

  close(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (octets: Buffer) => {
      this.#received += octets.toString('latin1');
      this.#wake();
    });
    this.#socket.on('error', () => undefined); // The close that follows is what tests look at.
    this.#socket.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
    this.#socket.on('end', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
