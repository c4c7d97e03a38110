/**
 * What a check of `postern doctor` is and what it can find.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { Problem, ProblemCode } from '../core/problem.ts';
import type { Examination } from './examination.ts';

/** All checks, in the order in which they are made. Names are stable: scripts look for them. */
export const CHECK_NAMES = [
  'config',
  'secrets',
  'secret-end',
  'state',
  'token-endpoint',
  'clock',
  'token',
  'token-content',
  'refresh-token',
  'smtp-connect',
  'smtp-tls',
  'smtp-mechanism',
  'smtp-auth',
  'smtp-sender',
  'sender-domain',
  'imap-connect',
  'imap-auth',
  'pop3-connect',
  'pop3-auth',
] as const;

export type CheckName = (typeof CHECK_NAMES)[number];

/** `warn`: works now, and deserves a look. `skip`: not made; the detail says why. */
export type CheckResult = 'ok' | 'warn' | 'fail' | 'skip';

/** What a check found. No text in it holds a secret. */
export interface Finding {
  readonly result: CheckResult;
  /** One line of facts: what was seen. */
  readonly detail: string;
  /** Of docs/errors.md. */
  readonly problem?: ProblemCode;
  /** What to do. */
  readonly remedy?: string;
}

/** A check. */
export interface Check {
  readonly name: CheckName;
  /** Earlier checks without which this one says nothing: it is skipped where one of them failed or was skipped itself. */
  readonly needs: readonly CheckName[];
  run(examination: Examination): Finding | Promise<Finding>;
}

/** A finding and its check. */
export interface Outcome extends Finding {
  readonly check: CheckName;
}

export const ok = (detail: string): Finding => ({ result: 'ok', detail });

export const skip = (why: string): Finding => ({ result: 'skip', detail: why });

export const fail = (what: Problem): Finding => found('fail', what);

/** A problem that does not, or not yet, keep the account from working. */
export const warn = (what: Problem): Finding => found('warn', what);

function found(result: CheckResult, { code, cause, remedy }: Problem): Finding {
  return { result, detail: cause, problem: code, remedy };
}
