/**
 * Content in wire form: what stands between the reply 354 and the final dot.
 *
 * Every line ends in CRLF, bare CR and bare LF having become CRLF each ({@link ./line-ends.ts}); a dot at the start of a line is doubled; the
 * last line ends in CRLF. So neither `CRLF . CRLF` nor any of its sloppy relatives can occur in it, and a second message cannot be
 * smuggled to an upstream that is more lenient than we are. All other octets, NUL and 8 bit among them, and the length of
 * lines stay as they are. Content is encoded once, at acceptance, and kept like that.
 *
 * Pure. A chunk that already is in wire form is passed on uncopied, so it must not be changed afterwards by whoever produced it.
 *
 * Source: RFC 5321 §4.5.2 (transparency), §2.3.8 (line ends), §4.1.1.4 (final dot).
 *
 * @packageDocumentation
 */
import { CARRIAGE_RETURN, DOT, findLineEnd, LINE_FEED, skipLineEnd } from './line-ends.ts';

/** What the octets so far ended in. `after-cr`: a CR has been put out, its LF has not. */
type Position = 'line-start' | 'in-line' | 'after-cr';

/** Largest part that is looked at, and if need be rewritten, at a time. Bounds what a rewrite holds to twice as much. */
const WINDOW = 65_536;

const ONLY_LF = Uint8Array.of(LINE_FEED);
const ONLY_CRLF = Uint8Array.of(CARRIAGE_RETURN, LINE_FEED);

/** Turns content, already unstuffed and cut anywhere, into wire form. The result does not depend on where the cuts are. */
export class WireFormEncoder {
  #position: Position = 'line-start';

  /** @returns What can be sent now; a CR at the end of `chunk` is sent at once, its LF with the next call. */
  push(chunk: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    for (let start = 0; start < chunk.length; start += WINDOW) {
      this.#encode(chunk.length <= WINDOW ? chunk : chunk.subarray(start, start + WINDOW), pieces);
    }
    return pieces;
  }

  /** End the last line. Content without any octet stays empty: the final dot then follows DATA's own CRLF (RFC 5321 §4.1.1.4). */
  finish(): Uint8Array[] {
    const position = this.#position;
    this.#position = 'line-start';
    if (position === 'line-start') return [];
    return [position === 'after-cr' ? ONLY_LF : ONLY_CRLF];
  }

  #encode(part: Uint8Array, pieces: Uint8Array[]): void {
    if (this.#position === 'after-cr' && part[0] !== LINE_FEED) {
      pieces.push(ONLY_LF);
      this.#position = 'line-start';
    }
    pieces.push(isInWireForm(part, this.#position) ? part : rewrite(part, this.#position));
    this.#position = positionAfter(part);
  }
}

function positionAfter(part: Uint8Array): Position {
  const last = part[part.length - 1];
  if (last === LINE_FEED) return 'line-start';
  return last === CARRIAGE_RETURN ? 'after-cr' : 'in-line';
}

/**
 * True where nothing in `part` has to change. Every LF must follow a CR and be followed by no dot; then the part holds a bare CR exactly if it
 * holds more CRs than LFs. Both searches are native and stop early: this runs over every octet relayed. With very short lines a rewrite,
 * which is right in any case, costs less than so many searches.
 */
function isInWireForm(part: Uint8Array, position: Position): boolean {
  if (part.length <= SHORT) return isShortInWireForm(part, position);
  if (position === 'line-start' && part[0] === DOT) return false;
  const octets = asBuffer(part);
  let missing = 0; // CRs that the LFs found call for
  const most = 64 + octets.length / 16;
  for (let at = octets.indexOf(LINE_FEED); at !== -1; at = octets.indexOf(LINE_FEED, at + 1)) {
    if (octets[at + 1] === DOT || missing > most) return false;
    if (at > 0) {
      if (octets[at - 1] !== CARRIAGE_RETURN) return false;
      missing += 1;
    } else if (position !== 'after-cr') return false;
  }
  if (octets[octets.length - 1] === CARRIAGE_RETURN) missing += 1; // its LF may be next
  for (let at = octets.indexOf(CARRIAGE_RETURN); at !== -1; at = octets.indexOf(CARRIAGE_RETURN, at + 1)) missing -= 1;
  return missing === 0;
}

/** Up to here a search costs more to begin than to do. */
const SHORT = 4_096;

/** The same octet by octet. */
function isShortInWireForm(part: Uint8Array, position: Position): boolean {
  let before = OCTET_BEFORE[position];
  for (let at = 0; at < part.length; at += 1) {
    const octet = part[at] ?? 0;
    if ((before === CARRIAGE_RETURN) !== (octet === LINE_FEED)) return false;
    if (before === LINE_FEED && octet === DOT) return false;
    before = octet;
  }
  return true; // A CR at the end may get its LF yet.
}

const OCTET_BEFORE: Readonly<Record<Position, number>> = { 'line-start': LINE_FEED, 'in-line': 0, 'after-cr': CARRIAGE_RETURN };

/**
 * The part with every line end made CRLF and every leading dot doubled. A CR at its very end stays alone, as in {@link WireFormEncoder.push}.
 *
 * @param position - Where `after-cr`, the part begins with the LF that is owed.
 */
function rewrite(part: Uint8Array, position: Position): Uint8Array {
  const output = Buffer.allocUnsafe(part.length * 2); // no octet becomes more than two
  let length = 0;
  let at = 0;
  if (position === 'after-cr') output[length++] = part[at++] ?? LINE_FEED;
  let isAtLineStart = position !== 'in-line';
  while (at < part.length) {
    if (isAtLineStart && part[at] === DOT) output[length++] = DOT;
    const end = findLineEnd(part, at, part.length);
    while (at < end) output[length++] = part[at++] ?? 0; // quicker than a native copy for lines of usual length
    if (end === part.length) break;
    output[length++] = CARRIAGE_RETURN;
    const next = skipLineEnd(part, end, part.length, false);
    if (next === undefined) break;
    output[length++] = LINE_FEED;
    at = next;
    isAtLineStart = true;
  }
  return output.subarray(0, length);
}

/** The same octets as a Buffer, for its native search. */
function asBuffer(octets: Uint8Array): Buffer {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
}

/** The whole of it at once. */
export function inWireForm(chunks: readonly Uint8Array[]): Uint8Array {
  const encoder = new WireFormEncoder();
  const pieces = encoder.push(Buffer.concat(chunks));
  pieces.push(...encoder.finish());
  const [only] = pieces;
  return only !== undefined && pieces.length === 1 ? only : Buffer.concat(pieces);
}

/** Encode a stream. Backpressure and errors of `source` pass through. */
export async function* toWireForm(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new WireFormEncoder();
  for await (const chunk of source) yield* encoder.push(chunk);
  yield* encoder.finish();
}

/**
 * Undo the dot-stuffing of content in wire form, cut anywhere (RFC 5321 §4.5.2). Line ends stay CRLF.
 *
 * Not for octets from a socket: it relies on every LF being a line end, which only {@link WireFormEncoder} guarantees.
 */
export async function* fromWireForm(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let isAtLineStart = true;
  for await (const chunk of source) {
    if (chunk.length === 0) continue;
    yield* unstuff(asBuffer(chunk), isAtLineStart);
    isAtLineStart = chunk[chunk.length - 1] === LINE_FEED;
  }
}

function* unstuff(chunk: Buffer, isAtLineStart: boolean): Generator<Uint8Array, void, undefined> {
  let start = isAtLineStart && chunk[0] === DOT ? 1 : 0;
  for (let at = chunk.indexOf('\n.'); at !== -1; at = chunk.indexOf('\n.', at + 2)) {
    yield chunk.subarray(start, at + 1);
    start = at + 2;
  }
  if (start < chunk.length) yield chunk.subarray(start);
}
