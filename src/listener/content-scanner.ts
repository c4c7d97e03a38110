/**
 * Finds the end of content and undoes dot-stuffing, however the octets are cut.
 *
 * Only `CRLF . CRLF` ends content (RFC 5321 §4.1.1.4): anything more lenient would let a second message be smuggled in. Of two dots at the start of a line one is
 * taken away (§4.5.2), behind a bare LF too, since an application that ends lines so stuffs them so. A single dot before other octets is content, as some forget to stuff it.
 *
 * Pure. What is given out is the octets that came, not a copy; at most two are held back, where they may be part of the end.
 *
 * @packageDocumentation
 */

/** What the octets so far ended in: `line-start` is behind CRLF or nothing, `bare-line-start` behind a bare LF. */
type Position = 'in-line' | 'after-cr' | 'line-start' | 'bare-line-start';

/** What a chunk of the connection brought. */
export interface Scanned {
  /** Octets of content, in order; none of them empty. */
  readonly pieces: readonly Buffer[];
  /** What follows the end; undefined where the end has not come. */
  readonly rest: Buffer | undefined;
}

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const NOTHING = Buffer.alloc(0);

export class ContentScanner {
  #position: Position = 'line-start';
  /** A dot at the start of a line, and perhaps CR behind it: `#position` is that before the dot. */
  #held: Buffer = NOTHING;

  /** @param chunk - Not empty, and not changed afterwards. */
  push(chunk: Buffer): Scanned {
    if (this.#held.length === 0) return this.#scan(chunk);
    const whole = Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    return this.#scan(whole);
  }

  #scan(octets: Buffer): Scanned {
    const pieces: Buffer[] = [];
    const add = (start: number, end: number): void => void (end > start && pieces.push(octets.subarray(start, end)));
    let start = 0;
    for (let dot = this.#firstDot(octets); dot !== -1; dot = dotBehind(octets, dot)) {
      const position = this.#positionAt(octets, dot);
      const [second, third] = [octets[dot + 1], octets[dot + 2]];
      const mayEnd = position === 'line-start' && second === CR;
      if (mayEnd && third === LF) {
        add(start, dot);
        return { pieces, rest: octets.subarray(dot + 3) };
      }
      if (second === undefined || (mayEnd && third === undefined)) {
        add(start, dot);
        this.#held = octets.subarray(dot);
        this.#position = position;
        return { pieces, rest: undefined };
      }
      if (second !== DOT) continue;
      add(start, dot);
      start = dot + 1;
    }
    add(start, octets.length);
    this.#position = this.#positionAt(octets, octets.length);
    return { pieces, rest: undefined };
  }

  #firstDot(octets: Buffer): number {
    const isAtLineStart = this.#position === 'line-start' || this.#position === 'bare-line-start';
    return isAtLineStart && octets[0] === DOT ? 0 : dotBehind(octets, 0);
  }

  /** Before the octet at `at`. */
  #positionAt(octets: Buffer, at: number): Position {
    if (at === 0) return this.#position;
    const last = octets[at - 1];
    if (last === CR) return 'after-cr';
    if (last !== LF) return 'in-line';
    const isBehindCr = at === 1 ? this.#position === 'after-cr' : octets[at - 2] === CR;
    return isBehindCr ? 'line-start' : 'bare-line-start';
  }
}

/** The next dot at the start of a line; -1 where there is none. One native search: most content has none at all. */
function dotBehind(octets: Buffer, from: number): number {
  const lineFeed = octets.indexOf('\n.', from, 'latin1');
  return lineFeed === -1 ? -1 : lineFeed + 1;
}
