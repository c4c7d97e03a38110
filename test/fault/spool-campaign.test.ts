/** Short forms of the campaigns on real processes and a real file system; the long ones are `npm run campaign`. */
import { expect, it } from 'vitest';
import { runKillCampaign } from '../campaign/spool-kill.ts';
import { powerCutObstacle, runPowerCutCampaign } from '../campaign/spool-power-cut.ts';

it('D01 60 kills lose nothing, and what may come twice is flagged', async () => {
  const { counts, broken } = await runKillCampaign({ count: 60, seed: 4 });
  expect(broken).toEqual([]);
  expect(counts['points']).toBeGreaterThanOrEqual(12);
}, 180_000);

it('D02 20 power cuts lose nothing; without syncs they do', async (context) => {
  const obstacle = await powerCutObstacle();
  if (obstacle !== undefined) context.skip(`power cuts not tried: ${obstacle}`);
  const { broken } = await runPowerCutCampaign({ count: 20, seed: 4 });
  expect(broken).toEqual([]);
}, 180_000);
