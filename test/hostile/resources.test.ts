/** Short forms of the campaigns on memory and connections; the long ones are `npm run campaign -- stalled-upstream`, `idle-connections`, `steady-load`. */
import { expect, it } from 'vitest';
import { idleConnectionsObstacle, runIdleConnections } from '../campaign/idle-connections.ts';
import { runStalledUpstream } from '../campaign/stalled-upstream.ts';
import { runSteadyLoad } from '../campaign/steady-load.ts';

it('R05 24 messages of 25 MB, whose provider has stopped reading, are held back at the application', { timeout: 180_000 }, async () => {
  const { counts, broken } = await runStalledUpstream({ count: 24, seed: 1 });
  expect(broken).toEqual([]);
  // Kernels hold some of what was sent; the relay itself a few chunks.
  expect(Number(counts['MB of the relay at its peak']) - Number(counts['MB of the relay before'])).toBeLessThan(24 * 4 + 40);
});

it('R01 R02 5,600 connections that say nothing keep nobody out who is inside', { timeout: 180_000 }, async (context) => {
  const obstacle = await idleConnectionsObstacle(5_600);
  if (obstacle !== undefined) context.skip(`not run: ${obstacle}`);
  const { broken } = await runIdleConnections({ count: 5_600, seed: 1, isWaiting: false });
  expect(broken).toEqual([]);
});

it('R07 15 seconds of ten messages a second cost no descriptor and lose no message', { timeout: 120_000 }, async () => {
  const { counts, broken } = await runSteadyLoad({ count: 15, seed: 1 });
  expect(broken).toEqual([]);
  expect(counts['received']).toBeGreaterThan(100);
});
