/**
 * How commands tell what went wrong, and when things were or will be.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { type EpochMs, minutes } from '../core/clock.ts';
import { type Problem, ProblemError } from '../core/problem.ts';
import { withNames } from '../core/remedy-names.ts';
import { EXIT } from './command.ts';
import { printJson } from './load.ts';

/**
 * Run what may meet a problem of the catalogue; anything else is a defect and goes on.
 *
 * @param account - Whose names stand in the remedy, so that a command in it can be copied.
 * @returns The exit code.
 */
export async function reportingProblems(isJson: boolean, action: () => Promise<number>, account?: Account): Promise<number> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const what = account === undefined ? error.problem : withNames(error.problem, account);
    if (isJson) printJson({ ok: false, problem: what });
    else process.stderr.write(describeProblem(what));
    return EXIT.problem;
  }
}

export function describeProblem({ code, cause, remedy }: Problem): string {
  return `postern: ${cause} [${code}]\n${remedy}\n`;
}

/** `2026-11-24 09:30Z (in 52 min)` */
export function describeTime(moment: EpochMs, now: EpochMs): string {
  return `${new Date(moment).toISOString().slice(0, 16).replace('T', ' ')}Z (${describeDistance(moment - now)})`;
}

function describeDistance(distance: number): string {
  const size = Math.abs(distance);
  const text =
    size < minutes(1)
      ? `${Math.round(size / 1000)} s`
      : size < minutes(120)
        ? `${Math.round(size / 60_000)} min`
        : size < minutes(2880)
          ? `${Math.round(size / 3_600_000)} h`
          : `${Math.round(size / 86_400_000)} days`;
  return distance < 0 ? `${text} ago` : `in ${text}`;
}

/** Moments as machines read them, in every field whose name says that it is one. */
export function withIsoTimes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withIsoTimes);
  if (typeof value !== 'object' || value === null) return value;
  const isMoment = (key: string, part: unknown): part is number => typeof part === 'number' && /(At|^since|Since)$/.test(key);
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, isMoment(key, part) ? new Date(part).toISOString() : withIsoTimes(part)]),
  );
}
