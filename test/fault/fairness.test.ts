/** A short form of the campaign on fairness; the long one is `npm run campaign -- fairness`. */
import { expect, it } from 'vitest';
import { runFairness } from '../campaign/fairness.ts';

it('N01 an account whose provider says nothing keeps no message of nine others waiting for good', async () => {
  // Time is judged in the long form only.
  const { broken, counts } = await runFairness({ count: 1, seed: 1, messages: 15, isJudged: false });
  expect(broken).toEqual([]);
  expect(counts['messages']).toBe(2 * 9 * 15);
}, 120_000);
