/**
 * Keeps commands from leaving files in the state directory that the relay cannot read.
 *
 * @packageDocumentation
 */
import { stat } from 'node:fs/promises';
import { type ProblemCode, ProblemError, problem } from '../core/problem.ts';
import { isErrno } from '../platform/atomic-file.ts';

/** @throws ProblemError `code` where root is about to write into the state of another user. */
export async function refuseForeignState(dir: string, code: ProblemCode = 'TOKEN_STORE_FAILED'): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  const owner = await ownerOf(dir);
  if (owner === undefined || owner === 0) return;
  const cause = `${dir} belongs to user ${owner} and this command runs as root: a Postern of that user could not read what it stores`;
  throw new ProblemError(problem(code, cause, { remedy: `Run it as that user: sudo -u '#${owner}' postern …` }));
}

async function ownerOf(dir: string): Promise<number | undefined> {
  try {
    return (await stat(dir)).uid;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined; // Made at the first start.
    throw error;
  }
}
