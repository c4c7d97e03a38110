/**
 * What an operator can see of the queue, and do to it, whether the relay runs or not.
 *
 * The values are documents, ready to become JSON: moments are texts in ISO 8601, UTC. They hold what others have sent, so whoever shows them on a
 * terminal or a page has to make them harmless first.
 *
 * Contract test: test/contract/queue-control.ts, run on every implementation.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../account.ts';
import type { DurationMs } from '../clock.ts';
import type { QueueId } from '../ids.ts';
import type { ProblemCode } from '../problem.ts';
import type { Reply } from '../reply.ts';
import type { RecipientStatus } from '../spool-entry.ts';

/** Which entries. All that is given must match; without anything, every entry does. */
export interface QueueFilter {
  readonly account?: AccountName;
  readonly isHeld?: boolean;
  /** Code of the problem for which it is held; or code (`451`) or enhanced code (`4.7.500`) of the last reply for a recipient that is waiting. */
  readonly code?: string;
  /** Accepted at least this long ago. */
  readonly olderThan?: DurationMs;
}

/** What has become of one recipient. */
export interface QueueRecipient {
  readonly address: string;
  readonly state: RecipientStatus['kind'];
  /** The last one, verbatim. */
  readonly reply?: Reply;
  /** Since when the state is final. */
  readonly at?: string;
}

/** One message in the queue. */
export interface QueueItem {
  readonly queueId: QueueId;
  readonly account: AccountName;
  readonly client: string;
  readonly acceptedAt: string;
  /** `''`: null. */
  readonly reversePath: string;
  readonly messageId: string;
  /** Octets of content in wire form. */
  readonly size: number;
  readonly recipients: readonly QueueRecipient[];
  readonly attempts: number;
  /** Absent where it is held. */
  readonly nextAttemptAt?: string;
  readonly hold?: { readonly code: ProblemCode; readonly since: string; readonly cause: string; readonly remedy: string };
  /** An attempt broke after the final dot: it may have been delivered, and the next one may deliver it twice. */
  readonly isAmbiguous: boolean;
  readonly warnedAt?: string;
}

/** The same, with its header section as it is, read as UTF-8; empty where it is larger than 64 KB. */
export interface QueueItemInFull extends QueueItem {
  readonly headers: string;
  /** Decoded from them, on one line, at most 256 characters; absent where there is none. */
  readonly subject?: string;
}

/** An answer to {@link QueueControl.list}. */
export interface QueueListing {
  /** How many match, listed or not. */
  readonly matching: number;
  /** In the order in which they were accepted; fewer than asked for where they have very many recipients. */
  readonly items: readonly QueueItem[];
  /** Where there are more: what to give as `after` to have those that follow. */
  readonly next?: string;
}

/** `release` takes a hold away and leaves the time of the next attempt; `retry` makes it now. */
export type QueueVerb = 'retry' | 'hold' | 'release' | 'drop';

/** Which entries to change: some by name, or all that match. */
export type QueueSelection = { readonly ids: readonly string[] } | { readonly filter: QueueFilter };

/** What was changed, durably. */
export interface QueueChange {
  readonly changed: readonly QueueId[];
  /** Names among those given that no entry has, or has any more. */
  readonly unknown: readonly string[];
}

/** Most entries in one listing, and most names in one selection. */
export const MOST_LISTED = 10_000;

/** Implementations: admin/spool-queue.ts, on a spool in this process; admin/control-client.ts, in another one. */
export interface QueueControl {
  /**
   * Entries, oldest first.
   *
   * @param limit - At most {@link MOST_LISTED}.
   * @param after - {@link QueueListing.next} of the listing before. Holds good when the entry that it names is gone.
   */
  list(filter: QueueFilter, limit: number, after?: string): Promise<QueueListing>;

  /** @throws ProblemError `SPOOL_ENTRY_UNKNOWN` */
  show(queueId: string): Promise<QueueItemInFull>;

  /**
   * Entries that are being delivered at this moment are changed, too; the attempt under way goes on.
   *
   * @throws ProblemError `SPOOL_FAILED`; what was changed before stays changed.
   */
  change(verb: QueueVerb, selection: QueueSelection): Promise<QueueChange>;

  /**
   * The content as it was accepted, without dot stuffing: a file that mail programs open.
   *
   * @throws ProblemError from the iterator: `SPOOL_ENTRY_UNKNOWN`, `SPOOL_DAMAGED`, `SPOOL_FAILED`; what was read so far is then incomplete.
   */
  export(queueId: string): AsyncIterable<Uint8Array>;
}
