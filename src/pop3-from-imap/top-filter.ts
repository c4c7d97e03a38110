/**
 * Of a message, cut anywhere: its header section, the empty line, and the first lines of its body.
 *
 * Pure. A line ends in LF, with or without a CR.
 *
 * Source: RFC 1939 §7 (TOP).
 *
 * @packageDocumentation
 */

const LF = 0x0a;
const CR = 0x0d;

export class TopFilter {
  #left: number;
  #isInBody = false;
  /** Only line ends since the last LF. */
  #isEmptyLine = true;
  isDone = false;

  /** @param lines - Of the body. */
  constructor(lines: number) {
    this.#left = lines;
  }

  /** @returns What of `octets` belongs to it. Empty once {@link isDone}. */
  push(octets: Buffer): Buffer {
    if (this.isDone) return octets.subarray(0, 0);
    for (let at = 0; at < octets.length; ) {
      const end = octets.indexOf(LF, at);
      this.#isEmptyLine &&= isBlank(octets.subarray(at, end === -1 ? octets.length : end));
      if (end === -1) return octets;
      at = end + 1;
      if (this.#endLine()) return octets.subarray(0, at);
    }
    return octets;
  }

  /** @returns True where nothing after the line belongs to it. */
  #endLine(): boolean {
    if (this.#isInBody) this.#left -= 1;
    else if (this.#isEmptyLine) this.#isInBody = true;
    this.#isEmptyLine = true;
    this.isDone = this.#isInBody && this.#left <= 0;
    return this.isDone;
  }
}

const isBlank = (line: Buffer): boolean => line.length === 0 || (line.length === 1 && line[0] === CR);
