/** Chance for ids: as many octets as were asked for, none of them given out twice. */
import { expect, it } from 'vitest';
import { systemRandom } from '../../../src/platform/system-random.ts';

it('gives what was asked for, and never the same place twice', () => {
  const given = Array.from({ length: 5_000 }, () => systemRandom.octets(7));
  expect(given.every(({ length }) => length === 7)).toBe(true);
  expect(new Set(given.map((octets) => Buffer.from(octets).toString('hex'))).size).toBe(5_000);
  const places = given.map(({ buffer, byteOffset }) => ({ buffer, byteOffset }));
  for (const [index, { buffer, byteOffset }] of places.entries()) {
    const next = places[index + 1];
    if (next?.buffer === buffer) expect(next.byteOffset).toBeGreaterThanOrEqual(byteOffset + 7);
  }
});

it('does not change what it gave before', () => {
  const first = systemRandom.octets(7);
  const before = Buffer.from(first).toString('hex');
  for (let count = 0; count < 2_000; count += 1) systemRandom.octets(16);
  expect(Buffer.from(first).toString('hex')).toBe(before);
});

it.each([0, 1, 16, 17, 32, 10_000])('gives %d octets', (count) => {
  expect(systemRandom.octets(count)).toHaveLength(count);
});
