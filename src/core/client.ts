/**
 * A local credential or network that may submit and read mail, and as whom.
 *
 * Pure values.
 *
 * @packageDocumentation
 */
import type { AccountName } from './account.ts';

/** How a client proves who it is when it logs in. */
export type ClientSecret =
  | { readonly kind: 'password'; readonly password: string }
  /** As printed by `postern hash-password`. */
  | { readonly kind: 'hash'; readonly hash: string };

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
