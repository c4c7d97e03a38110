/**
 * `npm run check:hostile`: every row of test/hostile/rows.tsv has a test that names it (test/hostile/titles.ts says how), or a word in
 * test/hostile/explained.tsv why it has none. Exit code 1 where one has neither, or the three have gone apart.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { coverageOf, isKept, readExplanations, readRows, report } from '../test/hostile/coverage.ts';
import { idsInDialog, idsInTests } from '../test/hostile/titles.ts';

const folder = fileURLToPath(new URL('../test', import.meta.url));
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

const tested = new Map<string, string[]>();
for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
  for (const id of idsIn(name)) tested.set(id, [...(tested.get(id) ?? []), name]);
}

const coverage = coverageOf(readRows(read('hostile/rows.tsv')), readExplanations(read('hostile/explained.tsv')), tested);
for (const line of report(coverage)) console.log(line);
process.exitCode = isKept(coverage) ? 0 : 1;

function idsIn(name: string): readonly string[] {
  if (name.endsWith('.dialog')) return idsInDialog(read(name));
  if (!name.endsWith('.ts')) return [];
  return idsInTests(read(name), (specifier) => {
    const module = join(dirname(name), specifier);
    return existsSync(join(folder, module)) ? read(module) : undefined;
  });
}
