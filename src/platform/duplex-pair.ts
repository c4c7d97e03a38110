/**
 * Two ends of one connection within this process: what is written at one is read at the other, no faster than it is taken, and the end of one is seen at the
 * other.
 *
 * node:stream has had a pair of its own since 20.17, but there a side that is destroyed leaves the other waiting for ever.
 *
 * @packageDocumentation
 */
import { Duplex } from 'node:stream';

type Done = (error?: Error | null) => void;

class Side extends Duplex {
  other: Side | undefined;
  /** Of a chunk that the other side has not room for yet. */
  #blocked: Done | undefined;

  override _read(): void {
    this.other?.unblock();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    const { other } = this;
    if (other === undefined || other.destroyed || other.readableEnded) return done(new Error('the other side is closed'));
    if (other.push(chunk)) done();
    else this.#blocked = done;
  }

  override _final(done: Done): void {
    if (this.other?.destroyed === false) this.other.push(null);
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.unblock(error ?? undefined);
    // As on a network: whoever is at the other end reads what is there, then the end, and can write no more.
    const { other } = this;
    if (other !== undefined && !other.destroyed) setImmediate(() => other.destroy());
    done(error);
  }

  unblock(error?: Error): void {
    const done = this.#blocked;
    this.#blocked = undefined;
    done?.(error);
  }
}

/** The two ends. */
export function duplexPair(): readonly [Duplex, Duplex] {
  const [one, other] = [new Side(), new Side()];
  one.other = other;
  other.other = one;
  return [one, other];
}
