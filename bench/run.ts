/**
 * `npm run bench`: Postern beside what a user would pick in its place, in turns, in one run. Ratios are what to trust: absolute figures are this machine's.
 *
 *     npm run bench -- [--only NAME]... [--count 5] [--list]
 */
import { parseArgs } from 'node:util';
import { ensureBuilt } from '../scripts/build.mjs';
import { durable } from './cases/durable.ts';
import { imap } from './cases/imap.ts';
import { large } from './cases/large.ts';
import { latency } from './cases/latency.ts';
import { cap, tokens } from './cases/limits.ts';
import { MICRO } from './cases/micro.ts';
import { rateGrowth, rateKept, rateNew } from './cases/rate.ts';
import { start } from './cases/start.ts';
import type { BenchCase } from './kit/case.ts';
import { describeMachine, load } from './kit/machine.ts';

const CASES: readonly BenchCase[] = [latency, rateNew, rateKept, durable, cap, large, start, tokens, imap, ...MICRO, rateGrowth];

const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true }, count: { type: 'string', default: '5' }, list: { type: 'boolean' } },
});
const count = Number(values.count);
if (!Number.isInteger(count) || count < 1) throw new Error(`--count takes a number of rounds, not ${values.count}`);
const unknown = (values.only ?? []).filter((name) => CASES.every((each) => each.name !== name));
if (unknown.length > 0) throw new Error(`no case is named ${unknown.join(', ')}; there are ${CASES.map(({ name }) => name).join(', ')}`);

if (values.list === true) {
  for (const { name, summary } of CASES) console.log(`${name.padEnd(14)} ${summary}`);
} else {
  await ensureBuilt();
  console.log(describeMachine());
  console.log(`npm run bench -- ${process.argv.slice(2).join(' ')}: medians of ${count} rounds, least and most in brackets`);
  for (const each of CASES.filter(({ name }) => values.only?.includes(name) ?? true)) {
    console.log(`\n== ${each.name}: ${each.summary}`);
    const reason = each.obstacle?.();
    if (reason === undefined) await each.run(count);
    else console.log(`  not measured: ${reason}`);
    console.log(`  (${load()} afterwards)`);
  }
}
