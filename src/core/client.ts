/**
 * A local credential or network that may submit and read mail, and as whom.
 *
 * Pure values.
 *
 * @packageDocumentation
 */
import type { AccountName } from './account.ts';

/** A password, or what tells that one is right. */
export type PlainSecret =
  | { readonly kind: 'password'; readonly password: string }
  /** As printed by `postern hash-password`. */
  | { readonly kind: 'hash'; readonly hash: string };

/** How a client proves who it is when it logs in. */
export type ClientSecret =
  | PlainSecret
  /** Of an application that comes from email-oauth2-proxy: its password is the one that opens what that has encrypted. */
  | { readonly kind: 'sealed'; readonly sealed: SealedCredentials }
  /** Somebody else knows, and is asked; `id` tells one such secret from the next. {@link Client}s of the configuration have none of these. */
  | { readonly kind: 'asked'; readonly id: string; readonly ask: (password: string) => Promise<PasswordVerdict> };

/** `busy`: too many derivations wait already; the client should try again. */
export type PasswordVerdict = 'right' | 'wrong' | 'busy';

/**
 * Tokens as email-oauth2-proxy keeps them: each a Fernet token, its key derived from the password that the application logs in with
 * (PBKDF2-HMAC-SHA256, 32 octets). At least one of the two is there.
 */
export interface SealedCredentials {
  /** Base64. */
  readonly salt: string;
  readonly iterations: number;
  readonly refreshToken?: string;
  /** Long expired; it proves the password where there is no refresh token (client credentials, service accounts). */
  readonly accessToken?: string;
}

/** One configured client. It has a login, networks, or both. */
export interface Client {
  readonly name: string;
  readonly account: AccountName;
  /** Absent for a client known by its network only. */
  readonly login?: { readonly username: string; readonly secret: ClientSecret };
  /** CIDR blocks that need no AUTH, for example `10.1.0.0/16`; IPv4-mapped IPv6 peers match their IPv4 block. */
  readonly networks: readonly string[];
  /** Addresses, or `*@domain`, allowed as reverse-path and in From. Default: the account's mailbox. */
  readonly senders: readonly string[];
  /** What happens to a message from another sender; `rewriteTo` is the account's mailbox, which takes that sender's place. */
  readonly onOtherSender: 'refuse' | { readonly rewriteTo: string };
  /** Undefined: no limit of our own. */
  readonly messagesPerMinute?: number;
  /** IMAP and POP3 sessions at once. Undefined: no limit of our own. */
  readonly mailboxSessions?: number;
}
