/**
 * The header section of a message: read from the front of its content, with a bound, and asked for fields by name.
 *
 * Reading takes no octet away: `raw` followed by `rest` is the content as it came. What belongs to the section is decided in
 * {@link ./header-scanner.ts}. Fields are looked up in the raw octets each time; a section is small, and an index of a hostile one is not.
 *
 * Pure.
 *
 * Source: RFC 5322 §2.2, §3.6; RFC 6532 (UTF-8 in header fields).
 *
 * @packageDocumentation
 */
import { areHere, type Chunks, type Octets } from '../core/octets.ts';
import { type Reply, reply } from '../core/reply.ts';
import { type HeaderEnding, HeaderScanner, type HeaderVerdict } from './header-scanner.ts';
import { COLON, findLineEnd, isWhiteSpace, NUL, skipLineEnd } from './line-ends.ts';

const LOWER_A = 0x61;
const LOWER_Z = 0x7a;
/** The bit that makes a letter of ASCII lower-case. */
const LOWER_CASE = 0x20;

/** Offsets of one field in the raw header section. */
interface FieldRange {
  readonly colon: number;
  /** Past the value, before its line end. */
  readonly end: number;
  /** Past its line end. */
  readonly next: number;
}

/** One field as it came. */
export interface RawField {
  /** Lower-case. Of the separator of an mbox file, something that is no name. */
  readonly name: string;
  /** All of it, with the line end that closes it, if there is one. */
  readonly raw: Uint8Array;
  /** What follows the colon, folded as it came, without the last line end. */
  readonly value: Uint8Array;
}

/** A header section as it came. */
export class HeaderSection {
  /** Every octet of it, unaltered, up to and including the empty line where there is one. */
  readonly raw: Uint8Array;
  readonly ending: HeaderEnding;
  /** The first line of `raw` is no field but the separator of an mbox file. */
  readonly hasMailboxLine: boolean;

  constructor(raw: Uint8Array, ending: HeaderEnding, hasMailboxLine: boolean) {
    this.raw = raw;
    this.ending = ending;
    this.hasMailboxLine = hasMailboxLine;
  }

  /** How many fields of that name there are; names compare without regard to case (RFC 5322 §1.2.2). */
  count(name: string): number {
    let count = 0;
    for (let field = this.#find(name, 0); field !== undefined; field = this.#find(name, field.next)) count += 1;
    return count;
  }

  has(name: string): boolean {
    return this.#find(name, 0) !== undefined;
  }

  /** The value of the first field of that name, as {@link values} gives it. */
  first(name: string): string | undefined {
    const field = this.#find(name, 0);
    return field === undefined ? undefined : this.#value(field);
  }

  /** The value of the first field of that name: what follows the colon, folded as it came, without the last line end. */
  firstRaw(name: string): Uint8Array | undefined {
    const field = this.#find(name, 0);
    return field === undefined ? undefined : this.raw.subarray(field.colon + 1, field.end);
  }

  /**
   * The values of all fields of that name, in order: unfolded (RFC 5322 §2.2.3) and without white space around them. Octets that are not UTF-8
   * become U+FFFD.
   */
  values(name: string): string[] {
    const values: string[] = [];
    for (let field = this.#find(name, 0); field !== undefined; field = this.#find(name, field.next)) values.push(this.#value(field));
    return values;
  }

  /** Every field in order. What is left of `raw` after the last one is the empty line, if there is one. */
  *fields(): Generator<RawField, undefined, undefined> {
    const { raw } = this;
    let start = 0;
    for (;;) {
      const field = fieldAt(raw, start, raw.indexOf(COLON, start));
      if (field === undefined) return undefined;
      const { colon, end, next } = field;
      const value = colon < end ? raw.subarray(colon + 1, end) : raw.subarray(end, end);
      yield { name: this.#name(start, colon), raw: raw.subarray(start, next), value };
      start = next;
    }
  }

  #value({ colon, end }: FieldRange): string {
    const text = Buffer.from(this.raw.buffer, this.raw.byteOffset + colon + 1, end - colon - 1).toString('utf8');
    return (LINE_ENDS.test(text) ? text.replaceAll(LINE_ENDS_ALL, '') : text).trim();
  }

  /** The first field of that name that begins at `from`, which is the start of a field, or later. */
  #find(name: string, from: number): FieldRange | undefined {
    const wanted = name.toLowerCase();
    let start = from; // An mbox separator is run through as if it were a field; with its spaces, no name asked for can equal it.
    for (;;) {
      const field = fieldAt(this.raw, start, colonBehind(this.raw, start, wanted));
      if (field === undefined || field.colon !== -1) return field;
      start = field.next;
    }
  }

  #name(start: number, colon: number): string {
    const text = Buffer.from(this.raw.buffer, this.raw.byteOffset + start, colon - start).toString('latin1');
    // Space and tab alone, as in look-ups: what else is blank to some can only stand in the separator of an mbox file, which must not become a name by that.
    return text.replace(/[ \t]+$/, '').toLowerCase();
  }
}

const LINE_ENDS = /[\r\n]/;
const LINE_ENDS_ALL = /[\r\n]+/g;

/**
 * The field that begins at `start`, with its colon as given.
 *
 * @returns Undefined at the empty line and at the end.
 */
function fieldAt(raw: Uint8Array, start: number, colon: number): FieldRange | undefined {
  let end = findLineEnd(raw, start, raw.length);
  if (end === start) return undefined;
  let next = nextLine(raw, end);
  while (isWhiteSpace(raw[next])) {
    end = findLineEnd(raw, next, raw.length);
    next = nextLine(raw, end);
  }
  return { colon, end, next };
}

/**
 * Index of the colon of the field that begins at `start`; -1 where its name is another one.
 *
 * Obsolete syntax allows white space between name and colon (RFC 5322 §4.5): a reader may take such a field for one, so we do.
 *
 * @param name - Lower-case.
 */
function colonBehind(raw: Uint8Array, start: number, name: string): number {
  for (let index = 0; index < name.length; index += 1) {
    const octet = raw[start + index] ?? NUL;
    const wanted = name.charCodeAt(index);
    const isLetter = wanted >= LOWER_A && wanted <= LOWER_Z;
    if ((isLetter ? octet | LOWER_CASE : octet) !== wanted) return -1;
  }
  let at = start + name.length;
  while (isWhiteSpace(raw[at])) at += 1;
  return raw[at] === COLON ? at : -1;
}

/** Start of the line after the one that `from` is in. */
function nextLine(raw: Uint8Array, from: number): number {
  const end = findLineEnd(raw, from, raw.length);
  return end === raw.length ? end : (skipLineEnd(raw, end, raw.length, true) ?? end);
}

/** Outcome of {@link readHeaderSection}; `rest` is the content that follows what was taken. */
export type HeaderReading<Rest extends Chunks = Chunks> =
  | { readonly kind: 'read'; readonly headers: HeaderSection; readonly rest: Rest }
  | { readonly kind: 'refused'; readonly reply: Reply; readonly rest: Rest };

/**
 * Read the header section from the front of content that is cut anywhere.
 *
 * Refused are a section larger than `limit` (552 5.3.4) and one that holds a NUL (554 5.6.0: RFC 5322 §4.1 forbids to send one, and readers
 * disagree on where a field with one ends). Content without header section is not refused: the section is empty then.
 *
 * Where `rest` comes chunk by chunk, each comes once: iterating it again, after leaving it early, goes on where that stopped. It never closes `source`.
 *
 * @param limit - Largest section, the empty line included. At most this, 1 KB, and one chunk are held.
 * @throws Whatever `source` throws.
 */
export async function readHeaderSection(
  source: AsyncIterable<Uint8Array>,
  limit: Octets,
): Promise<HeaderReading<AsyncIterable<Uint8Array>>>;
export async function readHeaderSection(source: Chunks, limit: Octets): Promise<HeaderReading>;
export async function readHeaderSection(source: Chunks, limit: Octets): Promise<HeaderReading> {
  const scanner = new HeaderScanner(limit);
  if (areHere(source)) return readFromFront(source, scanner);
  const iterator = source[Symbol.asyncIterator]();
  for (;;) {
    const next = await iterator.next();
    const verdict = next.done === true ? scanner.finish() : scanner.push(next.value);
    if (verdict !== undefined) return conclude(verdict, scanner.collected, (first) => new Remainder(first, iterator));
  }
}

function readFromFront(chunks: readonly Uint8Array[], scanner: HeaderScanner): HeaderReading {
  let count = 0;
  let verdict: HeaderVerdict | undefined;
  while (verdict === undefined && count < chunks.length) {
    verdict = scanner.push(chunks[count] ?? EMPTY);
    count += 1;
  }
  return conclude(verdict ?? scanner.finish(), scanner.collected, (first) => {
    const rest = chunks.slice(count);
    if (first.length > 0) rest.unshift(first);
    return rest;
  });
}

const EMPTY = new Uint8Array(0);

/** @param remainder - What follows the section, beginning with octets that were collected with it. */
function conclude(verdict: HeaderVerdict, collected: Uint8Array, remainder: (first: Uint8Array) => Chunks): HeaderReading {
  if (verdict.kind !== 'found') return { kind: 'refused', reply: refusal(verdict.kind), rest: remainder(EMPTY) };
  const raw = Uint8Array.prototype.slice.call(collected, 0, verdict.length); // a copy, also of a Buffer: the section outlives the chunk it came in
  const rest = remainder(collected.subarray(verdict.length));
  if (raw.includes(NUL)) return { kind: 'refused', reply: refusal('nul'), rest };
  return { kind: 'read', headers: new HeaderSection(raw, verdict.ending, verdict.hasMailboxLine), rest };
}

function refusal(kind: 'too-large' | 'nul'): Reply {
  return kind === 'nul'
    ? reply(554, '5.6.0', 'Message refused: NUL character in the header section')
    : reply(552, '5.3.4', 'Message refused: header section too large');
}

/** What was collected beyond the header section, then the rest of the source, which stays open. */
class Remainder implements AsyncIterable<Uint8Array> {
  #first: Uint8Array | undefined;
  readonly #source: AsyncIterator<Uint8Array>;

  constructor(first: Uint8Array, source: AsyncIterator<Uint8Array>) {
    this.#first = first;
    this.#source = source;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined && first.length > 0) yield first;
    for (;;) {
      const next = await this.#source.next();
      if (next.done === true) return;
      yield next.value;
    }
  }
}
