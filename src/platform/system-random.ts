/**
 * The machine's source of chance.
 *
 * @packageDocumentation
 */
import { randomBytes } from 'node:crypto';
import type { Random } from '../core/ports/random.ts';

export const systemRandom: Random = {
  fraction: () => Math.random(),
  octets: (count) => randomBytes(count),
};
