/**
 * `npm run check:hostile`: every row of test/hostile/rows.tsv has a test that names it (test/hostile/titles.ts says how), or a word in
 * test/hostile/explained.tsv why it has none. Exit code 1 where one has neither, or the three have gone apart.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { coverageOf, isKept, readExplanations, readRows, report } from '../test/hostile/coverage.ts';
import { idsInDialog, idsInTests } from '../test/hostile/titles.ts';

const folder = fileURLToPath(new URL('../test', import.meta.url));
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

const tested = new Map<string, string[]>();
for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
  const ids = name.endsWith('.test.ts') ? idsInTests(read(name)) : name.endsWith('.dialog') ? idsInDialog(read(name)) : [];
  for (const id of ids) tested.set(id, [...(tested.get(id) ?? []), name]);
}

const coverage = coverageOf(readRows(read('hostile/rows.tsv')), readExplanations(read('hostile/explained.tsv')), tested);
for (const line of report(coverage)) console.log(line);
process.exitCode = isKept(coverage) ? 0 : 1;
