/** A short form of the campaign on a long queue; the long one is `npm run campaign -- queue-100k`. */
import { expect, it } from 'vitest';
import { runQueueCampaign } from '../campaign/queue-100k.ts';

it('D15 2,000 queued messages of 10 accounts drain at the pace given, and each arrives once', async () => {
  // Time and memory are judged in the long form only.
  const { broken } = await runQueueCampaign({ count: 2_000, seed: 1, watchSeconds: 15, isJudged: false });
  expect(broken).toEqual([]);
}, 120_000);
