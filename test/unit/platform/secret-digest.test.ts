import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecretDigest } from '../../../src/platform/secret-digest.ts';

const digestOf = (...pieces: Uint8Array[]): string => {
  const digest = new SecretDigest();
  for (const piece of pieces) digest.update(piece);
  return digest.digest();
};

describe('a digest within the process', () => {
  it('is the same for the same octets, however they are cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.array(fc.nat(200), { maxLength: 6 }), (octets, cuts) => {
        const edges = [0, ...cuts.map((cut) => Math.min(cut, octets.length)).sort((one, other) => one - other), octets.length];
        const pieces = edges.slice(1).map((edge, index) => octets.subarray(edges[index], edge));
        expect(digestOf(...pieces)).toBe(digestOf(octets));
      }),
    );
  });

  it('is another one for other octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ maxLength: 60 }), (one, other) => {
        expect(digestOf(one) === digestOf(other)).toBe(Buffer.compare(one, other) === 0);
      }),
    );
  });

  it('sees a single bit, an octet of zero at the end, and the order of blocks', () => {
    const octets = Buffer.alloc(200_000, 'An ordinary line of text.\r\n');
    const whole = digestOf(octets);
    for (const at of [0, 15, 16, 65_535, 65_536, 199_999]) {
      const changed = Buffer.from(octets);
      changed.writeUInt8((changed[at] ?? 0) ^ 1, at);
      expect(digestOf(changed)).not.toBe(whole);
    }
    expect(digestOf(octets, Buffer.alloc(1))).not.toBe(whole);
    const [one, other] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
    expect(digestOf(one, other)).not.toBe(digestOf(other, one));
  });
});
