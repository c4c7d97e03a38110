/**
 * Octets for tests: text to octets and back, and content cut into chunks in arbitrary places.
 *
 * @packageDocumentation
 */
import type { Chunks } from '../../src/core/octets.ts';
import fc from 'fast-check';

/** Each character up to U+00FF as one octet. */
export const octetsOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

/** Each character as a chunk of its own. */
export const octetByOctet = (text: string): Uint8Array[] =>
  cut(
    octetsOf(text),
    Array.from(text.slice(1), (_, index) => index + 1),
  );

/** The reverse of {@link octetsOf}. */
export const textOf = (...chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString('latin1');

/** Cut in these places (positions beyond the end are ignored, equal ones give empty chunks). */
export function cut(octets: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = places.filter((place) => place <= octets.length).sort((one, other) => one - other);
  return [...sorted, octets.length].map((place, index) => octets.slice(sorted[index - 1] ?? 0, place));
}

/** The chunks as a stream. */
export async function* streamOf(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
}

/** The same, whether they come or are here. */
export async function* streamed(chunks: Chunks): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
}

/** All chunks of a stream. */
export async function collect(stream: Chunks): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** Places to cut up to 60 octets at; every single one now and then. */
export const cuts = (): fc.Arbitrary<number[]> =>
  fc.oneof(fc.array(fc.nat(60), { maxLength: 8 }), fc.constant(Array.from({ length: 400 }, (_, index) => index)));

/** Content in which the octets that matter (line ends, dots, colons, white space, NUL, 8 bit) are frequent. */
export const content = (): fc.Arbitrary<Uint8Array> => {
  const pieces = [
    '\r\n',
    '\n',
    '\r',
    '.',
    '..',
    ' ',
    '\t',
    ':',
    'a',
    'Bc',
    '\0',
    'é',
    'From ',
    '>',
    'Subject: x',
    'From: a@b',
    '\r\n\r\n',
    '\r\n.\r\n',
  ];
  return fc.array(fc.constantFrom(...pieces), { maxLength: 24 }).map((parts) => octetsOf(parts.join('')));
};
