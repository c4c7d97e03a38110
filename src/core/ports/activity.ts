/**
 * What went through the relay lately, for whoever looks at it now: messages, whether they were queued or not, and who connects.
 *
 * It is kept in memory, a bounded amount of it, from what the log says at any level, and from notes (message-notes.ts). It is no record: that is the log, and the queue for mail that waits.
 * The values are documents, ready to become JSON: moments are texts in ISO 8601, UTC. Known secrets are removed by value.
 *
 * @packageDocumentation
 */
import type { Problem } from '../problem.ts';

/** What has become of a message so far; of several recipients with different fates, the last that was told. */
export const MESSAGE_OUTCOMES = ['accepted', 'queued', 'relayed', 'deferred', 'refused', 'given-up', 'dead-letter', 'dropped'] as const;

/** One of {@link MESSAGE_OUTCOMES}. */
export type MessageOutcome = (typeof MESSAGE_OUTCOMES)[number];

/** One message in a list. */
export interface SeenMessage {
  readonly queueId: string;
  readonly outcome: MessageOutcome;
  /** When it was heard of first and last. */
  readonly firstAt: string;
  readonly lastAt: string;
  readonly account?: string;
  readonly client?: string;
  readonly peer?: string;
  readonly reversePath?: string;
  readonly forwardPaths: readonly string[];
  /** Decoded, on one line, at most 200 characters; absent where it has none, or it is not kept, or the message came before the start. */
  readonly subject?: string;
  readonly messageId?: string;
  /** Octets. */
  readonly size?: number;
  /** The last reply, of the provider or to the application, as one line. */
  readonly reply?: string;
  /** Why it is not relayed. */
  readonly problem?: Problem;
}

/** Something that happened to a message. */
export interface MessageStep {
  readonly at: string;
  readonly level: string;
  readonly event: string;
  readonly message: string;
  readonly forwardPaths?: readonly string[];
  readonly upstream?: string;
  readonly reply?: string;
  readonly attempt?: number;
  readonly durationMs?: number;
  readonly problem?: Problem;
}

/** One message with its path through the relay. */
export interface SeenMessageInFull extends SeenMessage {
  readonly steps: readonly MessageStep[];
  /** Steps in the middle that are no longer kept. */
  readonly dropped: number;
}

/** Somebody who connects: a client at an address, or an address that is no client's. */
export interface Caller {
  readonly peer: string;
  readonly client?: string;
  readonly firstAt: string;
  readonly lastAt: string;
  /** Sessions that have ended, messages answered with 2yz, and commands or messages refused. */
  readonly sessions: number;
  readonly messages: number;
  readonly refusals: number;
  /** TLS version and cipher of its last session; absent where that was in clear text. */
  readonly tls?: string;
  /** How it signed in last. */
  readonly mechanism?: string;
  /** Why it was refused last. */
  readonly refusal?: { readonly at: string; readonly problem: Problem };
}

/** Messages of one span of time. */
export interface Rate {
  readonly from: string;
  readonly relayed: number;
  readonly queued: number;
  /** Refused, given up or kept as dead letters. */
  readonly failed: number;
}

/** Spans that rates are counted in. */
export const RATE_WINDOWS = ['1h', '24h', '7d'] as const;

/** One of {@link RATE_WINDOWS}. */
export type RateWindow = (typeof RATE_WINDOWS)[number];

/** Which messages. All that are given must fit. */
export interface MessageFilter {
  /** Part of a sender, recipient, subject, queue id, client, account, peer, Message-ID or reply; in any case of letters. */
  readonly text?: string | undefined;
  /** Part of a subject; in any case of letters. */
  readonly subject?: string | undefined;
  readonly outcome?: MessageOutcome | undefined;
  readonly account?: string | undefined;
  readonly client?: string | undefined;
}

/** Implementation: observability/activity-desk.ts. */
export interface Activity {
  /** Newest first, by when they were heard of last. */
  messages(filter: MessageFilter, limit: number): readonly SeenMessage[];

  /** Undefined where it was not seen lately. */
  message(queueId: string): SeenMessageInFull | undefined;

  /** The one that came last first. */
  callers(): readonly Caller[];

  /** Oldest first, without gaps, up to now. */
  rates(window: RateWindow): readonly Rate[];

  /** The relay stops. */
  readonly isClosed: boolean;

  /** A counter that is higher than `known` once something has happened since; resolves when it is, at the end of `signal`, or when the relay stops. */
  changed(known: number, signal: AbortSignal): Promise<number>;
}
