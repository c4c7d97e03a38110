import fc from 'fast-check';
import { expect, it } from 'vitest';
import { DueHeap } from '../../../src/spool/due-heap.ts';

it('gives back what was put in, by time, then by order of acceptance', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 200 }), (times) => {
      const heap = new DueHeap<number>();
      for (const [serial, at] of times.entries()) heap.push({ at, serial, item: serial });
      const expected = [...times.entries()].sort(([, one], [, other]) => one - other).map(([serial]) => serial);
      expect(times.map(() => heap.pop()?.item)).toEqual(expected);
      expect(heap.peek()).toBeUndefined();
      expect(heap.pop()).toBeUndefined();
    }),
  );
});
