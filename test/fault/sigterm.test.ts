/** A short form of the campaign on SIGTERM; the long one is `npm run campaign -- sigterm`. */
import { expect, it } from 'vitest';
import { RelayLab } from '../campaign/relay-lab.ts';
import { runSigterm } from '../campaign/sigterm.ts';

it('D12 10 × SIGTERM under load: ends with 0 in time, and what was answered with 250 arrives once', async () => {
  const { broken, counts } = await runSigterm({ count: 10, seed: 1 });
  expect(broken).toEqual([]);
  expect(counts['stops']).toBe(10);
  expect(counts['accepted']).toBeGreaterThan(0);
}, 300_000);

it('a relay that is told to stop as soon as it greets ends with 0, too', async () => {
  const lab = await RelayLab.open({ accounts: 1, mode: 'queue' });
  try {
    for (let round = 0; round < 8; round += 1) {
      await lab.start();
      await expect(lab.stop()).resolves.toBeUndefined();
    }
  } finally {
    await lab.close();
  }
}, 120_000);
