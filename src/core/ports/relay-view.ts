/**
 * How a relay that runs is, for whoever operates it.
 *
 * The values are documents, ready to become JSON: moments are texts in ISO 8601, UTC. None holds a secret.
 *
 * @packageDocumentation
 */
import type { ListenerTls } from '../listener.ts';
import type { Problem } from '../problem.ts';

/** Something that listens. */
export interface ListenerView {
  /** `host:port`. */
  readonly name: string;
  readonly protocol: string;
  readonly tls: ListenerTls;
  readonly isOpen: boolean;
  /** Sessions that are open. */
  readonly sessions: number;
}

/** Whether applications can submit. The upstream is no part of it: an outage there is no reason to restart a relay that holds mail. */
export interface Readiness {
  readonly isReady: boolean;
  /** What keeps it from being ready. */
  readonly reasons: readonly string[];
}

/** The configuration in use, and what became of the last one that was found. */
export interface ConfigurationView {
  /** When the one in use was taken over. */
  readonly loadedAt: string;
  /** How often one was taken over since the start. */
  readonly reloads: number;
  /** Why the one that is there now is not in use, or not wholly. */
  readonly problem?: Problem;
  readonly problemSince?: string;
}

/** The relay as a whole. */
export interface StatusView extends Readiness {
  readonly version: string;
  readonly startedAt: string;
  readonly uptimeSeconds: number;
  readonly source: string;
  readonly configuration: ConfigurationView;
  readonly listeners: readonly ListenerView[];
  readonly accounts: { readonly total: number; readonly open: number };
  readonly queue: {
    readonly messages: number;
    readonly held: number;
    readonly octets: number;
    readonly limitOctets: number;
    readonly quarantined: number;
  };
}

/** One account. */
export interface AccountView {
  readonly name: string;
  readonly provider: string;
  readonly mailbox: string;
  readonly smtpUser: string;
  readonly grant: string;
  readonly delivery: string;
  /** Whether it submits now; `open`, or why its mail waits. */
  readonly state: string;
  /** Why it does not. */
  readonly problem?: Problem;
  /** Absent where it signs in with a password. */
  readonly token?: {
    readonly state: string;
    readonly obtainedAt?: string;
    readonly expiresAt?: string;
    readonly retryAt?: string;
    readonly problem?: Problem;
  };
  readonly queue: { readonly messages: number; readonly held: number; readonly oldestAcceptedAt?: string };
  readonly connections: { readonly open: number; readonly limit: number };
  /** What it may still submit without waiting. */
  readonly pace: { readonly messagesLeft: number; readonly recipientsLeft: number };
  /** When its secrets end, where that is known. */
  readonly secrets: readonly { readonly secret: string; readonly endsAt: string }[];
}

/** One client. */
export interface ClientView {
  readonly name: string;
  readonly account: string;
  readonly username?: string;
  /** Whether it proves itself with a password. */
  readonly hasPassword: boolean;
  readonly networks: readonly string[];
  readonly senders: readonly string[];
  readonly onOtherSender: 'refuse' | 'rewrite';
  readonly messagesPerMinute?: number;
}

/** Implementation: app/relay-view.ts. */
export interface RelayView {
  /** Whether applications can submit now. */
  readiness(): Readiness;

  /** The relay as a whole, as it is now. */
  status(): Promise<StatusView>;

  /** In the order of the configuration. */
  accounts(): Promise<readonly AccountView[]>;

  /** In the order of the configuration. */
  clients(): readonly ClientView[];

  /**
   * Ask for a new access token now.
   *
   * @returns When it expires; undefined where there is no such account, or it has no tokens.
   * @throws ProblemError
   */
  refreshToken(account: string): Promise<string | undefined>;
}
