/**
 * An IMAP server's responses out of its octets, with literals of any size passed on while they come.
 *
 * Bounded: the text of a response, its literals, and what of them is kept. A literal that somebody takes is never held.
 *
 * Source: RFC 9051 §4.3 (strings), RFC 3516 §4.2 (literal8).
 *
 * @packageDocumentation
 */
import { type ImapResponse, ImapSyntaxError, isOnlyText, type Piece, parseResponse } from './imap-response.ts';
import type { OctetReader } from './octet-reader.ts';

/** Takes the octets of a literal; the next ones come when the promise is fulfilled. */
export type LiteralSink = (octets: Buffer) => Promise<void>;

/**
 * Asked about each literal before it comes.
 *
 * @param before - The text of the response up to the literal, as {@link Piece}.
 * @returns Undefined where the literal is to be kept with the response.
 */
export type LiteralTaker = (before: string, size: number) => LiteralSink | undefined;

const LONGEST_TEXT = 65_536;
const MOST_KEPT = 65_536;
const MOST_LITERALS = 64;
const LITERAL = /~?\{(\d{1,15})\+?\}$/;

/** @throws StreamFault, ImapSyntaxError, or whatever a sink throws. The stream is of no use then. */
export async function readResponse(reader: OctetReader, take: LiteralTaker): Promise<ImapResponse> {
  const pieces: Piece[] = [];
  let left = LONGEST_TEXT;
  let mayKeep = MOST_KEPT;
  for (;;) {
    const text = (await reader.line(left)).toString('latin1');
    left -= text.length;
    const first = typeof pieces[0] === 'string' ? pieces[0] : text;
    const literal = isOnlyText(first) ? null : LITERAL.exec(text);
    if (literal === null) return parseResponse([...pieces, text]);
    if (pieces.length >= 2 * MOST_LITERALS) throw new ImapSyntaxError('literals without end');
    const before = text.slice(0, literal.index);
    const size = Number(literal[1]);
    const sink = take(before, size);
    if (sink === undefined && size > mayKeep) throw new ImapSyntaxError(`a literal of ${size} octets that nobody asked for`);
    if (sink === undefined) mayKeep -= size;
    pieces.push(before, sink === undefined ? { size, octets: await keep(reader, size) } : await pass(reader, size, sink));
  }
}

async function keep(reader: OctetReader, size: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  await pass(reader, size, async (octets) => void parts.push(octets));
  return Buffer.concat(parts, size);
}

async function pass(reader: OctetReader, size: number, sink: LiteralSink): Promise<{ readonly size: number }> {
  for (let left = size; left > 0; ) {
    const octets = await reader.some(left);
    left -= octets.length;
    await sink(octets);
  }
  return { size };
}
