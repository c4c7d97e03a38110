/** The short form of the campaign `fuzz`: mutated sessions at everything that reads what strangers send. */
import { expect, it } from 'vitest';
import { runFuzz } from '../campaign/fuzz.ts';

/** Another one each time, told so that a failure can be played again: POSTERN_FUZZ_SEED, or `npm run campaign -- fuzz --seed N`. */
const seed = Number(process.env['POSTERN_FUZZ_SEED'] ?? Date.now() % 1_000_000_000);

it('20,000 mutated sessions end nothing, hang nowhere, and leave nothing behind', { timeout: 900_000 }, async () => {
  process.stderr.write(`fuzz: seed ${seed}\n`);
  const { counts, broken } = await runFuzz({ count: 20_000, seed });
  process.stderr.write(`fuzz: ${JSON.stringify(counts)}\n`);
  expect(broken).toEqual([]);
  expect(counts['sessions']).toBe(20_000);
  for (const [name, least] of [
    ['smtp', 4900],
    ['imap', 2900],
    ['pop3', 2900],
    ['address', 6500],
    ['config', 1100],
    ['admin', 1100],
  ] as const) {
    expect([name, (counts[name] ?? 0) >= least]).toEqual([name, true]);
    // Not all noise: what was changed only a little is served.
    expect([name, (counts[`${name}, got through`] ?? 0) >= least / 50]).toEqual([name, true]);
  }
});
