/**
 * Whether this process may open as many files as it will need.
 *
 * @packageDocumentation
 */
import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { ProblemError, problem } from '../core/problem.ts';

/** Beyond what is open at the start: listeners, queue, state, and some connections at a time. An idle relay with all listeners has some ten. */
const NEEDED = 32;

/**
 * A process that has just enough to open its listeners would call itself ready, and accept nobody: Node leaves connections waiting that it has no descriptor for.
 *
 * @throws ProblemError `FILES_TOO_FEW`
 */
export function requireSpareFiles(needed: number = NEEDED): void {
  const opened: number[] = [];
  try {
    while (opened.length < needed) opened.push(openSync(devNull, 'r'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProblemError(
      problem('FILES_TOO_FEW', `no more than ${opened.length} more files can be opened, ${needed} are needed: ${reason}`),
      { cause: error },
    );
  } finally {
    for (const file of opened) closeSync(file);
  }
}
