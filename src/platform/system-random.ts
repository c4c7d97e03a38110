/**
 * The machine's source of chance.
 *
 * @packageDocumentation
 */
import { randomBytes } from 'node:crypto';
import type { Random } from '../core/ports/random.ts';

/** What ids need is drawn many at a time; keys and the like are drawn when they are asked for. */
const POOL = 4_096;
const MOST_OF_POOL = 16;

let pool = Buffer.alloc(0);
let given = 0;

/** Octets of the pool, each given out once: what is left when it does not suffice is thrown away with it. */
function fromPool(count: number): Buffer {
  if (given + count > pool.length) {
    pool = randomBytes(POOL);
    given = 0;
  }
  given += count;
  return pool.subarray(given - count, given);
}

export const systemRandom: Random = {
  fraction: () => Math.random(),
  octets: (count) => (count <= MOST_OF_POOL ? fromPool(count) : randomBytes(count)),
};
