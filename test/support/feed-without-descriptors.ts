/**
 * A process of its own that has no file descriptor left when it is to feed a program: prints what came of it.
 *
 * @packageDocumentation
 */
import { closeSync, openSync } from 'node:fs';
import { seconds } from '../../src/core/clock.ts';
import { octets } from '../../src/core/octets.ts';
import { feedProgram } from '../../src/platform/feed-program.ts';
import { systemClock } from '../../src/platform/system-clock.ts';

async function* input(): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(Buffer.from('x'));
}

const taken: number[] = [];
try {
  for (;;) taken.push(openSync('/dev/null', 'r'));
} catch {
  // None is left.
}
const result = await feedProgram({
  program: 'cat',
  args: [],
  directory: '/',
  env: { PATH: process.env['PATH'] ?? '' },
  input: input(),
  deadline: seconds(10),
  mostErrors: octets(1_000),
  clock: systemClock,
  signal: new AbortController().signal,
});
for (const descriptor of taken) closeSync(descriptor);
process.stdout.write(`${JSON.stringify(result)}\n`);
