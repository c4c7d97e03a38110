/** A short form of the campaign on rotations; the long one, with its controls, is `npm run campaign -- rotations`. */
import { expect, it } from 'vitest';
import { runRotations } from '../campaign/rotations.ts';

it('K10 8 rotations under load: no message fails, no session of others ends, what is new is in use in time; both controls fail', async () => {
  const { counts, broken } = await runRotations({ count: 8, seed: 1 });
  expect(broken).toEqual([]);
  expect(counts).toMatchObject({
    rotations: 8,
    failed: 0,
    'IMAP sessions dropped': 0,
    'IMAP sessions': 12,
    'control, copies: not in use in time': 3,
  });
  // There was something to lose.
  expect(
    Math.min(...['messages', 'IMAP probes', 'spoilt states that the relay refused'].map((name) => Number(counts[name]))),
  ).toBeGreaterThan(0);
}, 300_000);
