/** The short form of `npm run campaign -- fetch-kill`, on the sandbox. */
import { expect, it } from 'vitest';
import { runFetchKill } from '../campaign/fetch-kill.ts';

it('I09 36 kills of a process that fetches, 6 at each kind of sink, lose nothing, and what comes twice is recognised', async () => {
  const { broken, counts } = await runFetchKill({ count: 6, seed: 7 });
  expect(broken).toEqual([]);
  expect(counts['webhook delivered']).toBeGreaterThanOrEqual(counts['messages'] ?? Number.NaN);
}, 240_000);
