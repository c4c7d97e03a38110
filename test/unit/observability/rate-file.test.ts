/** The file of counts for charts: what is no good counts as none. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRates, writeRates } from '../../../src/observability/rate-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-rates-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const COUNTS = { byMinute: [{ from: 60_000, relayed: 1, queued: 2, failed: 3 }], byHour: [] };

describe('the file of rates', () => {
  it('brings back what was written, readable for its owner alone', async () => {
    const file = join(folder, 'rates.json');
    await writeRates(file, COUNTS);
    expect(await readRates(file)).toEqual(COUNTS);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['nothing', undefined],
    ['no JSON', '{'],
    ['another version', JSON.stringify({ version: 2, ...COUNTS })],
    ['no list', JSON.stringify({ version: 1, byMinute: {}, byHour: [] })],
    ['a very long list', JSON.stringify({ version: 1, byMinute: Array.from({ length: 1_000 }, () => COUNTS.byMinute[0]), byHour: [] })],
    [
      'something that is no count',
      JSON.stringify({ version: 1, byMinute: [{ from: 1, relayed: 'x', queued: 0, failed: -1 }], byHour: [] }),
    ],
    ['null', 'null'],
  ])('%s counts as none', async (_, text) => {
    const file = join(folder, 'rates.json');
    if (text !== undefined) writeFileSync(file, text);
    expect(await readRates(file)).toBeUndefined();
  });
});
