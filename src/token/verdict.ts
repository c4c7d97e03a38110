/**
 * From what a token endpoint answered to what it means for the account.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import { type Problem, type ProblemCode, ProblemError, problem } from '../core/problem.ts';
import type { TokenErrorClass } from './entra-errors.ts';
import type { TokenFailure } from './token-answer.ts';
import { classifyTokenError, type TokenError } from './token-error.ts';
import type { Verdict } from './token-state.ts';

/** The verdict on an answer without tokens. */
export function verdictOn(failure: TokenFailure): Verdict {
  switch (failure.kind) {
    case 'unreachable':
      return { kind: 'unreachable', problem: ownProblem('TOKEN_ENDPOINT_UNREACHABLE', failure) };
    case 'busy':
      return { kind: 'busy', problem: ownProblem('TOKEN_ENDPOINT_BUSY', failure), ...wait(failure) };
    case 'nonsense':
      return { kind: 'busy', problem: ownProblem('TOKEN_ENDPOINT_NONSENSE', failure), ...wait(failure) };
    case 'problem':
      return { kind: kindOfProblem(failure.problem), problem: failure.problem };
    case 'refused':
      break;
  }
  const error = classifyTokenError(failure);
  return { kind: kindOf(error), problem: error.problem, ...wait(failure) };
}

/** The verdict on a store that does not work, or on a defect of ours: neither says anything about the account. */
export function verdictOnError(error: unknown): Verdict {
  if (error instanceof ProblemError) return { kind: 'store', problem: error.problem };
  return { kind: 'busy', problem: problem('INTERNAL', error instanceof Error ? error.message : String(error)) };
}

const KINDS: Readonly<Record<TokenErrorClass, Verdict['kind']>> = {
  reauth: 'refused',
  policy: 'misconfigured',
  config: 'misconfigured',
  transient: 'busy',
  loop: 'loop',
  device: 'busy', // Belongs to another dialogue; here it is only odd.
};

function kindOf({ class: errorClass, isCertain }: TokenError): Verdict['kind'] {
  return errorClass === 'reauth' && !isCertain ? 'doubtful' : KINDS[errorClass];
}

/** A problem that was explained where it arose. */
function kindOfProblem({ code, heals }: Problem): Verdict['kind'] {
  if (code === 'TOKEN_REAUTH_REQUIRED') return 'refused';
  return heals === 'by-itself' ? 'busy' : 'misconfigured';
}

function ownProblem(code: ProblemCode, failure: { readonly cause: string; readonly remedy?: string }) {
  return problem(code, failure.cause, failure.remedy === undefined ? {} : { remedy: failure.remedy });
}

function wait({ retryAfter }: { readonly retryAfter?: DurationMs }): { readonly retryAfter?: DurationMs } {
  return retryAfter === undefined ? {} : { retryAfter };
}
