/**
 * The envelope of a message: who gets it back, who gets it, and the extension parameters that travel with both (RFC 5321 §2.3.1).
 *
 * Pure. Every string in here has been checked by the listener's address parser before it becomes an envelope, so that it can be written
 * to an upstream as it is: no control character, no `<` or `>`, no space outside a quoted local part.
 *
 * @packageDocumentation
 */
import type { Octets } from './octets.ts';

/** MAIL FROM. The null reverse-path is `''` (RFC 5321 §4.5.5). */
export type ReversePath = string;

/** Extension parameters of MAIL that we understand; all others are refused with 555. */
export interface MailParameters {
  /** RFC 1870; what the client declared, not what it sends. */
  readonly size?: Octets;
  /** RFC 6152. */
  readonly body?: '7BIT' | '8BITMIME';
  /** RFC 6531. */
  readonly isSmtpUtf8: boolean;
  /** RFC 8689. */
  readonly isRequireTls: boolean;
  /** RFC 3461 §4.3: what a failure report returns. */
  readonly ret?: 'FULL' | 'HDRS';
  /** RFC 3461 §4.4, still in xtext, at most 100 characters. */
  readonly envid?: string;
}

/** A recipient: address and RFC 3461 parameters. */
export interface ForwardPath {
  readonly address: string;
  /** RFC 3461 §4.1. Undefined where the client did not say. */
  readonly notify?: readonly ['NEVER'] | readonly ('SUCCESS' | 'FAILURE' | 'DELAY')[];
  /** RFC 3461 §4.2: `rfc822;` and the original address in xtext. */
  readonly orcpt?: string;
}

/** Everything about a message but its content. */
export interface Envelope {
  readonly reversePath: ReversePath;
  readonly parameters: MailParameters;
  readonly forwardPaths: readonly ForwardPath[];
}
