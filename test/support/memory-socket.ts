/**
 * A server's socket without a network: what the other end sends arrives in exactly the chunks it is cut into.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Duplex } from 'node:stream';

export class MemorySocket extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort = 50_000;
  readonly localAddress = '10.9.0.1';
  readonly localPort = 25;
  readonly readyState = 'open';
  /** Hears each write. */
  onWritten: (text: string) => void = () => undefined;
  #written = '';

  constructor(remoteAddress = '10.9.1.1') {
    super();
    this.remoteAddress = remoteAddress;
  }

  /** Everything the server has written. */
  get written(): string {
    return this.#written;
  }

  /** The same, for code that wants a socket of the network. */
  get asSocket(): Socket {
    return this as unknown as Socket;
  }

  /** Each chunk comes in a turn of its own. */
  async deliver(chunks: Iterable<Uint8Array>): Promise<void> {
    for (const chunk of chunks) {
      this.push(chunk);
      await nextTurn();
    }
  }

  setNoDelay(): this {
    return this;
  }

  destroySoon(): void {
    this.destroy();
  }

  override _read(): void {
    // What comes is pushed.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const text = chunk.toString('latin1');
    this.#written += text;
    done();
    this.onWritten(text);
  }
}
