/**
 * Reads the content of an entry and checks it against its checksum, so that nothing that has changed on the disk is ever delivered: what lies in a
 * segment is checked before the first octet is handed out, what lies in a file of its own before the last call of the iterator returns.
 *
 * @packageDocumentation
 */
import { type OpenFile, readFully } from '../platform/files.ts';
import { errnoOf, spoolError } from './failure.ts';
import { checksumOf, FRAME_OCTETS, frameAt } from './record.ts';
import type { Row } from './row.ts';

const CHUNK_OCTETS = 64 * 1024;

/** Content is not what was accepted. */
export class ContentDamaged extends Error {
  override readonly name = 'ContentDamaged';
  /** What was found in the place of a record. */
  readonly octets: Uint8Array | undefined;
  constructor(message: string, options: ErrorOptions & { octets?: Uint8Array } = {}) {
    super(message, options);
    this.octets = options.octets;
  }
}

/** Opens what holds the content of a row. */
export interface ContentSource {
  readonly readSegment: <Result>(number: number, work: (file: OpenFile, tag: Buffer) => Promise<Result>) => Promise<Result>;
  readonly openFile: (name: string) => Promise<OpenFile>;
}

/**
 * The content of a row.
 *
 * @throws ContentDamaged; ProblemError `SPOOL_FAILED`.
 */
export async function* readContent(row: Row, source: ContentSource): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if (row.contentFile === undefined) yield* chunksOf(await readInline(row, source));
    else yield* readFromFile(row, row.contentFile, source);
  } catch (error) {
    if (error instanceof ContentDamaged) throw error;
    if (errnoOf(error) === 'ENOENT') throw new ContentDamaged('its file is missing', { cause: error });
    throw spoolError(error, 'reading content');
  }
}

/** Small content, whole. @throws ContentDamaged; Error of node:fs. */
export async function readInline(row: Row, source: ContentSource): Promise<Buffer> {
  for (;;) {
    const { place } = row;
    try {
      return await source.readSegment(place.segment, (file, tag) => readRecord(file, tag, row.serial, place));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || row.place === place) throw error; // Else it was moved meanwhile: look there.
    }
  }
}

async function readRecord(file: OpenFile, tag: Buffer, serial: number, place: Row['place']): Promise<Buffer> {
  const { offset, envelopeOctets, contentOctets } = place;
  const octets = Buffer.allocUnsafe(FRAME_OCTETS + envelopeOctets + contentOctets);
  const isWhole = (await readFully(file, octets, offset)) === octets.length;
  const frame = isWhole ? frameAt(octets, 0, tag) : undefined;
  if (frame?.serial !== serial || frame.checksum !== checksumOf(octets.subarray(FRAME_OCTETS))) {
    throw new ContentDamaged(`its record in segment ${place.segment}, octet ${offset}, does not match its checksum`, { octets });
  }
  return octets.subarray(FRAME_OCTETS + envelopeOctets);
}

function* chunksOf(octets: Buffer): Generator<Uint8Array> {
  for (let at = 0; at < octets.length; at += CHUNK_OCTETS) yield octets.subarray(at, at + CHUNK_OCTETS);
}

async function* readFromFile(
  row: Row,
  { name, checksum }: NonNullable<Row['contentFile']>,
  source: ContentSource,
): AsyncGenerator<Uint8Array> {
  const file = await source.openFile(name);
  try {
    let sum = 0;
    for (let at = 0; at < row.size; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_OCTETS, row.size - at));
      if ((await readFully(file, chunk, at)) < chunk.length) throw new ContentDamaged(`its file ${name} is too short`);
      sum = checksumOf(chunk, sum);
      at += chunk.length;
      if (at === row.size && sum !== checksum) throw new ContentDamaged(`its file ${name} does not match its checksum`);
      yield chunk;
    }
  } finally {
    await file.close();
  }
}
