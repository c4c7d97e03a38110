/**
 * Failures of the disk as problems.
 *
 * @packageDocumentation
 */
import { constants } from 'node:os';
import { problem, type ProblemCode, ProblemError } from '../core/problem.ts';

/** `write` cannot go on for want of room: RFC 3463 X.3.1, mail system full. All else is X.3.0. */
const NO_ROOM: ReadonlySet<unknown> = new Set([constants.errno.ENOSPC, constants.errno.EDQUOT]);

/** `SPOOL_FULL` where the disk or a disk quota is full, else `SPOOL_FAILED`. A ProblemError stays what it is. */
export function spoolError(error: unknown, doing: string): ProblemError {
  if (error instanceof ProblemError) return error;
  const code: ProblemCode = isOutOfRoom(error) ? 'SPOOL_FULL' : 'SPOOL_FAILED';
  return new ProblemError(problem(code, `${doing}: ${error instanceof Error ? error.message : String(error)}`), { cause: error });
}

/** A problem of the spool without an error below it. */
export function spoolProblem(code: ProblemCode, cause: string): ProblemError {
  return new ProblemError(problem(code, cause));
}

/** By number: Node has no name for EDQUOT and calls it `Unknown system error -122`. Errors of file systems that are none of the kernel's have a name alone. */
function isOutOfRoom(error: unknown): boolean {
  if (error instanceof Error && 'errno' in error && typeof error.errno === 'number') return NO_ROOM.has(-error.errno);
  return errnoOf(error) === 'ENOSPC';
}

/** `ENOSPC` and the like; undefined for an error that is not one of node:fs. */
export function errnoOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
