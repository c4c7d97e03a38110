/**
 * A pace store that forgets everything at the end of the process.
 *
 * @packageDocumentation
 */
import type { PaceRecord, PaceStore } from '../../src/core/ports/pace-store.ts';
import { ProblemError, problem } from '../../src/core/problem.ts';

export class MemoryPaceStore implements PaceStore {
  saved: PaceRecord = new Map();
  saves = 0;
  /** Set: both calls fail. */
  isBroken = false;

  async load(): Promise<PaceRecord> {
    if (this.isBroken) throw new ProblemError(problem('PACE_STORE_FAILED'));
    return this.saved;
  }

  async save(record: PaceRecord): Promise<void> {
    this.saves += 1;
    if (this.isBroken) throw new ProblemError(problem('PACE_STORE_FAILED'));
    this.saved = new Map([...record].map(([name, buckets]) => [name, [...buckets]]));
  }
}
