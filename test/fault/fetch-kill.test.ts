/** The short form of `npm run campaign -- fetch-kill`. */
import { expect, it } from 'vitest';
import { runFetchKill } from '../campaign/fetch-kill.ts';

it('I09 30 kills of a process that fetches lose nothing, and what comes twice is recognised', async () => {
  const { broken, counts } = await runFetchKill({ count: 30, seed: 7 });
  expect(broken).toEqual([]);
  expect(counts['ledger delivered']).toBeGreaterThanOrEqual(counts['messages'] ?? Number.NaN);
}, 240_000);
