/**
 * A process of its own that has no file descriptor left when it is to run a program: prints what came of it.
 *
 * @packageDocumentation
 */
import { closeSync, openSync } from 'node:fs';
import { seconds } from '../../src/core/clock.ts';
import { octets } from '../../src/core/octets.ts';
import { runProgram } from '../../src/platform/run-program.ts';
import { systemClock } from '../../src/platform/system-clock.ts';

const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // None is left.
}
const result = await runProgram({
  program: 'cat',
  args: [],
  directory: '/',
  env: { PATH: process.env['PATH'] ?? '' },
  deadline: seconds(10),
  mostOutput: octets(1_000),
  clock: systemClock,
});
for (const descriptor of taken) closeSync(descriptor);
process.stdout.write(`${JSON.stringify(result)}\n`);
