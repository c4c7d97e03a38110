/**
 * An upstream mailbox with its credentials, as the rest of the program sees it once the configuration is resolved.
 *
 * Pure values. Secrets in here are plain strings, already read from their files; they are registered with the log scrubber at load. Two things are
 * read at use, since they change on their own: a federated token file, and what a command prints.
 *
 * @packageDocumentation
 */
import type { DurationMs, EpochMs } from './clock.ts';
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
  /** Concurrent sessions for reading, IMAP and POP3 together. */
  readonly mailboxSessions: number;
  /** Largest content that the mailbox may send, counted as on the wire after base64. */
  readonly maxSize: Octets;
}

/** Where and how to sign in and submit. Every `{tenant}` has been replaced. */
export interface Provider {
  readonly name: string;
  readonly authorizeUrl?: string;
  readonly tokenUrl: string;
  readonly deviceUrl?: string;
  /** Sent with the authorization request beside those of OAuth, where the provider gives no refresh token without them. */
  readonly authorizeParameters?: Readonly<Record<string, string>>;
  /** Where the browser is sent after a sign-in. Without a port, a loopback address gets any free one (RFC 8252 §7.3). */
  readonly redirectUri?: string;
  /** Asked for in addition when somebody signs in, so that the answer says who that was (OpenID Connect). */
  readonly identityScopes?: readonly string[];
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

/** A certificate registered for the application, with its key. */
export interface ClientCertificate {
  /** PEM; the certificate that belongs to the key, perhaps among others. */
  readonly cert: string;
  /** PEM, RSA; encrypted where there is a passphrase. */
  readonly key: string;
  readonly passphrase?: string;
}

/** How an application proves to a token endpoint which one it is (RFC 6749 §2.3). One of these; none for a public client. */
interface ClientProof {
  readonly clientSecret?: string;
  /** The provider tells nobody but the administrator; alerts come before this moment. */
  readonly clientSecretExpires?: EpochMs;
  readonly certificate?: ClientCertificate;
  /** Absolute path. The platform renews the token in it, so it is read for each request. */
  readonly federatedTokenFile?: string;
}

/** Somebody has signed in once; what came of it is renewed again and again. */
export interface RefreshTokenAuth extends ClientProof {
  readonly grant: 'refresh_token';
  readonly tenant?: string;
  readonly clientId: string;
  /** Seed only: rotated tokens live in state. A changed seed wins over them. */
  readonly refreshToken?: string;
  /** Replaces the provider's scopes. */
  readonly scopes?: readonly string[];
}

/** The application signs in as itself. */
export interface ClientCredentialsAuth extends ClientProof {
  readonly grant: 'client_credentials';
  readonly tenant?: string;
  readonly clientId: string;
  readonly managedIdentity?: never;
  /** Replaces the provider's application scopes. */
  readonly scopes?: readonly string[];
}

/** The machine signs in as the identity that its platform has given to it; there is no secret. */
export interface ManagedIdentityAuth {
  readonly grant: 'client_credentials';
  readonly managedIdentity: true;
  /** Of a user-assigned identity; absent for the one that belongs to the machine. */
  readonly clientId?: string;
  readonly scopes?: readonly string[];
}

/** A service account of Google acts for the mailbox (domain-wide delegation). */
export interface ServiceAccountAuth {
  readonly grant: 'service_account';
  readonly clientEmail: string;
  /** PEM, RSA, not encrypted. */
  readonly privateKey: string;
  /** Of the key, as Google lists it. */
  readonly privateKeyId?: string;
  /** Replaces the provider's scopes. */
  readonly scopes?: readonly string[];
}

/** A program prints the access token. */
export interface CommandAuth {
  readonly grant: 'command';
  /** Program and arguments; no shell reads them. */
  readonly command: readonly [program: string, ...args: string[]];
  /** Working directory. Absolute path. */
  readonly directory: string;
  readonly timeout: DurationMs;
  /** Names of environment variables that it gets besides a few that every program needs. */
  readonly passEnvironment: readonly string[];
}

/** User name (`smtpUser`) and password, for upstreams that still take them. There is no token. */
export interface BasicAuth {
  readonly grant: 'basic';
  readonly password: string;
}

/** How an account gets its access tokens, or signs in without one. */
export type AuthSettings = RefreshTokenAuth | ClientCredentialsAuth | ManagedIdentityAuth | ServiceAccountAuth | CommandAuth | BasicAuth;

/** True where the account signs in with access tokens; `basic` alone does not. */
export const usesTokens = (auth: AuthSettings): auth is Exclude<AuthSettings, BasicAuth> => auth.grant !== 'basic';

/** How a message travels: on a live upstream session while the application waits, or through the spool. */
export type DeliveryMode = 'auto' | 'direct' | 'queue';

/**
 * How POP3 is served: from the provider's POP3, from its IMAP, or from whichever works.
 */
export type Pop3Mode = 'proxy' | 'imap' | 'auto';

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
  /** Default: `auto`. */
  readonly pop3?: Pop3Mode;
}
