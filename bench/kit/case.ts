/**
 * What a case of `npm run bench` is, and how systems are measured in turns.
 */
import { Figures, type Measured } from './figures.ts';

export interface BenchCase {
  readonly name: string;
  readonly summary: string;
  /** Why it cannot be measured here; undefined where it can. */
  readonly obstacle?: () => string | undefined;
  /** @param rounds - How often each system is measured. */
  run(rounds: number): Promise<void>;
}

/** Each system once per round, in an order that turns, after a round that nobody counts. */
export async function inTurns<Subject extends { readonly name: string }>(
  subjects: readonly Subject[],
  rounds: number,
  measure: (subject: Subject, isWarmUp: boolean) => Promise<Measured>,
): Promise<Figures> {
  const figures = new Figures();
  for (const subject of subjects) await measure(subject, true);
  for (let round = 0; round < rounds; round += 1) {
    const turn = round % subjects.length;
    for (const subject of [...subjects.slice(turn), ...subjects.slice(0, turn)]) figures.add(subject.name, await measure(subject, false));
  }
  return figures;
}

/** Stops all of them, whatever becomes of the measuring. */
export async function withSystems<Stoppable extends { stop(): Promise<void> }>(
  starts: readonly (() => Promise<Stoppable>)[],
  use: (systems: readonly Stoppable[]) => Promise<void>,
): Promise<void> {
  const systems: Stoppable[] = [];
  try {
    for (const start of starts) systems.push(await start());
    await use(systems);
  } finally {
    for (const system of systems) await system.stop();
  }
}
