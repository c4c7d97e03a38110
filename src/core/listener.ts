/**
 * Listeners as the rest of the program sees them once the configuration is resolved.
 *
 * Pure values; certificate and key have already been read from their files.
 *
 * @packageDocumentation
 */
import type { DurationMs } from './clock.ts';
import type { Octets } from './octets.ts';

/** How a connection from an application is protected. */
export const LISTENER_TLS = ['off', 'starttls', 'implicit'] as const;

/** One of {@link LISTENER_TLS}. */
export type ListenerTls = (typeof LISTENER_TLS)[number];

/** The oldest TLS version accepted from an application. Old printers know nothing newer than TLS 1.0; upstream it is always 1.2. */
export type ListenerMinTls = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** What all listening sockets have. */
export interface ListenerSettings {
  /** `host:port`, unique among the listeners; for log lines. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly tls: ListenerTls;
  /** PEM text. Present with `key` unless `tls` is `off`. */
  readonly cert?: string;
  /** PEM text. */
  readonly key?: string;
  readonly minTls: ListenerMinTls;
}

/** What is put right for readers that trip on what a server says, or does not say. */
export interface ImapQuirks {
  /** The greeting says the capabilities. */
  readonly capabilityInGreeting: boolean;
  /** `CHARSET UTF-8` is left out of searches that need none. */
  readonly plainSearch: boolean;
  /** LIST says what well-known mailboxes are for, where the server does not. */
  readonly specialUse: boolean;
}

/** One listening socket for applications that read mail. */
export interface MailboxListenerSettings extends ListenerSettings {
  readonly protocol: 'imap' | 'pop3';
  /** Without a whole command for so long, an application that has not logged in is disconnected. */
  readonly loginTimeout: DurationMs;
  /** A session in which neither side has said anything for so long is ended. */
  readonly idleTimeout: DurationMs;
  /** Of IMAP. */
  readonly quirks?: ImapQuirks;
}

/** One listening socket for submission. */
export interface SmtpListenerSettings extends ListenerSettings {
  /** Ask for AUTH also from the networks of clients. */
  readonly requireAuth: boolean;
  /** Refuse AUTH and MAIL until the connection is encrypted. */
  readonly requireTls: boolean;
  /** Largest content accepted; announced as SIZE (RFC 1870). */
  readonly maxSize: Octets;
  /** Most forward-paths in one transaction (RFC 5321 §4.5.3.1.8 asks for at least 100). */
  readonly maxRecipients: number;
}
