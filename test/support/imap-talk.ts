/**
 * A client's end of an IMAP connection: commands in, tagged replies out, and whether it is still alive.
 *
 * @packageDocumentation
 */
import { connect, type Socket } from 'node:net';

export class ImapTalk {
  readonly #socket: Socket;
  #received = '';
  #isClosed = false;
  #tags = 0;
  readonly #waiting = new Set<() => void>();

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    const wake = (): void => {
      for (const waiting of this.#waiting) waiting();
    };
    this.#socket.on('data', (octets: Buffer) => {
      this.#received += octets.toString('latin1');
      wake();
    });
    const close = (): void => {
      this.#isClosed = true;
      wake();
    };
    this.#socket.on('end', close).on('close', close).on('error', close);
  }

  /** All that was received and not yet read. */
  get unread(): string {
    return this.#received;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Everything up to and including the first line that matches. `closed`, and what there was, where the connection ends before. */
  async until(line: RegExp): Promise<string> {
    for (;;) {
      const whole = this.#received.slice(0, this.#received.lastIndexOf('\r\n') + 2);
      const lines = whole.split('\r\n');
      const index = lines.findIndex((each) => line.test(each));
      if (index >= 0) {
        const text = lines.slice(0, index + 1).join('\r\n');
        this.#received = this.#received.slice(text.length + 2);
        return text;
      }
      if (this.#isClosed) return `closed ${this.#received}`;
      await new Promise<void>((resolve) => {
        const waiting = (): void => {
          this.#waiting.delete(waiting);
          resolve();
        };
        this.#waiting.add(waiting);
      });
    }
  }

  /** A command and all that comes up to its tagged reply. */
  ask(command: string): Promise<string> {
    this.#tags += 1;
    const tag = `t${this.#tags}`;
    this.send(`${tag} ${command}`);
    return this.until(new RegExp(`^${tag} `));
  }

  /** One line. */
  send(line: string): void {
    this.#socket.write(`${line}\r\n`);
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
