/**
 * What is to be fetched from which mailbox, and what becomes of it, once the configuration is resolved.
 *
 * Pure values. The URL and the secret of a webhook are secrets, registered with the log scrubber at load.
 *
 * @packageDocumentation
 */
import type { AccountName, UpstreamTls } from './account.ts';
import type { DurationMs, EpochMs } from './clock.ts';
import type { Octets } from './octets.ts';

/** Which messages of the mailbox. All that are given must hold; none given: every message. */
export interface FetchFilter {
  /** Arrived in the mailbox then or later (IMAP INTERNALDATE). */
  readonly since?: EpochMs;
  /** Without the flag `\Seen`. */
  readonly isUnseen: boolean;
  /** Stands somewhere in the From field, as the server compares. */
  readonly from?: string;
  /** Stands somewhere in the Subject field, as the server compares. */
  readonly subject?: string;
  /** No larger than this. */
  readonly maxSize?: Octets;
}

/** Where messages go. Paths are absolute. */
export type SinkSettings =
  | { readonly kind: 'maildir'; readonly path: string }
  | { readonly kind: 'directory'; readonly path: string }
  | {
      readonly kind: 'lmtp' | 'smtp';
      readonly host: string;
      readonly port: number;
      /** Reverse-path; the null reverse-path where it is absent. */
      readonly from?: string;
      /** Recipients. */
      readonly to: readonly [string, ...string[]];
      readonly tls: 'none' | UpstreamTls;
      /** PEM text trusted in addition to the system's roots. */
      readonly ca?: string;
    }
  | {
      readonly kind: 'webhook';
      readonly url: string;
      /** Signs each request. */
      readonly secret?: string;
      /** PEM text trusted in addition to the system's roots. */
      readonly ca?: string;
      readonly format: 'rfc822' | 'json';
      readonly timeoutMs: DurationMs;
    }
  | {
      readonly kind: 'command';
      readonly argv: readonly [program: string, ...args: string[]];
      /** Working directory. */
      readonly directory: string;
      readonly timeoutMs: DurationMs;
    };

/** What happens to a message in its mailbox once it is durable at the sink. */
export type AfterFetch = { readonly kind: 'keep' | 'seen' | 'delete' } | { readonly kind: 'move'; readonly mailbox: string };

/** One entry of `fetch:`. */
export interface FetchRule {
  /** Unique, also without regard to case; fit for a file name. */
  readonly name: string;
  readonly account: AccountName;
  readonly mailbox: string;
  readonly mode: 'idle' | 'poll';
  /** Between two looks at the mailbox: in mode `poll`, and where the server has no IDLE. */
  readonly interval: DurationMs;
  /** What of the mailbox is fetched when the rule runs for the first time: what comes from then on, everything, or what arrived at that moment or later. */
  readonly start: 'now' | 'all' | EpochMs;
  readonly filter: FetchFilter;
  readonly sink: SinkSettings;
  readonly after: AfterFetch;
  /** A message that cannot be read, or that the sink refuses, this often is set aside. */
  readonly tries: number;
}
