/**
 * Makes the checks one after another, and tells each outcome as it comes.
 *
 * @packageDocumentation
 */
import { ProblemError, problem } from '../core/problem.ts';
import { type Check, type CheckName, type Finding, fail, type Outcome, skip } from './check.ts';
import type { Examination } from './examination.ts';

/**
 * Run `checks` in order.
 *
 * @param edit - Has the last word on each finding; for names in remedies and for the scrubber.
 * @param tell - Called with each outcome at once: a check may wait for a network for half a minute.
 */
export async function runChecks(
  checks: readonly Check[],
  examination: Examination,
  edit: (finding: Finding) => Finding,
  tell: (outcome: Outcome) => void,
): Promise<Outcome[]> {
  const outcomes = new Map<CheckName, Outcome>();
  for (const check of checks) {
    const obstacle = check.needs.map((name) => outcomes.get(name)).find((before) => before?.result === 'fail' || before?.result === 'skip');
    const finding = obstacle === undefined ? await attempt(check, examination) : skip(excuse(obstacle));
    const outcome = { check: check.name, ...edit(finding) };
    outcomes.set(check.name, outcome);
    tell(outcome);
  }
  return [...outcomes.values()];
}

/** What was skipped for a reason of its own passes that reason on. */
function excuse({ check, result, detail }: Outcome): string {
  return result === 'fail' ? `needs ${check}` : detail;
}

async function attempt(check: Check, examination: Examination): Promise<Finding> {
  try {
    return await check.run(examination);
  } catch (error) {
    if (error instanceof ProblemError) return fail(error.problem);
    return fail(problem('INTERNAL', `${check.name}: ${error instanceof Error ? error.message : String(error)}`));
  }
}
