import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checksumOf,
  composedOctets,
  FRAME_OCTETS,
  frameAt,
  isSameRecord,
  type LogRecord,
  octetsOfFrame,
  octetsOfRecord,
  piecesOf,
  sealRecord,
} from '../../../src/spool/record.ts';

const TAG = Buffer.from('0123456789abcdef', 'hex');

/** Records one behind another, composed where something else was before. */
function octetsOf(records: readonly LogRecord[], batchStart: number): Buffer {
  return Buffer.concat(piecesOf(records, TAG, batchStart, Buffer.alloc(composedOctets(records), 0xff)));
}

describe('a record', () => {
  it('says the same at both ends, and takes what it says', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(2 ** 47), fc.nat(2 ** 31), fc.string(), (content, serial, batchStart, text) => {
        const record = sealRecord('message', serial, { text }, content);
        const octets = octetsOf([record], batchStart);
        expect(octets.length).toBe(octetsOfRecord(record));
        expect(octets.length % 8).toBe(0);
        const head = frameAt(octets, 0, TAG);
        const tail = frameAt(octets, octets.length - FRAME_OCTETS, TAG);
        if (head === undefined || tail === undefined) throw new Error('no frame');
        expect(head).toEqual({ ...tail, isHead: true });
        expect(isSameRecord(head, tail)).toBe(true);
        expect(octetsOfFrame(head)).toBe(octets.length);
        expect(head).toMatchObject({ kind: 'message', serial, batchStart, contentOctets: content.length, checksum: record.checksum });
        const payload = octets.subarray(FRAME_OCTETS, FRAME_OCTETS + head.envelopeOctets + head.contentOctets);
        expect(checksumOf(payload)).toBe(head.checksum);
        expect(payload.subarray(head.envelopeOctets).equals(Buffer.from(content))).toBe(true);
      }),
    );
  });

  it('is the same alone and in a batch, whatever the size of its content', () => {
    const sizes = [0, 1, 7, 8, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 100_000, 3];
    const records = sizes.map((size, index) => sealRecord('message', index + 1, { size }, Buffer.alloc(size, index + 1)));
    const alone = records.map((record) => octetsOf([record], 64));
    expect(alone.map(({ length }) => length)).toEqual(records.map(octetsOfRecord));
    expect(octetsOf(records, 64).equals(Buffer.concat(alone))).toBe(true);
  });

  it('has no frame where a bit is wrong, where the tag is another, or where the octets end', () => {
    const octets = octetsOf([sealRecord('state', 7, { a: 1 })], 64);
    for (let bit = 0; bit < FRAME_OCTETS * 8; bit += 1) {
      const damaged = Buffer.from(octets);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(frameAt(damaged, 0, TAG)).toBeUndefined();
    }
    expect(frameAt(octets, 0, Buffer.alloc(8))).toBeUndefined();
    expect(frameAt(octets.subarray(0, FRAME_OCTETS - 1), 0, TAG)).toBeUndefined();
  });

  it('of any length has the checksum of its parts in turn', () => {
    const [one, other] = [Buffer.from('abc'), Buffer.from('defg')];
    expect(checksumOf(other, checksumOf(one))).toBe(checksumOf(Buffer.concat([one, other])));
    expect(checksumOf(Buffer.alloc(0), checksumOf(one))).toBe(checksumOf(one));
    expect(checksumOf(Buffer.from('123456789'))).toBe(0xcbf43926); // The check value of CRC-32/ISO-HDLC.
  });
});
