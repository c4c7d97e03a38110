/**
 * Outcomes as lines for a person, and the one-line verdict.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { CHECK_NAMES, type CheckResult, type Outcome } from './check.ts';

/** All outcomes of one account. */
export interface Examined {
  readonly account: string;
  readonly outcomes: readonly Outcome[];
}

const WORDS: Readonly<Record<CheckResult, string>> = { ok: 'ok', warn: 'warn', fail: 'FAIL', skip: 'skip' };
const NAME_WIDTH = Math.max(...CHECK_NAMES.map((name) => name.length));
const WORD_WIDTH = 4;
const INDENT = ' '.repeat(WORD_WIDTH + NAME_WIDTH + 6);

/** Stands above the outcomes of an account. */
export function describeAccount({ name, mailbox, provider }: Account): string {
  return `${name} (${mailbox}, ${provider.name})\n`;
}

/** `  FAIL  smtp-auth       cause [CODE]`, with the remedy on a line of its own below. */
export function describeOutcome({ check, result, detail, problem, remedy }: Outcome): string {
  const code = problem === undefined ? '' : ` [${problem}]`;
  const line = `  ${WORDS[result].padEnd(WORD_WIDTH)}  ${check.padEnd(NAME_WIDTH)}  ${detail}${code}\n`;
  return remedy === undefined ? line : `${line}${INDENT}remedy: ${remedy}\n`;
}

export const hasFailed = (examined: readonly Examined[]): boolean =>
  examined.some(({ outcomes }) => outcomes.some(({ result }) => result === 'fail'));

/** One line: what failed, or that all is well. */
export function describeVerdict(examined: readonly Examined[]): string {
  const count = (result: CheckResult): number => examined.flatMap(({ outcomes }) => outcomes).filter((one) => one.result === result).length;
  const failed = examined.flatMap(({ account, outcomes }) =>
    outcomes.filter(({ result }) => result === 'fail').map((one) => ({ account, ...one })),
  );
  const [first] = failed;
  const rest = `${count('ok')} ok, ${plural(count('warn'), 'warning')}, ${count('skip')} skipped`;
  if (first === undefined) return `postern doctor: nothing failed: ${rest}\n`;
  const which = `${first.account}: ${first.check}${first.problem === undefined ? '' : ` [${first.problem}]`}`;
  return `postern doctor: ${plural(failed.length, 'check')} failed, first ${which}; ${rest}\n`;
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

/** For `--json`: one entry for each check of each account. */
export function toJson(examined: readonly Examined[]): readonly object[] {
  return examined.flatMap(({ account, outcomes }) => outcomes.map((outcome) => ({ account, ...outcome })));
}
