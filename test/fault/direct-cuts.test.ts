/** A short form of the campaign on connections that are cut; the long one is `npm run campaign -- direct-cuts`. */
import { expect, it } from 'vitest';
import { runDirectCuts } from '../campaign/direct-cuts.ts';

it('N10 200 connections cut at random octets: no 250 is false, nothing arrives twice in an attempt, or in part', async () => {
  const { counts, broken } = await runDirectCuts({ count: 200, seed: 1 });
  expect(broken).toEqual([]);
  expect(counts).toMatchObject({ 'false 250': 0, 'received twice in one attempt': 0, 'received altered or in part': 0 });
  // It has cut at both sides, and something arrived all the same.
  expect(Math.min(...['cut upstream', 'cut at the app', '250 seen by the app'].map((name) => Number(counts[name])))).toBeGreaterThan(20);
}, 120_000);
