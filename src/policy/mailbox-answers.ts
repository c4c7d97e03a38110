/**
 * What a refusal by an IMAP or POP3 server means: one table for both, for the proxy and for the examination; in form and vocabulary it is that of
 * submission (upstream/reply-table.ts).
 *
 * Pure. The first row that fits decides. A NO or -ERR to a sign-in that no row knows is about the token or the user; a BYE or BAD that no row knows says
 * nothing about either, so it counts as transient.
 *
 * Sources: Exchange Online's answers as users have reported them; RFC 5530 (IMAP response codes), RFC 3206 and RFC 2449 §8 (POP3).
 *
 * @packageDocumentation
 */
import { type DurationMs, hours, milliseconds, seconds } from '../core/clock.ts';
import { type Healing, type Problem, type ProblemCode, problem } from '../core/problem.ts';
import { showLine } from '../core/reply.ts';
import type { ReplyMeaning, ReplyVerdict } from '../core/reply-meaning.ts';

interface Row {
  /** Stable; for log lines and tests. */
  readonly name: string;
  readonly verdict: ReplyVerdict;
  readonly code: ProblemCode;
  readonly cause: string;
  readonly remedy?: string;
  /** Where the server does not say. */
  readonly retryAfter?: DurationMs;
}

const MAILBOX =
  'Check that accounts[].mailbox is right and licensed, that IMAP and POP3 are on for it (Set-CASMailbox -Identity MAILBOX -ImapEnabled $true -PopEnabled $true), and that the user or application may open it (Add-MailboxPermission -Identity MAILBOX -User WHO -AccessRights FullAccess).';

/** What the server said, in the order in which the patterns are tried. */
const ROWS: readonly (Row & { readonly pattern: RegExp })[] = [
  {
    name: 'not-connected',
    pattern: /authenticated but not connected/i,
    verdict: 'config',
    code: 'UPSTREAM_MAILBOX_CLOSED',
    cause: 'The token is good, but the mailbox does not open for it; another token would not help.',
    remedy: MAILBOX,
  },
  {
    name: 'protocol-off',
    pattern: /(?:imap|pop3?)(?: access)? is (?:disabled|not enabled)|not enabled for (?:imap|pop)|(?:protocol|access) (?:is )?disabled/i,
    verdict: 'config',
    code: 'UPSTREAM_MAILBOX_CLOSED',
    cause: 'The protocol is switched off for the mailbox.',
    remedy: MAILBOX,
  },
  {
    name: 'in-use',
    pattern: /\[in-?use\]|mailbox is (?:locked|in use)|unable to lock/i,
    verdict: 'transient',
    code: 'UPSTREAM_MAILBOX_IN_USE',
    cause: 'Another session has the mailbox open; POP3 lets in one at a time (RFC 1939 §4).',
    remedy: 'Nothing: it passes once the other session is over.',
    retryAfter: seconds(5),
  },
  {
    name: 'throttled',
    pattern: /throttled|backoff|too many (?:simultaneous )?(?:connections|logins)|\[(?:limit|throttled|login-delay)\]/i,
    verdict: 'transient',
    code: 'UPSTREAM_BUSY',
    cause: 'The server slows this mailbox down.',
    remedy:
      'Nothing: it passes. Other programs that use the mailbox count too; let all of them look for mail less often if it happens again.',
    retryAfter: seconds(30),
  },
  {
    name: 'unavailable',
    pattern: /server unavailable|\[unavailable\]|\[sys\/temp\]|temporar|try again later/i,
    verdict: 'transient',
    code: 'UPSTREAM_DEFERRED',
    cause: 'The server has a passing fault.',
    remedy: 'Nothing, if it passes.',
  },
  {
    name: 'sign-in-not-understood',
    pattern: /protocol error/i,
    verdict: 'config',
    code: 'UPSTREAM_PROTOCOL',
    cause:
      'The server does not take the sign-in as a command. Exchange answers like this over POP3 where the token has more than 4096 characters.',
    remedy: 'Ask for fewer scopes (accounts[].auth.scopes), so that the token gets shorter, or use IMAP.',
  },
  {
    name: 'token-expired',
    pattern: /accesstokenexpired|session invalidated|\[expired\]/i,
    verdict: 'auth',
    code: 'UPSTREAM_AUTH_REFUSED',
    cause: 'The server says that the token has expired.',
  },
  {
    name: 'not-authorised',
    pattern: /\[(?:authorizationfailed|contactadmin|sys\/perm)\]/i,
    verdict: 'config',
    code: 'UPSTREAM_MAILBOX_CLOSED',
    cause: 'The server knows the user and does not let it into the mailbox.',
    remedy: MAILBOX,
  },
];

const AT_SIGN_IN: Row = {
  name: 'sign-in-refused',
  verdict: 'auth',
  code: 'UPSTREAM_AUTH_REFUSED',
  cause: 'The server does not accept the access token for this user.',
};

const AT_MAILBOX: Row = {
  name: 'mailbox-refused',
  verdict: 'config',
  code: 'UPSTREAM_MAILBOX_CLOSED',
  cause: 'The sign-in was accepted, but the mailbox does not open.',
  remedy: MAILBOX,
};

/** A goodbye is about the connection: whatever it says, it does not judge the token. */
const ENDED: Row = {
  name: 'session-ended',
  verdict: 'transient',
  code: 'UPSTREAM_DEFERRED',
  cause: 'The server ended the connection.',
  remedy: 'Nothing, if it passes. If it lasts, the text of the server says more.',
};

const NOT_UNDERSTOOD: Row = {
  name: 'command-not-understood',
  verdict: 'transient',
  code: 'UPSTREAM_PROTOCOL',
  cause: 'The server does not understand the sign-in.',
};

const HEALING: Readonly<Record<ReplyVerdict, Healing>> = {
  transient: 'by-itself',
  quota: 'by-itself',
  permanent: 'never',
  auth: 'after-repair',
  config: 'after-repair',
  blocked: 'after-repair',
};

/**
 * Look a refusal up.
 *
 * @param step - `auth`: the sign-in was answered with it. `access`: anything before or after.
 * @param target - `host:port`, for the cause.
 * @param line - The answer that is no success, without tag: `NO …`, `BAD …`, `BYE …`, `-ERR …`; several are joined by ` / `.
 */
export function classifyRefusal(step: 'auth' | 'access', target: string, line: string): ReplyMeaning {
  const row: Row = ROWS.find(({ pattern }) => pattern.test(line)) ?? unknown(step, line);
  const retryAfter = suggestedBackoff(line) ?? row.retryAfter;
  const finer = { heals: HEALING[row.verdict], ...(row.remedy === undefined ? {} : { remedy: row.remedy }) };
  const wait = row.name === 'throttled' && retryAfter !== undefined ? ` It asks to wait ${Math.ceil(retryAfter / 1000)} s.` : '';
  return {
    row: row.name,
    verdict: row.verdict,
    scope: 'account',
    problem: problem(row.code, `${row.cause}${wait} (${target}: ${showLine(line)})`, finer),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}

/** What the operator is told about a refusal. */
export const explainRefusal = (step: 'auth' | 'access', target: string, line: string): Problem =>
  classifyRefusal(step, target, line).problem;

function unknown(step: 'auth' | 'access', line: string): Row {
  if (/^BYE\b/i.test(line)) return ENDED;
  if (step === 'access') return AT_MAILBOX;
  return /^BAD\b/i.test(line) ? NOT_UNDERSTOOD : AT_SIGN_IN;
}

const LONGEST_BACKOFF = hours(1);

/** Exchange: `Request is throttled. Suggested Backoff Time: 299883 milliseconds`. */
function suggestedBackoff(line: string): DurationMs | undefined {
  const wait = /suggested backoff time: (\d{1,9})/i.exec(line)?.[1];
  return wait === undefined ? undefined : milliseconds(Math.min(Number(wait), LONGEST_BACKOFF));
}
