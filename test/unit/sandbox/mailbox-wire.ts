/**
 * An IMAP or POP3 client that does exactly what a test says, and a mailbox to try it on.
 *
 * @packageDocumentation
 */
import { connect, type TLSSocket } from 'node:tls';
import type { Sandbox } from '../../../src/sandbox/sandbox.ts';
import { xoauth2 } from './wire.ts';

/** The mailbox of most tests. */
export const MAILBOX = 'billing@sandbox.test';

export class MailboxWire {
  readonly #socket: TLSSocket;
  #received = '';
  #isClosed = false;
  #wake: () => void = () => undefined;
  #tag = 0;

  private constructor(sandbox: Sandbox, protocol: 'imap' | 'pop3') {
    this.#socket = connect({ ...sandbox[protocol], ca: sandbox.caPem });
    this.#socket.setEncoding('latin1');
    this.#socket.on('data', (text: string) => {
      this.#received += text;
      this.#wake();
    });
    for (const event of ['close', 'error']) {
      this.#socket.on(event, () => {
        this.#isClosed = true;
        this.#wake();
      });
    }
  }

  static open(sandbox: Sandbox, protocol: 'imap' | 'pop3'): MailboxWire {
    return new MailboxWire(sandbox, protocol);
  }

  /** Greeted and signed in. */
  static async signedIn(sandbox: Sandbox, protocol: 'imap' | 'pop3', token = sandbox.mint.accessToken(MAILBOX)): Promise<MailboxWire> {
    const wire = MailboxWire.open(sandbox, protocol);
    await wire.until(/\r\n/);
    if (protocol === 'imap') await wire.command(`AUTHENTICATE XOAUTH2 ${xoauth2(MAILBOX, token)}`);
    else {
      wire.send('AUTH XOAUTH2\r\n');
      await wire.until(/\+ \r\n/);
      wire.send(`${xoauth2(MAILBOX, token)}\r\n`);
      await wire.until(/\r\n/);
    }
    return wire;
  }

  send(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  /** All up to the end of the match, taken off what was received. Throws where the server closes before. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.#received);
      if (match !== null) {
        const end = match.index + match[0].length;
        const text = this.#received.slice(0, end);
        this.#received = this.#received.slice(end);
        return text;
      }
      if (this.#isClosed) throw new Error(`closed before ${pattern.source}: ${this.#received}`);
      await this.#change();
    }
  }

  /** An IMAP command. Returns its untagged lines and the tagged one, the tag shown as `T`. */
  async command(text: string): Promise<string> {
    this.#tag += 1;
    const tag = `t${this.#tag}`;
    this.send(`${tag} ${text}\r\n`);
    return (await this.until(new RegExp(`(?:^|\r\n)${tag} [^\r]*\r\n`))).replace(new RegExp(`(^|\r\n)${tag} (?=[^\r]*\r\n$)`), '$1T ');
  }

  /** What is still to come until the server closes. */
  async rest(): Promise<string> {
    while (!this.#isClosed) await this.#change();
    return this.#received;
  }

  close(): void {
    this.#socket.destroy();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
