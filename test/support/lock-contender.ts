/**
 * A process that takes a lock again and again, and in the end dies with it: a program for test/unit/platform/file-lock.test.ts.
 *
 * Arguments: the lock, a guard file that exists only while somebody has the lock, how many times. Prints a line for each time that two had it, and
 * for each failure.
 *
 * @packageDocumentation
 */
import { rm, writeFile } from 'node:fs/promises';
import { lockFile } from '../../src/platform/file-lock.ts';

const [path = '', guard = '', times = '0'] = process.argv.slice(2);

async function takeTurn(isLast: boolean): Promise<boolean> {
  const outcome = await lockFile(path);
  if (outcome.kind === 'held') return false;
  await writeFile(guard, '', { flag: 'wx' });
  await new Promise((resolve) => setTimeout(resolve, 1));
  await rm(guard);
  if (isLast) process.kill(process.pid, 'SIGKILL'); // With the lock: it is stale now.
  await outcome.release();
  return true;
}

for (let turns = 0; turns < Number(times); ) {
  try {
    if (await takeTurn(turns === Number(times) - 1)) turns += 1;
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
    turns += 1;
  }
}
