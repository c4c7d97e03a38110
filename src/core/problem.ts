/**
 * What can go wrong, as a value an operator can act on.
 *
 * A problem says what happened, whether it heals by itself, and the exact step that fixes it. It is one source for the log, the CLI, the
 * pages and docs/errors.md (generated from {@link PROBLEMS}; a test fails when that file is stale). What a client reads on the wire is a
 * {@link ./reply.ts | Reply} and is kept apart: neither holds a secret.
 *
 * @packageDocumentation
 */

/** Whether waiting is enough. `after-repair`: mail waits or is deferred until the operator has acted. */
export type Healing = 'by-itself' | 'after-repair' | 'never';

/** One row of the catalogue. */
export interface ProblemKind {
  /** One sentence: what happened. */
  readonly summary: string;
  readonly heals: Healing;
  /** One or two sentences: the exact step, with command or portal path. */
  readonly remedy: string;
}

/** Problems by code. Rooms with a finer table of their own (Entra errors, upstream replies) use these codes and replace the texts. */
export const PROBLEMS = {
  TOKEN_ENDPOINT_UNREACHABLE: {
    summary: 'The token endpoint could not be reached.',
    heals: 'by-itself',
    remedy: 'Nothing, if it passes. Else check DNS, proxy and firewall for the host of the token URL: postern doctor ACCOUNT.',
  },
  TOKEN_ENDPOINT_BUSY: {
    summary: 'The token endpoint answered that it is busy or broken (429 or 5xx).',
    heals: 'by-itself',
    remedy: 'Nothing: Postern waits as long as the endpoint asks and tries again. The account is not marked bad.',
  },
  TOKEN_ENDPOINT_NONSENSE: {
    summary: 'The token endpoint answered with something that is not a token response.',
    heals: 'by-itself',
    remedy: 'If it goes on, a proxy or portal may answer in its place: open the token URL with curl from this machine and look.',
  },
  TOKEN_REAUTH_REQUIRED: {
    summary: 'The refresh token is no longer accepted; somebody has to sign in again.',
    heals: 'after-repair',
    remedy: 'Sign in as the mailbox and store the new refresh token: postern login ACCOUNT (or replace the refreshToken secret file).',
  },
  TOKEN_POLICY: {
    summary: 'A rule of the organisation refuses this sign-in (Conditional Access, disabled user, missing consent).',
    heals: 'after-repair',
    remedy: 'Ask the tenant administrator to look up the trace id in Entra admin centre > Sign-in logs and allow this application.',
  },
  TOKEN_MISCONFIGURED: {
    summary: 'The provider refuses the configured client id, secret, tenant or scope.',
    heals: 'after-repair',
    remedy: 'Correct the named key under accounts[].auth in postern.yaml; the stored refresh token stays valid and is used again.',
  },
  TOKEN_LOOP: {
    summary: 'The provider says that this client asks for the same token again and again.',
    heals: 'by-itself',
    remedy: 'Nothing: Postern pauses for at least five minutes. If it comes back, report it with the log lines around it.',
  },
  TOKEN_MISSING: {
    summary: 'The account has neither a stored refresh token nor one in its configuration.',
    heals: 'after-repair',
    remedy: 'Set accounts[].auth.refreshToken, or sign in: postern login ACCOUNT.',
  },
  TOKEN_STORE_FAILED: {
    summary: 'The token store could not be read or written.',
    heals: 'after-repair',
    remedy: 'Check free space, owner and permissions (0700) of state.dir and that state.keyFile is the key the state was written with.',
  },
  STATE_KEY_UNUSABLE: {
    summary: 'The key file of the state cannot be used. Nothing was read or written.',
    heals: 'after-repair',
    remedy: 'Make state.keyFile a file of the user that runs Postern, with mode 0600, holding the key the state was written with.',
  },
  UPSTREAM_UNREACHABLE: {
    summary: 'The upstream could not be reached (DNS, connect or network).',
    heals: 'by-itself',
    remedy: 'Check that this machine may reach the host and port named: postern doctor ACCOUNT. Many networks block port 25, some 587.',
  },
  UPSTREAM_TLS_FAILED: {
    summary: 'The upstream did not offer TLS, or its certificate was not accepted. Nothing was sent.',
    heals: 'after-repair',
    remedy: 'If a firewall inspects mail, exempt the host or name its CA in providers.NAME.caFile. Postern never goes on in clear text.',
  },
  UPSTREAM_TIMEOUT: {
    summary: 'The upstream did not answer in time.',
    heals: 'by-itself',
    remedy: 'Nothing, if it passes. The log line names the step that took too long.',
  },
  UPSTREAM_PROTOCOL: {
    summary: 'The upstream sent something that is not the protocol expected.',
    heals: 'by-itself',
    remedy: 'Check host and port of the provider; a captive portal or another service may answer there.',
  },
  UPSTREAM_LOST: {
    summary: 'The upstream closed the connection in the middle of a transaction, before the message was complete.',
    heals: 'by-itself',
    remedy: 'Nothing: the message was not delivered and the application was told to try again.',
  },
  UPSTREAM_AMBIGUOUS: {
    summary: 'The connection was lost after the whole message was sent and before the upstream answered: it may have been delivered.',
    heals: 'by-itself',
    remedy: 'Look for the Message-ID in the mailbox before sending it again by hand; a retry may deliver it twice.',
  },
  UPSTREAM_AUTH_REFUSED: {
    summary: 'The upstream refused the access token twice, the second time a fresh one.',
    heals: 'after-repair',
    remedy: 'Check mailbox and smtpUser, the scopes, and that SMTP AUTH is enabled for the mailbox: postern doctor ACCOUNT.',
  },
  UPSTREAM_SMTP_AUTH_DISABLED: {
    summary: 'SMTP AUTH is switched off for the mailbox or the tenant; a new token cannot help.',
    heals: 'after-repair',
    remedy: 'In Exchange Online PowerShell: Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false (wait some minutes).',
  },
  UPSTREAM_XOAUTH2_MISSING: {
    summary: 'The upstream does not offer XOAUTH2. The token was not sent.',
    heals: 'after-repair',
    remedy: 'Check host and port of the provider; submission is smtp.office365.com:587 for Microsoft 365.',
  },
  UPSTREAM_MISCONFIGURED: {
    summary: 'A setting of the mailbox, the tenant or the provider keeps the upstream from taking mail of this account.',
    heals: 'after-repair',
    remedy: 'Read the reply in the log line and correct the setting that it names: postern doctor ACCOUNT.',
  },
  UPSTREAM_BLOCKED: {
    summary: 'The provider has blocked this mailbox or tenant from sending.',
    heals: 'after-repair',
    remedy:
      'Find out what was sent, then lift the block: Microsoft Defender portal > Email & collaboration > Review > Restricted entities.',
  },
  UPSTREAM_QUOTA: {
    summary: 'The mailbox or tenant has used up what the provider lets it send in a day.',
    heals: 'by-itself',
    remedy: 'Nothing: the window slides. If it happens often, spread the load over more mailboxes.',
  },
  UPSTREAM_BUSY: {
    summary: 'All upstream connections of the account were in use for too long, or the upstream asked to slow down.',
    heals: 'by-itself',
    remedy: 'Nothing. If it happens often, spread the load over more mailboxes: a mailbox has three connections and 30 messages a minute.',
  },
  UPSTREAM_REFUSED: {
    summary: 'The upstream refused the sender, a recipient or the content; its reply was passed on.',
    heals: 'never',
    remedy: 'Read the reply: it names the address or rule. The application must correct the message.',
  },
  UPSTREAM_DEFERRED: {
    summary: 'The upstream cannot take the message now; its reply was passed on.',
    heals: 'by-itself',
    remedy: 'Nothing: the application tries again.',
  },
  CLIENT_UNKNOWN: {
    summary: 'A connection gave a user name that no client in the configuration has, or came from a network that none names.',
    heals: 'after-repair',
    remedy: 'Add the user name or the network under clients: in postern.yaml.',
  },
  CLIENT_PASSWORD_WRONG: {
    summary: 'A client gave a wrong password.',
    heals: 'after-repair',
    remedy: 'Correct the password in the application, or set a new one under clients: (postern hash-password).',
  },
  CLIENT_THROTTLED: {
    summary: 'A client or network made too many failed logins or sent too fast, and has to wait.',
    heals: 'by-itself',
    remedy: 'Correct the application; raise clients[].rate if the pace is wanted.',
  },
  CLIENT_TLS_FAILED: {
    summary: 'A client and a listener could not agree on TLS.',
    heals: 'after-repair',
    remedy: 'Give the application the encryption setting of the listener it uses: none, STARTTLS or implicit TLS (SSL).',
  },
  SENDER_NOT_ALLOWED: {
    summary: 'A client used a sender address that it may not use.',
    heals: 'after-repair',
    remedy: "Add the address to clients[].senders, or let the application send as the account's mailbox.",
  },
  MESSAGE_TOO_LARGE: {
    summary: 'The message is larger than the listener or the account allows.',
    heals: 'never',
    remedy: 'Send less, or raise maxSize of the listener and limits.maxSize of the provider as far as the mailbox allows.',
  },
  MESSAGE_MALFORMED: {
    summary: 'The message or a command breaks the rules in a way that cannot be repaired.',
    heals: 'never',
    remedy: 'Correct the application; the reply names the rule.',
  },
  MESSAGE_LOOP: {
    summary: 'The message has passed too many servers and probably goes in a circle.',
    heals: 'never',
    remedy: 'Look at its Received fields for two servers that send to each other; a rule that redirects to this relay is the usual cause.',
  },
  REPLY_UNDELIVERED: {
    summary: 'The application closed the connection before the reply to its message; it may not have read it.',
    heals: 'never',
    remedy: 'The message was dealt with as the reply says. The application may send it again: give it a longer time-out.',
  },
  SUBMISSION_ABORTED: {
    summary: 'The application closed the connection before the message was complete. Nothing was delivered.',
    heals: 'never',
    remedy: "Look at the application's own time-outs if this was not wanted.",
  },
  CONFIG_INVALID: {
    summary: 'The configuration has errors.',
    heals: 'after-repair',
    remedy: 'Correct the lines named; postern check lists all of them.',
  },
  LISTENER_FAILED: {
    summary: 'A listener could not be opened.',
    heals: 'after-repair',
    remedy:
      'Another program may hold the port (ss -ltnp), or a port below 1024 needs a privilege. Change listeners: or stop the other one.',
  },
  SANDBOX_FAILED: {
    summary: 'The sandbox could not be started.',
    heals: 'after-repair',
    remedy:
      'Free its ports (8026 for HTTP, 2587 for SMTP; ss -ltnp shows who holds them), and let this user write to the folder sandbox in state.dir.',
  },
  SPOOL_FULL: {
    summary: 'The queue is at its limit, or the disk it is on has too little room left.',
    heals: 'by-itself',
    remedy:
      'It drains by itself once the upstream takes mail again. Else free space on the disk of state.dir, or raise delivery.queueLimit.',
  },
  SPOOL_FAILED: {
    summary: 'The queue could not be written or read. The message was not accepted and will not be delivered.',
    heals: 'after-repair',
    remedy: 'Check the disk of state.dir: kernel log (dmesg), mount options, permissions (0700), limit of open files.',
  },
  SPOOL_DAMAGED: {
    summary: 'A part of the queue on disk does not match its checksum. What it belongs to was set aside whole and is not delivered.',
    heals: 'never',
    remedy: 'Look at the .json file in the quarantine folder of the queue; check the disk. The message may have to be sent again.',
  },
  SPOOL_LOCKED: {
    summary: 'Another process uses the queue.',
    heals: 'after-repair',
    remedy: 'Stop the other Postern, or give this one a state.dir of its own.',
  },
  SPOOL_FORMAT_NEWER: {
    summary: 'The queue was written by a newer Postern. Nothing was read or changed.',
    heals: 'after-repair',
    remedy: 'Start the newer version again, let it drain the queue, then go back.',
  },
  SPOOL_ENTRY_UNKNOWN: {
    summary: 'There is no such message in the queue; it may have been delivered or dropped meanwhile.',
    heals: 'never',
    remedy: 'List what is there: postern queue list.',
  },
  HELD_BY_OPERATOR: {
    summary: 'An operator has put the message on hold.',
    heals: 'after-repair',
    remedy: 'Let it go with postern queue release ID, or discard it with postern queue drop ID.',
  },
  INTERNAL: {
    summary: 'A defect in Postern. The message, if any, was not accepted.',
    heals: 'never',
    remedy: 'Report it with the log lines around it.',
  },
} as const satisfies Record<string, ProblemKind>;

/** A code of the catalogue. */
export type ProblemCode = keyof typeof PROBLEMS;

/** One occurrence. */
export interface Problem {
  readonly code: ProblemCode;
  /** One line: what happened here, with host, port, step or reply; never a secret. */
  readonly cause: string;
  readonly heals: Healing;
  readonly remedy: string;
}

/** An occurrence of `code`; texts that a finer table knows better replace those of the catalogue. */
export function problem(code: ProblemCode, cause?: string, finer: { heals?: Healing; remedy?: string } = {}): Problem {
  const kind: ProblemKind = PROBLEMS[code];
  return { code, cause: cause ?? kind.summary, heals: finer.heals ?? kind.heals, remedy: finer.remedy ?? kind.remedy };
}

/** An I/O operation that failed in a known way. Thrown by ports; refusals of single messages are values, not exceptions. */
export class ProblemError extends Error {
  override readonly name: string = 'ProblemError';
  readonly problem: Problem;
  constructor(what: Problem, options?: ErrorOptions) {
    super(`${what.code}: ${what.cause}`, options);
    this.problem = what;
  }
}
