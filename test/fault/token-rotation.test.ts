/** The short form of `npm run campaign -- token-rotation`. */
import { expect, it } from 'vitest';
import { diskImageObstacle } from '../campaign/disk-image.ts';
import { ALL_POINTS } from '../campaign/rotation-points.ts';
import { runTokenKills, runTokenPowerCuts } from '../campaign/token-rotation.ts';

const SEED = 20261124;

it('K04 a kill at any point of a rotation leaves a refresh token that works', async () => {
  const { counts, broken } = await runTokenKills({ count: 24, seed: SEED });
  expect(broken).toEqual([]);
  expect(counts).toMatchObject({ kills: 24, 'kills: points': ALL_POINTS.length, 'kills: tokens lost': 0 });
}, 300_000); // Twenty-four processes, on a busy machine.

it('K04 so does a power cut, and without syncs it would not', async ({ skip }) => {
  const obstacle = await diskImageObstacle();
  if (obstacle !== undefined) skip(`power cuts are not simulated: ${obstacle}`);
  const { counts, broken } = await runTokenPowerCuts({ count: 4, seed: SEED });
  expect(broken).toEqual([]);
  expect(counts).toMatchObject({ 'power cuts': 4, 'power cuts: tokens lost': 0 });
}, 300_000);
