/**
 * Where accepted messages wait, and survive a restart, a kill and a power cut.
 *
 * Who works on an entry holds a lease on it. Each lease has a fence, a number that grows with every lease of that entry; a change under a lease is
 * made only if no newer lease was given, so that a worker that slept through the end of its lease can do no harm. A lease that has run out, but
 * was not given to another, is still the newest.
 *
 * "Durable" means: survives a power cut. A promise that says so resolves only then; where it rejects, the change was not made and is never made
 * later, after a restart either.
 *
 * Contract test: test/contract/spool.ts, run on every implementation.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../account.ts';
import type { Awaitable } from '../awaitable.ts';
import type { EpochMs } from '../clock.ts';
import type { QueueId } from '../ids.ts';
import type { Chunks, Octets } from '../octets.ts';
import type { ProblemCode } from '../problem.ts';
import type { AttemptOutcome, Hold, NewMessage, SpoolEntry } from '../spool-entry.ts';

/** What a draft is wanted for. */
export interface DraftRequest {
  readonly account: AccountName;
  /** As declared by the client; checked against what is free before the content comes. */
  readonly expectedSize?: Octets;
  /** A DSN, which takes the place of what it reports on: the queue limit does not apply, the disk's does. */
  readonly isReport?: boolean;
}

/** A message on its way in. Calls come one after another. Must be ended by `accept`, `discard` or `Spool.settleAttempt`. */
export interface Draft {
  /** Octets written so far. */
  readonly size: Octets;

  /**
   * Add content in wire form. More can be taken once this resolves, or at once where it is undefined. The chunk may be reused by the caller then.
   *
   * @throws ProblemError `SPOOL_FULL`, `SPOOL_FAILED`: the draft is over.
   */
  write(chunk: Uint8Array): Promise<void> | undefined;

  /**
   * Make it an entry. Resolves once content and envelope are durable; the draft is over in each case.
   *
   * @throws ProblemError `SPOOL_FULL`, `SPOOL_FAILED`: never delivered.
   * @throws RangeError where the queue id is taken, or `newEntry` refuses the message.
   */
  accept(message: NewMessage): Promise<SpoolEntry>;

  /**
   * As `accept`, for a message that is being tried already: from the moment it is an entry it is leased, so that nobody else tries it as well.
   *
   * @throws As `accept`.
   */
  acceptLeased(message: NewMessage, lease: FirstLease): Promise<Lease>;

  /**
   * What has been written, in chunks of at most 64 KB. To be called before the draft is over; what has been begun comes to its end then.
   *
   * @throws ProblemError `SPOOL_FAILED` from the iterator, and before its end.
   */
  content(): Chunks;

  /** Nothing of it stays. Harmless after the end. Never throws. */
  discard(): Promise<void>;
}

/** The lease that an entry begins with. */
export interface FirstLease {
  readonly owner: string;
  readonly until: EpochMs;
  /** As after `Spool.beginTransmission`: the upstream may be getting the message right now. */
  readonly isTransmitting: boolean;
}

/** The right to try to deliver one entry, for a while. */
export interface Lease {
  readonly queueId: QueueId;
  /** Grows with every lease of the entry. */
  readonly fence: number;
}

/** A DSN that becomes an entry in the same durable step in which its cause is settled. */
export interface Report {
  /** Of the same spool. */
  readonly draft: Draft;
  readonly message: NewMessage;
}

/** What to list. All that is given must match. */
export interface EntryFilter {
  readonly account?: AccountName;
  readonly isHeld?: boolean;
  readonly holdCode?: ProblemCode;
}

/** The entries of one account. */
export interface AccountSummary {
  readonly account: AccountName;
  readonly entries: number;
  readonly held: number;
  readonly oldestAcceptedAt: EpochMs;
  /** The earliest of those neither held nor leased; undefined where there is none. */
  readonly nextAttemptAt?: EpochMs;
}

/** The spool as a whole. */
export interface SpoolStats {
  readonly entries: number;
  /** Of content. */
  readonly octets: Octets;
  /** Files, or whatever the implementation keeps entries in. */
  readonly segments: number;
  /** Entries set aside because they were damaged. */
  readonly quarantined: number;
}

/** Told after the change is durable. `removed`: done, dropped or quarantined. */
export interface SpoolChange {
  readonly kind: 'accepted' | 'changed' | 'removed';
  readonly queueId: QueueId;
  readonly account: AccountName;
}

/** Implementations: spool/segment-spool.ts; test/support/memory-spool.ts. */
export interface Spool {
  /**
   * Begin to take in a message.
   *
   * @throws ProblemError `SPOOL_FULL` where the queue limit or the disk does not allow it (reply 452 4.3.1), `SPOOL_FAILED` (reply 451 4.3.0).
   */
  openDraft(request: DraftRequest): Promise<Draft>;

  /**
   * Lease an entry until `until`. One whose transmission was begun under an earlier lease and never settled becomes ambiguous.
   *
   * @returns Undefined where there is no such entry, it is held, or another lease has not run out.
   */
  claim(queueId: QueueId, owner: string, until: EpochMs): Promise<Lease | undefined>;

  /** Extend a lease. False where it is no longer the newest. */
  renew(lease: Lease, until: EpochMs): Promise<boolean>;

  /**
   * Say that from now on the upstream may get the message. If this process dies before `settleAttempt` or `release`, the entry is ambiguous
   * afterwards. Survives a kill once resolved; a power cut may forget it.
   *
   * @returns False where the lease is no longer the newest: do not transmit.
   * @throws ProblemError: do not transmit either, since the outcome could not be recorded.
   */
  beginTransmission(lease: Lease): Promise<boolean>;

  /**
   * Record what came of an attempt, and give the lease back. Durable; with `report` both or neither. The report's draft is over in each case.
   *
   * @returns False where the lease is no longer the newest; nothing was changed.
   * @throws ProblemError `SPOOL_FULL`, `SPOOL_FAILED`: nothing was changed, the lease goes on; try again, since the upstream has the message.
   * @throws RangeError where the outcome does not fit the entry, see `afterAttempt`.
   */
  settleAttempt(lease: Lease, outcome: AttemptOutcome, report?: Report): Promise<boolean>;

  /**
   * Give a lease back; no attempt was made that could have delivered anything. Harmless where it is no longer the newest.
   *
   * @throws ProblemError `SPOOL_FULL`, `SPOOL_FAILED`: it is given back, but that nothing was delivered is not on record, so the entry may be
   * ambiguous from now on.
   */
  release(lease: Lease): Promise<void>;

  /** Stop trying. Durable. An attempt under way goes on. False where there is no such entry. */
  hold(queueId: QueueId, hold: Hold): Promise<boolean>;

  /** Take a hold away. Durable. False where there is no such entry. */
  unhold(queueId: QueueId): Promise<boolean>;

  /** Take a hold away and make the entry due at `now`; of a dead letter, try again whoever has not got it. Durable. False where there is no such entry. */
  retryNow(queueId: QueueId, now: EpochMs): Promise<boolean>;

  /** Discard an entry. Durable. Leases on it are void. False where there is no such entry. */
  drop(queueId: QueueId): Promise<boolean>;

  /** A snapshot. Undefined where there is no such entry. */
  entry(queueId: QueueId): Promise<SpoolEntry | undefined>;

  /** In order of acceptance. Entries that come or go meanwhile may or may not be seen; none is seen twice. */
  entries(filter?: EntryFilter): AsyncIterable<SpoolEntry>;

  /**
   * At most `limit` entries of the account that are neither held nor leased and whose time has come, earliest first, then in order of acceptance.
   *
   * @param isLeftOut - Says which not to count, since the caller has them.
   */
  due(account: AccountName, now: EpochMs, limit: number, isLeftOut?: (queueId: QueueId) => boolean): Awaitable<SpoolEntry[]>;

  /** Accounts that have entries. */
  accounts(): Promise<AccountSummary[]>;

  /**
   * The content in wire form, in chunks of at most 64 KB, octet by octet as it was accepted. May be read again and again, and to the end even if
   * the entry goes meanwhile.
   *
   * @throws ProblemError from the iterator, and before its end: `SPOOL_ENTRY_UNKNOWN`; `SPOOL_DAMAGED`, the entry is then quarantined, and what
   * was read so far must not be delivered; `SPOOL_FAILED`.
   */
  content(queueId: QueueId): AsyncIterable<Uint8Array>;

  /** Counted as of now. */
  stats(): Promise<SpoolStats>;

  /** @returns A function that ends the subscription. */
  onChange(listener: (change: SpoolChange) => void): () => void;
}
