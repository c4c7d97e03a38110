/**
 * A mailbox as the fetcher sees it. Implementation: ./imap-source.ts; test/support/memory-mailbox-source.ts.
 *
 * @packageDocumentation
 */
import type { DurationMs, EpochMs } from '../core/clock.ts';
import type { Print } from '../core/fetch-cursor.ts';
import type { AfterFetch, FetchFilter, FetchRule } from '../core/fetch-rule.ts';

/** What the server says of a message. */
export interface MessageFacts {
  readonly uid: number;
  /** As the server counts (RFC822.SIZE); some are a little wrong. */
  readonly size: number;
  readonly flags: readonly string[];
  /** INTERNALDATE. */
  readonly receivedAt?: Date | undefined;
  readonly print: Print;
}

/** A session that has selected the mailbox. Commands come one after another. Each throws ProblemError where the session is over, and then every other does. */
export interface OpenSource {
  /** `host:port`. */
  readonly upstream: string;
  readonly uidValidity: bigint;
  /** No message has this UID or a higher one yet, as far as the server has said. */
  readonly uidNext: number;
  /** The session's token ends then; absent where there is none. */
  readonly tokenExpiresAt?: EpochMs;
  readonly canIdle: boolean;

  /** UIDs from `from` to `to` that pass the filter, ascending. `to` absent: to the end of the mailbox. */
  search(from: number, to: number | undefined, filter: FetchFilter): Promise<readonly number[]>;

  /** Undefined where the message is gone. */
  describe(uid: number): Promise<MessageFacts | undefined>;

  /** All octets of the message. Throws FETCH_MESSAGE_UNREADABLE where this message cannot be read while the session goes on. */
  content(uid: number, size: number, signal: AbortSignal): AsyncIterable<Buffer>;

  /** Do to the message what the rule says. Harmless where it is gone. */
  change(uid: number, after: AfterFetch): Promise<void>;

  /** Until the mailbox may have changed, `limit` has passed or `signal` says so. */
  waitForNews(limit: DurationMs, signal: AbortSignal): Promise<void>;

  close(): void;
}

/** Opens mailboxes. */
export interface MailboxSource {
  /** Sign in and select. @throws ProblemError; MailboxError where the server says when to come again. */
  open(rule: FetchRule, signal: AbortSignal): Promise<OpenSource>;
}
