/**
 * Records of the spool log, octet by octet (docs/spool-format.md).
 *
 * A record is a head, an envelope (JSON), content in wire form, padding, and a tail that repeats the head, so that a damaged record can still be
 * named where one of both is whole. Head and tail begin with the segment's tag, a random number: content that looks like a record, which
 * anybody could mail to us, cannot be taken for one while the reader looks for the next record behind a damaged one.
 *
 * Checksums are CRC-32 of node:zlib, which is native and three times faster than the best table-driven CRC-32C in JavaScript.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { crc32 } from 'node:zlib';

/** What a record says. A new kind needs a new format version. */
export type RecordKind =
  /** First in each segment: where the segments before it end. */
  | 'opening'
  /** An entry, whole, with its present state. */
  | 'message'
  /** An entry that settles another in the same step. */
  | 'report'
  /** The present state of an entry. */
  | 'state'
  /** Something is being transmitted; settled by the next state. */
  | 'transmitting'
  /** The entry is gone. */
  | 'removed'
  /** Damage that was dealt with. */
  | 'damage';

const CODES: Record<RecordKind, number> = { opening: 1, message: 2, report: 3, state: 4, transmitting: 5, removed: 6, damage: 7 };
const KINDS = new Map(Object.entries(CODES).map(([kind, code]) => [code, kind as RecordKind]));

/** Head and tail, each. */
export const FRAME_OCTETS = 40;
/** Every record begins at a multiple of this. */
export const ALIGNMENT = 8;
/** No envelope we write comes near; a longer one is damage. */
const MOST_ENVELOPE_OCTETS = 32 * 1024 * 1024;

const HEAD = 0x48;
const TAIL = 0x54;

/** A record, not yet bound to a place. */
export interface LogRecord {
  readonly kind: RecordKind;
  /** Number of the entry it is about; 0: none. */
  readonly serial: number;
  readonly envelope: Uint8Array;
  readonly content: Uint8Array;
  /** Of envelope and content. */
  readonly checksum: number;
}

/** Head or tail of a record. */
export interface Frame {
  readonly kind: RecordKind;
  readonly isHead: boolean;
  readonly serial: number;
  readonly envelopeOctets: number;
  readonly contentOctets: number;
  /** Everything before this offset was on stable storage when the record was written. */
  readonly batchStart: number;
  readonly checksum: number;
}

const NOTHING = new Uint8Array(0);

/** A record with its checksum. */
export function sealRecord(kind: RecordKind, serial: number, envelope: unknown, content: Uint8Array = NOTHING): LogRecord {
  const octets = Buffer.from(JSON.stringify(envelope));
  return { kind, serial, envelope: octets, content, checksum: checksumOf(content, checksumOf(octets)) };
}

/** Continue a checksum; 0 to begin. */
export function checksumOf(octets: Uint8Array, before = 0): number {
  return octets.length === 0 ? before : crc32(octets, before); // zlib may take nothing for a request to begin anew.
}

/** What a record takes in a segment. */
export function recordOctets(envelopeOctets: number, contentOctets: number): number {
  return FRAME_OCTETS + padded(envelopeOctets + contentOctets) + FRAME_OCTETS;
}

/** {@link recordOctets} of a record. */
export function octetsOfRecord({ envelope, content }: LogRecord): number {
  return recordOctets(envelope.length, content.length);
}

/** Content up to this size is copied beside its frames: cheaper than a buffer of its own in the write. */
const MOST_COPIED_OCTETS = 16 * 1024;

/** Octets that {@link piecesOf} puts together. */
export function composedOctets(records: readonly LogRecord[]): number {
  return records.reduce((sum, record) => sum + octetsOfRecord(record) - (isCopied(record) ? 0 : record.content.length), 0);
}

/**
 * What to write for records, one behind another.
 *
 * @param into - Room of {@link composedOctets} or more, which the pieces lie in; what was in there does not matter.
 */
export function piecesOf(records: readonly LogRecord[], tag: Uint8Array, batchStart: number, into: Buffer): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let from = 0;
  let at = 0;
  for (const record of records) {
    const { envelope, content } = record;
    const frame = frameOf(record, tag, batchStart);
    into.set(frame, at);
    at += FRAME_OCTETS;
    into.set(envelope, at);
    at += envelope.length;
    if (isCopied(record)) {
      into.set(content, at);
      at += content.length;
    } else {
      pieces.push(into.subarray(from, at), content);
      from = at;
    }
    const payload = envelope.length + content.length;
    for (let padding = padded(payload) - payload; padding > 0; padding -= 1) into[at++] = 0;
    into.set(asTail(frame), at);
    at += FRAME_OCTETS;
  }
  pieces.push(into.subarray(from, at));
  return pieces;
}

function isCopied({ content }: LogRecord): boolean {
  return content.length <= MOST_COPIED_OCTETS;
}

/** One for all: a frame is copied before the next is made. */
const FRAME = Buffer.alloc(FRAME_OCTETS);
const FRAME_CHECKED = FRAME.subarray(0, FRAME_OCTETS - 4);

/** The head of a record, until the next call. */
function frameOf(record: LogRecord, tag: Uint8Array, batchStart: number): Buffer {
  FRAME.set(tag, 0);
  FRAME.writeUInt8(HEAD, 8);
  FRAME.writeUInt8(CODES[record.kind], 9);
  FRAME.writeUIntLE(record.serial, 10, 6);
  FRAME.writeUInt32LE(record.envelope.length, 16);
  FRAME.writeUInt32LE(record.content.length, 20);
  FRAME.writeUInt32LE(batchStart, 24);
  FRAME.writeUInt32LE(record.checksum, 28);
  return sealed(FRAME);
}

/** Make the tail of a head. */
function asTail(frame: Buffer): Buffer {
  frame.writeUInt8(TAIL, 8);
  return sealed(frame);
}

function sealed(frame: Buffer): Buffer {
  frame.writeUInt32LE(checksumOf(FRAME_CHECKED), FRAME_OCTETS - 4);
  return frame;
}

/** The whole head or tail that stands at `at`; undefined where none does. */
export function frameAt(octets: Buffer, at: number, tag: Buffer): Frame | undefined {
  if (at + FRAME_OCTETS > octets.length || octets.compare(tag, 0, tag.length, at, at + tag.length) !== 0) return undefined;
  if (checksumOf(octets.subarray(at, at + FRAME_OCTETS - 4)) !== octets.readUInt32LE(at + FRAME_OCTETS - 4)) return undefined;
  const kind = KINDS.get(octets.readUInt8(at + 9));
  const mark = octets.readUInt8(at + 8);
  const envelopeOctets = octets.readUInt32LE(at + 16);
  if (kind === undefined || (mark !== HEAD && mark !== TAIL) || envelopeOctets > MOST_ENVELOPE_OCTETS) return undefined;
  return {
    kind,
    isHead: mark === HEAD,
    serial: octets.readUIntLE(at + 10, 6),
    envelopeOctets,
    contentOctets: octets.readUInt32LE(at + 20),
    batchStart: octets.readUInt32LE(at + 24),
    checksum: octets.readUInt32LE(at + 28),
  };
}

/** What the record of a frame takes. */
export function octetsOfFrame({ envelopeOctets, contentOctets }: Frame): number {
  return recordOctets(envelopeOctets, contentOctets);
}

/** True where both were written for one record. */
export function isSameRecord(head: Frame, tail: Frame): boolean {
  return head.serial === tail.serial && head.checksum === tail.checksum && octetsOfFrame(head) === octetsOfFrame(tail);
}

function padded(octets: number): number {
  return Math.ceil(octets / ALIGNMENT) * ALIGNMENT;
}
