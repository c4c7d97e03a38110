/**
 * What the two local dialogues, IMAP's and POP3's, have in common: what they need, and what comes of them.
 *
 * @packageDocumentation
 */
import type { SecureContext } from 'node:tls';
import type { Client } from '../core/client.ts';
import type { ImapQuirks } from '../core/listener.ts';
import type { OpenMailbox } from '../core/ports/mailbox.ts';
import type { Problem } from '../core/problem.ts';
import type { LoginGate } from '../policy/login-gate.ts';
import type { AppConnection } from './app-connection.ts';

/** What a dialogue needs. */
export interface FrontDependencies {
  readonly connection: AppConnection;
  readonly gate: LoginGate;
  /** Present where STARTTLS or STLS is offered. */
  readonly starttls: SecureContext | undefined;
  /** Of IMAP. */
  readonly quirks: ImapQuirks;
  /** Open the mailbox of a client that has logged in. What stands in the way is a value: the dialogue goes on. */
  readonly enter: (client: Client) => Promise<OpenMailbox | Problem>;
  /** A password was about to come in clear text from afar. */
  readonly noteClearText: () => void;
}

/** The application is in: from here on everything goes upstream. */
export interface Entry {
  readonly mailbox: OpenMailbox;
  /** Line to the application, with line end, before anything that the upstream says. */
  readonly answer: string;
}

/** An operator's log should not say more than a person can use; so many octets a line of a login may have (RFC 4954 §4 for SASL). */
export const LONGEST_LINE = 12_288 + 1024;

/** Narrows what `enter` gives. */
export const isProblem = (entered: OpenMailbox | Problem): entered is Problem => 'remedy' in entered;
