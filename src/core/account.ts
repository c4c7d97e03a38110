/**
 * An upstream mailbox with its credentials, as the rest of the program sees it once the configuration is resolved.
 *
 * Pure values. Secrets in here are plain strings, already read from their files; they are registered with the log scrubber at load.
 *
 * @packageDocumentation
 */
import type { Octets } from './octets.ts';

/** The name of an account in the configuration. */
export type AccountName = string;

/** How a connection to a mail server is protected. Upstream, `off` does not exist (DESIGN: never clear text). */
export type UpstreamTls = 'starttls' | 'implicit';

/** A mail server of a provider. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly tls: UpstreamTls;
}

/** What the provider lets one mailbox do; we keep to it ourselves, so that it never has to refuse. */
export interface UpstreamLimits {
  /** Concurrent submission sessions. */
  readonly connections: number;
  readonly messagesPerMinute: number;
  /** Rolling 24 hours. */
  readonly recipientsPerDay: number;
  /** Largest content that the mailbox may send, counted as on the wire after base64. */
  readonly maxSize: Octets;
}

/** Where and how to sign in and submit. Every `{tenant}` has been replaced. */
export interface Provider {
  readonly name: string;
  readonly authorizeUrl?: string;
  readonly tokenUrl: string;
  readonly deviceUrl?: string;
  /** Scopes asked for with a delegated grant, including `offline_access` where the provider wants it. */
  readonly scopes: readonly string[];
  /** Scope asked for with client_credentials; one entry. */
  readonly applicationScopes: readonly string[];
  /** SASL mechanism to use upstream. */
  readonly mechanism: 'XOAUTH2' | 'OAUTHBEARER';
  readonly smtp: Endpoint;
  readonly imap?: Endpoint;
  readonly pop3?: Endpoint;
  /** PEM text trusted in addition to the system's roots, for mail and token hosts of this provider. */
  readonly ca?: string;
  readonly limits: UpstreamLimits;
}

/** How an account gets its access tokens. */
export type AuthSettings =
  | {
      readonly grant: 'refresh_token';
      readonly tenant?: string;
      readonly clientId: string;
      readonly clientSecret?: string;
      /** Seed only: rotated tokens live in state. A changed seed wins over them. */
      readonly refreshToken?: string;
      /** Replaces the provider's scopes. */
      readonly scopes?: readonly string[];
    }
  | {
      readonly grant: 'client_credentials';
      readonly tenant?: string;
      readonly clientId: string;
      readonly clientSecret: string;
      /** Replaces the provider's application scopes. */
      readonly scopes?: readonly string[];
    };

/** How a message travels: on a live upstream session while the application waits, or through the spool. */
export type DeliveryMode = 'auto' | 'direct' | 'queue';

/** One configured upstream mailbox. */
export interface Account {
  readonly name: AccountName;
  readonly provider: Provider;
  /** XOAUTH2 user for IMAP and POP3; default sender. */
  readonly mailbox: string;
  /** XOAUTH2 user for SMTP: the mailbox, or the delegate of a shared one. */
  readonly smtpUser: string;
  readonly auth: AuthSettings;
  readonly delivery: DeliveryMode;
}
