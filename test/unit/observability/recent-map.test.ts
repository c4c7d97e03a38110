/** What was used last, and no more than a number of it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecentMap } from '../../../src/observability/recent-map.ts';

const MOST = 4;
const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const;

const newest = (map: RecentMap<number>): unknown[] => [...map.newestFirst()];

describe('RecentMap', () => {
  it('is what a Map is whose keys are put to the end when they are used', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...KEYS), { maxLength: 60 }), (keys) => {
        const map = new RecentMap<number>(MOST);
        const model = new Map<string, number>();
        keys.forEach((key, made) => {
          const value = model.get(key) ?? made;
          model.delete(key);
          model.set(key, value);
          for (const oldest of [...model.keys()].slice(0, -MOST)) model.delete(oldest);
          expect(map.use(key, () => made)).toBe(value);
          expect(newest(map)).toEqual([...model].toReversed());
        });
        for (const key of KEYS) expect(map.get(key)).toBe(model.get(key));
      }),
    );
  });

  it('makes nothing that is there, and changes no order where it is only looked at', () => {
    const map = new RecentMap<number>(MOST);
    map.use('a', () => 1);
    map.use('b', () => 2);
    expect(map.get('a')).toBe(1);
    expect(map.get('c')).toBeUndefined();
    const begin = (): number => expect.fail('it is there');
    expect([map.use('b', begin), map.use('b', begin)]).toEqual([2, 2]);
    expect(newest(map)).toEqual([
      ['b', 2],
      ['a', 1],
    ]);
  });

  it('may hold a single one', () => {
    const map = new RecentMap<number>(1);
    map.use('a', () => 1);
    map.use('b', () => 2);
    expect(newest(map)).toEqual([['b', 2]]);
    expect(map.get('a')).toBeUndefined();
  });
});
