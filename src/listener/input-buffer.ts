/**
 * What a client has sent and nobody has taken yet, and the lines in it.
 *
 * Lines end in LF, with or without CR before it: devices send both.
 *
 * @packageDocumentation
 */

const CR = 0x0d;
const LF = 0x0a;
const NOTHING = Buffer.alloc(0);

export class InputBuffer {
  #octets: Buffer = NOTHING;
  /** Up to here there is no LF: a line that comes octet by octet is not searched again and again. */
  #searched = 0;

  get length(): number {
    return this.#octets.length;
  }

  /** @param octets - Not changed afterwards. */
  push(octets: Buffer): void {
    this.#octets = this.#octets.length === 0 ? octets : Buffer.concat([this.#octets, octets]);
  }

  /**
   * The next line, without its end.
   *
   * @param longest - Octets; what is longer than this is `too-long`, be its end there or not.
   * @returns Undefined where none is whole.
   */
  takeLine(longest: number): Buffer | 'too-long' | undefined {
    const end = this.#octets.indexOf(LF, this.#searched);
    if (end === -1) {
      this.#searched = this.#octets.length;
      return this.#octets.length > longest ? 'too-long' : undefined;
    }
    const line = this.#octets.subarray(0, this.#octets[end - 1] === CR ? end - 1 : end);
    if (line.length > longest) return 'too-long';
    this.#octets = this.#octets.subarray(end + 1);
    this.#searched = 0;
    return line;
  }

  /** All of it. */
  takeAll(): Buffer {
    const octets = this.#octets;
    this.#octets = NOTHING;
    this.#searched = 0;
    return octets;
  }
}
