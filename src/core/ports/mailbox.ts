/**
 * Opening a mailbox at its provider, for an application that reads mail with IMAP or POP3.
 *
 * Implementation: mailbox/mailboxes.ts.
 *
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import type { AccountName } from '../account.ts';
import type { DurationMs, EpochMs } from '../clock.ts';
import { type Problem, ProblemError } from '../problem.ts';

/** How a mailbox is read. */
export type MailboxProtocol = 'imap' | 'pop3';

/** What is asked for. */
export interface MailboxRequest {
  readonly protocol: MailboxProtocol;
  readonly account: AccountName;
  /** Nobody waits for the answer any more. */
  readonly signal?: AbortSignal;
}

/** A session at the provider that has signed in: IMAP in authenticated state (RFC 9051 §3.2), POP3 in TRANSACTION state (RFC 1939 §5). */
export interface OpenMailbox {
  readonly protocol: MailboxProtocol;
  /** `host:port`, for log lines. */
  readonly upstream: string;
  /** SASL user of the session. */
  readonly user: string;
  /** Verified TLS. Paused, with a listener for `error` and no other. Whoever has it gives the session back with {@link OpenMailbox.close}. */
  readonly socket: Duplex;
  /** What the server said behind its answer to the sign-in; comes before what is read from the socket. Mostly empty. */
  readonly rest: Buffer;
  /** IMAP: what CAPABILITY lists after the sign-in, as the server spells it. POP3: the lines of CAPA, without the dot; empty where there is no CAPA. */
  readonly capabilities: readonly string[];
  /** Absent where there is no token: a password does not end. */
  readonly tokenExpiresAt?: EpochMs;
  /** End the connection, and give its place among the sessions of the account to the next. Harmless when repeated. */
  close(): void;
}

/** The mailbox could not be opened. */
export class MailboxError extends ProblemError {
  override readonly name = 'MailboxError';
  /** Name of the row in policy/mailbox-answers.ts that knows the server's refusal; absent where the server did not refuse. */
  readonly row: string | undefined;
  /** Earliest moment at which another attempt makes sense; absent where nobody knows. */
  readonly retryAfter: DurationMs | undefined;
  constructor(what: Problem, details: ErrorOptions & { readonly row?: string; readonly retryAfter?: DurationMs | undefined } = {}) {
    super(what, details);
    this.row = details.row;
    this.retryAfter = details.retryAfter;
  }
}

/** The mailboxes of all accounts. */
export interface MailboxUpstream {
  /**
   * Connect and sign in. A refusal that another token may cure is answered with one forced refresh and one more try.
   *
   * @throws MailboxError `UPSTREAM_…` or `TOKEN_…`. Its problem says whether that heals by itself. Never waits longer than a minute.
   */
  open(request: MailboxRequest): Promise<OpenMailbox>;
}
