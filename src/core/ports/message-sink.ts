/**
 * Where fetched mail goes: a folder, another server, a program.
 *
 * @packageDocumentation
 */
import type { Problem } from '../problem.ts';

/** A message as it lies in the mailbox, to be handed on. */
export interface FetchedMessage {
  /** The same for the same message at every attempt, and for no other: sinks name files, and receivers recognise repetitions, by it. Letters, digits, `-` and `_`. */
  readonly key: string;
  /** The rule's name. */
  readonly rule: string;
  /** Its account's id. */
  readonly account: string;
  readonly mailbox: string;
  readonly uidValidity: bigint;
  readonly uid: number;
  /** When the mailbox took it, if it says. */
  readonly receivedAt?: Date | undefined;
  /** Octets that {@link content} gives. */
  readonly size: number;
  /** IMAP flags, `\Seen` and others. */
  readonly flags: readonly string[];

  /** Its octets from the first on, CRLF line ends as they are in the mailbox; every call begins anew. Throws when the mailbox cannot be read on. */
  content(signal: AbortSignal): AsyncIterable<Buffer>;
}

/** What has become of a hand-over. */
export type SinkOutcome =
  /** It is durable at the other side (or synced here): the mailbox may be changed now. */
  | { readonly kind: 'stored'; readonly detail: string }
  /** Not now: the message stays in the mailbox untouched and is offered again, not before `afterMs` where that is given. */
  | { readonly kind: 'later'; readonly problem: Problem; readonly afterMs?: number }
  /** Never, as it is: counts against this message alone, and does not hold up those behind it. */
  | { readonly kind: 'refused'; readonly problem: Problem };

/** Implementations: fetch/sinks. */
export interface MessageSink {
  /** A short text for logs and lists, without secrets: `maildir /var/mail/billing`. */
  readonly description: string;

  /** Never throws for what the other side does or says; rethrows what `content` throws, and `signal.reason`, with nothing visible at the other side. */
  deliver(message: FetchedMessage, signal: AbortSignal): Promise<SinkOutcome>;

  /** Nothing is delivered any more. */
  close(): Promise<void>;
}
