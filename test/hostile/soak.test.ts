/** The short form of the campaign `soak`: what a relay holds on to does not grow with what has gone through it. */
import { expect, it } from 'vitest';
import { runSoak } from '../campaign/soak.ts';

it('R07 1,200 messages leave memory and descriptors as they were (the campaign sends an hour of ten a second)', {
  timeout: 240_000,
}, async () => {
  const { counts, broken } = await runSoak({ count: 1200, seed: 0 });
  process.stderr.write(`soak: ${JSON.stringify(counts)}\n`);
  expect(broken).toEqual([]);
  expect(counts['direct, accepted']).toBe(600);
  expect(counts['auto, accepted']).toBe(600);
});
