/**
 * What a refusal by an IMAP or POP3 server means: one table for both, as upstream/reply-table.ts is for submission.
 *
 * Pure. The first row that fits decides; a refusal of a sign-in that no row knows is about the token or the user.
 *
 * Sources: Exchange Online's answers as users have reported them; RFC 5530 (IMAP response codes), RFC 3206 and RFC 2449 §8 (POP3).
 *
 * @packageDocumentation
 */
import { type Healing, type Problem, type ProblemCode, problem } from '../core/problem.ts';
import { showLine } from './line-connection.ts';

interface Row {
  readonly pattern: RegExp;
  readonly code: ProblemCode;
  readonly cause: string;
  readonly heals?: Healing;
  readonly remedy?: string;
}

const MAILBOX =
  'Check that accounts[].mailbox is right and licensed, that IMAP and POP3 are on for it (Set-CASMailbox -Identity MAILBOX -ImapEnabled $true -PopEnabled $true), and that the user or application may open it (Add-MailboxPermission -Identity MAILBOX -User WHO -AccessRights FullAccess).';

const ROWS: readonly Row[] = [
  {
    pattern: /authenticated but not connected/i,
    code: 'UPSTREAM_MAILBOX_CLOSED',
    cause: 'The token is good, but the mailbox does not open for it; another token would not help.',
    remedy: MAILBOX,
  },
  {
    pattern: /(?:imap|pop3?)(?: access)? is (?:disabled|not enabled)|not enabled for (?:imap|pop)|(?:protocol|access) (?:is )?disabled/i,
    code: 'UPSTREAM_MAILBOX_CLOSED',
    cause: 'The protocol is switched off for the mailbox.',
    remedy: MAILBOX,
  },
  {
    pattern: /\[in-use\]|mailbox is (?:locked|in use)|unable to lock/i,
    code: 'UPSTREAM_BUSY',
    cause: 'Another session has the mailbox open; POP3 lets in one at a time (RFC 1939 §4).',
    heals: 'by-itself',
    remedy: 'Nothing: run it again once the other session is over.',
  },
  {
    pattern: /throttled|backoff|too many (?:simultaneous )?(?:connections|logins)|\[(?:limit|throttled|login-delay)\]/i,
    code: 'UPSTREAM_BUSY',
    cause: 'The server slows this mailbox down.',
    heals: 'by-itself',
    remedy: 'Nothing: run it again later. Other programs that use the mailbox count too.',
  },
  {
    pattern: /server unavailable|\[unavailable\]|\[sys\/temp\]|temporar|try again later/i,
    code: 'UPSTREAM_DEFERRED',
    cause: 'The server has a passing fault.',
    heals: 'by-itself',
    remedy: 'Nothing, if it passes: run it again in some minutes.',
  },
  {
    pattern: /protocol error/i,
    code: 'UPSTREAM_PROTOCOL',
    cause:
      'The server does not take the sign-in as a command. Exchange answers like this over POP3 where the token has more than 4096 characters.',
    remedy: 'Ask for fewer scopes (accounts[].auth.scopes), so that the token gets shorter, or use IMAP.',
  },
  {
    pattern: /accesstokenexpired|session invalidated/i,
    code: 'UPSTREAM_AUTH_REFUSED',
    cause: 'The server says that the token has expired.',
  },
];

const AT_SIGN_IN: Omit<Row, 'pattern'> = {
  code: 'UPSTREAM_AUTH_REFUSED',
  cause: 'The server does not accept the access token for this user.',
};

const AT_MAILBOX: Omit<Row, 'pattern'> = {
  code: 'UPSTREAM_MAILBOX_CLOSED',
  cause: 'The sign-in was accepted, but the mailbox does not open.',
  remedy: MAILBOX,
};

/** @param line - The answer that is no success, as it came. */
export function explainRefusal(step: 'auth' | 'access', target: string, line: string): Problem {
  const row = ROWS.find(({ pattern }) => pattern.test(line)) ?? (step === 'auth' ? AT_SIGN_IN : AT_MAILBOX);
  const finer = { ...(row.heals === undefined ? {} : { heals: row.heals }), ...(row.remedy === undefined ? {} : { remedy: row.remedy }) };
  return problem(row.code, `${row.cause} (${target}: ${showLine(line)})`, finer);
}
