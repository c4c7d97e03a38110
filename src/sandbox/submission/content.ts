/**
 * Taking in the content of one message: octets, whether line ends are proper, and faults that strike in the middle.
 *
 * @packageDocumentation
 */
import type { Readable } from 'node:stream';

/** What came between 354 and the dot, dots unstuffed. */
export interface ReceivedContent {
  /** Undefined where it was too large to keep. */
  readonly octets: Buffer | undefined;
  readonly size: number;
  /** A bare CR or LF (RFC 5321 §2.3.8 allows neither). */
  readonly hasBareLineEnds: boolean;
}

const CR = 0x0d;
const LF = 0x0a;

/**
 * Read to the end.
 *
 * @param onOctets - Called after each chunk with what has come so far; a promise holds the sender back.
 * @throws Where the connection is lost before the dot.
 */
export async function receiveContent(
  stream: Readable,
  maxSize: number,
  onOctets: (size: number) => Promise<void>,
): Promise<ReceivedContent> {
  const chunks: Buffer[] = [];
  const lines = new LineEnds();
  let size = 0;
  for await (const chunk of stream) {
    const octets = chunk as Buffer;
    size += octets.length;
    lines.add(octets);
    if (size <= maxSize) chunks.push(octets);
    else chunks.length = 0;
    await onOctets(size);
  }
  return { octets: size <= maxSize ? Buffer.concat(chunks) : undefined, size, hasBareLineEnds: lines.hasBare() };
}

/** Finds CR without LF and LF without CR, across chunks. */
class LineEnds {
  #isBare = false;
  #endsInCr = false;

  add(octets: Buffer): void {
    if (this.#isBare || octets.length === 0) return;
    if (this.#endsInCr !== (octets[0] === LF)) this.#isBare = true;
    const first = this.#endsInCr ? 1 : 0;
    for (let at = octets.indexOf(LF, first); at !== -1; at = octets.indexOf(LF, at + 1)) {
      if (octets[at - 1] !== CR) this.#isBare = true;
    }
    for (let at = octets.indexOf(CR); at !== -1 && at < octets.length - 1; at = octets.indexOf(CR, at + 1)) {
      if (octets[at + 1] !== LF) this.#isBare = true;
    }
    this.#endsInCr = octets.at(-1) === CR;
  }

  hasBare(): boolean {
    return this.#isBare || this.#endsInCr;
  }
}
