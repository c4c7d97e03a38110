/**
 * Where the count of recipients of the last 24 hours survives a restart: the provider goes on counting.
 *
 * Contract test: test/contract/pace-store.ts.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../account.ts';
import type { EpochMs } from '../clock.ts';

/** Recipients of some minutes. */
export interface PaceBucket {
  /** Where it begins. */
  readonly from: EpochMs;
  readonly recipients: number;
}

/** Of each account, oldest first. */
export type PaceRecord = ReadonlyMap<AccountName, readonly PaceBucket[]>;

/** Implementations: delivery/file-pace-store.ts; test/support/memory-pace-store.ts. */
export interface PaceStore {
  /**
   * @returns What was saved last; empty where nothing was.
   * @throws ProblemError `PACE_STORE_FAILED` where something is there but cannot be read.
   */
  load(): Promise<PaceRecord>;

  /**
   * Replace all. Calls come one after another.
   *
   * @throws ProblemError `PACE_STORE_FAILED`; what was saved before is still there.
   */
  save(record: PaceRecord): Promise<void>;
}
