/**
 * A client's end of an SMTP connection for tests that need to do more than a dialogue file can say.
 *
 * @packageDocumentation
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';

export class SmtpTalk {
  readonly socket: Socket;
  #received = '';
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.toString('latin1');
      this.#wake();
    });
    const close = (): void => {
      this.#isClosed = true;
      this.#wake();
    };
    socket.on('end', close).on('close', close).on('error', close);
  }

  static plain(port: number, options: { readonly allowHalfOpen?: boolean; readonly localAddress?: string } = {}): SmtpTalk {
    return new SmtpTalk(connectTcp({ host: '127.0.0.1', port, ...options }));
  }

  static tls(port: number, ca: string): SmtpTalk {
    return new SmtpTalk(connectTls({ host: '127.0.0.1', port, ca, servername: 'relay.test' }));
  }

  /** Everything received and not yet read. */
  get unread(): string {
    return this.#received;
  }

  send(text: string): void {
    this.socket.write(text);
  }

  /** The next reply, all lines of it, without the last line end; `closed` where the connection ends before. */
  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(this.#received);
      if (match !== null) {
        this.#received = this.#received.slice(match[0].length);
        return match[0].trimEnd();
      }
      if (this.#isClosed) return 'closed';
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Send a command and read its reply. */
  ask(command: string): Promise<string> {
    this.send(`${command}\r\n`);
    return this.reply();
  }

  /** Resolves when the server has closed its side. */
  async closed(): Promise<void> {
    while (!this.#isClosed) await new Promise<void>((resolve) => (this.#wake = resolve));
  }

  /** STARTTLS has been answered: the same talk goes on encrypted. */
  async upgrade(ca: string): Promise<SmtpTalk> {
    this.socket.removeAllListeners('data');
    const secure: TLSSocket = connectTls({ socket: this.socket, ca, servername: 'relay.test' });
    await new Promise<void>((resolve, reject) => secure.once('secureConnect', resolve).once('error', reject));
    return new SmtpTalk(secure);
  }

  destroy(): void {
    this.socket.destroy();
  }
}
