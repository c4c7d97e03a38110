/**
 * Fetch rules as an operator sees and handles them.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../account.ts';
import type { EpochMs } from '../clock.ts';
import type { Problem } from '../problem.ts';

/** What a rule does now. `waiting`: it has seen everything and waits for news. `backing-off`: something is in the way, see `problem`. */
export type FetchState = 'starting' | 'working' | 'waiting' | 'backing-off' | 'paused' | 'stopped';

/** A message that is not tried any more. */
export interface AsideView {
  readonly uid: number;
  readonly at: EpochMs;
  readonly code: string;
  readonly cause: string;
}

/** A rule and how it is. */
export interface FetchView {
  readonly name: string;
  readonly account: AccountName;
  readonly mailbox: string;
  /** Where messages go, without secrets. */
  readonly sink: string;
  readonly state: FetchState;
  /** Decimal; absent while the rule has not begun. */
  readonly uidValidity?: string;
  readonly lastUid?: number;
  /** Messages since this process began. */
  readonly fetched: number;
  /** Messages that are offered to the sink again later. */
  readonly held: number;
  /** Messages that were taken by the sink while the mailbox could not be told yet. */
  readonly owed: number;
  /** Oldest first; at most 100 of them. */
  readonly aside: readonly AsideView[];
  readonly asideCount: number;
  readonly lastFetchedAt?: EpochMs;
  /** When everything in the mailbox had been seen. */
  readonly lastLookAt?: EpochMs;
  /** From the arrival of the last message in the mailbox until the sink had it, in seconds, by the provider's clock and ours. */
  readonly lagSeconds?: number;
  /** What is in the way; absent where nothing is. */
  readonly problem?: Problem;
  /** When it is tried again. */
  readonly nextAttemptAt?: EpochMs;
}

/** Implementation: fetch/fetch-rules.ts. Each throws ProblemError `FETCH_RULE_UNKNOWN` where there is no such rule. */
export interface FetchControl {
  /** All rules, in the order of the configuration. */
  list(): readonly FetchView[];

  /** Look at the mailbox now, whatever the rule waits for. `isAside`: those set aside are tried again. */
  run(rule: string, isAside: boolean): Promise<FetchView>;

  /** Forget how far the rule has got: it begins as if it ran for the first time. Messages that it has handed on may come again. */
  reset(rule: string): Promise<FetchView>;

  /** Over restarts. A message under way is finished. */
  setPaused(rule: string, isPaused: boolean): Promise<FetchView>;
}
