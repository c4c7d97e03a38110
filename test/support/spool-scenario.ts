/**
 * A little of everything a spool does, and an exact account of what it promised, to be held against what is found after a failure.
 *
 * @packageDocumentation
 */
import { hours } from '../../src/core/clock.ts';
import type { Spool } from '../../src/core/ports/spool.ts';
import { ProblemError } from '../../src/core/problem.ts';
import { accept, at, contentOf, DELIVERED, done, FAILED, HOLD, id, list, newMessage, PENDING, read, retry } from './spool-messages.ts';

/** What a spool has said. */
export class Promises {
  /** Accepted and not gone: must be there. */
  readonly present = new Set<string>();
  /** Rejected, or gone for good: must not be there. */
  readonly absent = new Set<string>();
  /** Under way when the process died: may be there or not. */
  readonly open = new Set<string>();
  readonly sizes = new Map<string, number>();
  /** Codes of the failures. */
  readonly codes = new Set<string>();
  /** Attempts counted, where the last settling was answered. */
  readonly attempts = new Map<string, number>();
  /** Begun to be transmitted and not settled. */
  readonly transmitting = new Set<string>();

  /** Perhaps begun, not yet answered. */
  readonly beginning = new Set<string>();

  /** As they are now. */
  copy(): Promises {
    const copy = new Promises();
    for (const kind of ['present', 'absent', 'open', 'codes', 'transmitting', 'beginning'] as const)
      for (const name of this[kind]) copy[kind].add(name);
    for (const [name, size] of this.sizes) copy.sizes.set(name, size);
    for (const [name, attempts] of this.attempts) copy.attempts.set(name, attempts);
    return copy;
  }
}

/** Content sizes around the limit of 2,000 octets that these scenarios use. */
const SIZES = [100, 900, 1999, 2000, 2001, 5000, 40];
export const INLINE_LIMIT = 2000;

/** Runs the scenario; each step may be refused, which is noted. @param prefix - Keeps runs apart. */
export async function runScenario(spool: Spool, promises: Promises, prefix: string): Promise<void> {
  const take = async (name: string, octets: number): Promise<void> => {
    promises.open.add(name);
    promises.sizes.set(name, octets);
    const isAccepted = await noted(promises, () => accept(spool, newMessage(name), contentOf(name, octets)));
    promises.open.delete(name);
    (isAccepted ? promises.present : promises.absent).add(name);
  };
  const settle = async (name: string, isDone: boolean, report?: string): Promise<void> => {
    if (!promises.present.has(name)) return;
    const lease = await spool.claim(id(name), 'worker', at(hours(1)));
    if (lease === undefined) throw new Error(`${name} was accepted and is not there`);
    promises.beginning.add(name);
    if (!(await noted(promises, () => spool.beginTransmission(lease)))) return;
    promises.transmitting.add(name);
    const wait = (kind: Set<string>, ...names: string[]): void => {
      for (const waiting of names) kind.delete(waiting);
      for (const waiting of names) promises.open.add(waiting);
    };
    wait(promises.present, name, ...(report === undefined ? [] : [report]));
    const outcome = isDone ? done(report === undefined ? DELIVERED : FAILED) : retry(at(1), PENDING);
    const isSettled = await noted(promises, async () => {
      if (report === undefined) return spool.settleAttempt(lease, outcome);
      const draft = await spool.openDraft({ account: 'billing', isReport: true });
      promises.sizes.set(report, 300);
      await draft.write(contentOf(report, 300));
      return spool.settleAttempt(lease, outcome, { draft, message: newMessage(report) });
    });
    promises.open.delete(name);
    if (isSettled) promises.transmitting.delete(name);
    (isDone && isSettled ? promises.absent : promises.present).add(name);
    if (!isDone) promises.attempts.set(name, isSettled ? 1 : 0);
    if (report !== undefined) {
      promises.open.delete(report);
      (isSettled ? promises.present : promises.absent).add(report);
    }
  };
  const names = SIZES.map((_, index) => `${prefix}a${index}`);
  await take(`${prefix}first`, 500);
  await Promise.all(SIZES.map((octets, index) => take(names[index] ?? '', octets)));
  await Promise.all([settle(`${prefix}a0`, true), settle(`${prefix}a1`, false), settle(`${prefix}a5`, true), take(`${prefix}b`, 3000)]);
  await noted(promises, () => spool.hold(id(`${prefix}a2`), HOLD));
  await settle(`${prefix}a3`, true, `${prefix}r`);
  await Promise.all([take(`${prefix}c`, 1500), take(`${prefix}d`, 1500), take(`${prefix}e`, 1500), take(`${prefix}f`, 1500)]);
  await settle(`${prefix}c`, true);
}

/** @returns False where it was refused with a code that stands for 452 or 451. */
async function noted(promises: Promises, step: () => Promise<unknown>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    promises.codes.add(error.problem.code);
    return false;
  }
}

/**
 * What is wrong; empty where every promise is kept.
 *
 * @param after - A restart after a kill must flag what was being transmitted; a power cut may have taken the mark.
 */
export async function brokenPromises(spool: Spool, promises: Promises, after?: 'kill'): Promise<string[]> {
  const wrong: string[] = [];
  const entries = new Map((await list(spool.entries())).map((entry) => [entry.messageId.slice(1, entry.messageId.indexOf('@')), entry]));
  for (const name of promises.present) if (!entries.has(name)) wrong.push(`${name} was accepted and is lost`);
  for (const name of promises.absent) if (entries.has(name)) wrong.push(`${name} was rejected or done and is there`);
  for (const [name, entry] of entries) {
    if (!promises.present.has(name) && !promises.absent.has(name) && !promises.open.has(name)) wrong.push(`${name} comes from nowhere`);
    const content = await read(spool, entry.queueId).catch((error: unknown) => error);
    if (content instanceof ProblemError) wrong.push(`${name} was accepted and is lost`);
    else if (!(content instanceof Buffer)) throw content;
    else if (!content.equals(contentOf(name, promises.sizes.get(name)))) wrong.push(`the content of ${name} is not what was accepted`);
    const isUnsettled = promises.transmitting.has(name) && entry.attempts === 0;
    if (after === 'kill' && isUnsettled && !entry.isAmbiguous) wrong.push(`${name} may have been delivered, and nothing says so`);
    if (entry.isAmbiguous && !promises.beginning.has(name)) wrong.push(`${name} is called ambiguous`);
    const attempts = promises.attempts.get(name);
    if (attempts !== undefined && !promises.open.has(name) && attempts !== entry.attempts)
      wrong.push(`${name} has ${entry.attempts} attempts`);
  }
  const { quarantined } = await spool.stats();
  if (quarantined > 0) wrong.push(`${quarantined} quarantined`);
  return wrong;
}
