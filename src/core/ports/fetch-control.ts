/**
 * Fetch rules as an operator sees and handles them.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../account.ts';
import type { Healing } from '../problem.ts';

/** What a rule does now. `starting`: it opens its mailbox. `waiting`: it has seen everything and waits for news. `backing-off`: something is in the way, see `problem`. */
export type FetchState = 'starting' | 'working' | 'waiting' | 'backing-off' | 'paused' | 'stopped';

/** A message that is not tried any more. */
export interface AsideView {
  readonly uid: number;
  /** ISO 8601. */
  readonly at: string;
  readonly code: string;
  readonly cause: string;
}

/** What is in the way. */
export interface FetchTrouble {
  readonly code: string;
  readonly cause: string;
  readonly heals: Healing;
  readonly remedy: string;
}

/** A rule and how it is. Moments are ISO 8601. */
export interface FetchView {
  readonly name: string;
  readonly account: AccountName;
  readonly mailbox: string;
  /** Where messages go, without secrets. */
  readonly sink: string;
  readonly state: FetchState;
  /** Whether it is to rest; `state` says `paused` once the message under way is finished. */
  readonly isPaused: boolean;
  /** Decimal; absent while the rule has not begun. */
  readonly uidValidity?: string | undefined;
  readonly lastUid?: number | undefined;
  /** Messages since this process began. */
  readonly fetched: number;
  /** Messages that are offered to the sink again later. */
  readonly held: number;
  /** Messages that were taken by the sink while the mailbox could not be told yet. */
  readonly owed: number;
  /** Oldest first; at most 100 of them. */
  readonly aside: readonly AsideView[];
  readonly asideCount: number;
  readonly lastFetchedAt?: string | undefined;
  /** When everything in the mailbox had been seen. */
  readonly lastLookAt?: string | undefined;
  /** From the arrival of the last message in the mailbox until the sink had it, in seconds, by the provider's clock and ours. */
  readonly lagSeconds?: number | undefined;
  /** What is in the way; absent where nothing is. */
  readonly problem?: FetchTrouble | undefined;
  /** When it is tried again. */
  readonly nextAttemptAt?: string | undefined;
}

/** Implementations: fetch/fetch-rules.ts; admin/control-client.ts. Each throws ProblemError `FETCH_RULE_UNKNOWN` where there is no such rule. */
export interface FetchControl {
  /** All rules, in the order of the configuration. */
  list(): readonly FetchView[] | Promise<readonly FetchView[]>;

  /** Look at the mailbox now, whatever the rule waits for. `isAside`: those set aside are tried again. */
  run(rule: string, isAside: boolean): Promise<FetchView>;

  /** Forget how far the rule has got: it begins as if it ran for the first time. Messages that it has handed on may come again. */
  reset(rule: string): Promise<FetchView>;

  /** Over restarts. A message under way is finished. */
  setPaused(rule: string, isPaused: boolean): Promise<FetchView>;
}
