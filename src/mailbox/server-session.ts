/**
 * One connection to an IMAP or POP3 server, up to the sign-in: what both protocols have in common.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import type { Endpoint } from '../core/account.ts';
import { MailboxError } from '../core/ports/mailbox.ts';
import { type ProblemCode, problem } from '../core/problem.ts';
import { showLine } from '../core/reply.ts';
import type { ReplyMeaning } from '../core/reply-meaning.ts';
import { classifyRefusal } from '../policy/mailbox-answers.ts';

/** What to show to the server. Nothing of it is ever logged. */
export type MailboxCredentials =
  | { readonly mechanism: 'XOAUTH2' | 'OAUTHBEARER'; readonly user: string; readonly accessToken: string }
  | { readonly mechanism: 'password'; readonly user: string; readonly password: string };

/** A session that has signed in, and what is to be known of it. */
export interface SignedIn {
  readonly socket: Socket;
  readonly rest: Buffer;
  readonly capabilities: readonly string[];
}

/** A refusal is a value: another token may help. `meaning` says whether. */
export type SignInOutcome =
  | { readonly kind: 'signed-in'; readonly session: SignedIn }
  | { readonly kind: 'refused'; readonly meaning: ReplyMeaning };

/** The server said no before anything depended on credentials, or after it had accepted them. */
export function turnedAway(target: string, line: string): MailboxError {
  return refusedWith(classifyRefusal('access', target, line));
}

/** The error for a refusal that stands. */
export function refusedWith(meaning: ReplyMeaning): MailboxError {
  return new MailboxError(meaning.problem, { row: meaning.row, retryAfter: meaning.retryAfter });
}

/** What came is not the protocol. */
export function strange(target: string, protocol: 'IMAP' | 'POP3', line: string): MailboxError {
  return new MailboxError(problem('UPSTREAM_PROTOCOL', `${target} says ${showLine(line)}, which is not ${protocol} at this point`));
}

/** The server does not offer the way in that the account has. Nothing was sent. */
export function notOffered(target: string, wanted: string, offered: readonly string[], isPassword: boolean): MailboxError {
  const code: ProblemCode = isPassword ? 'UPSTREAM_MISCONFIGURED' : 'UPSTREAM_XOAUTH2_MISSING';
  const remedy = 'Check host and port of the provider: another service, or a proxy that speaks for it, may answer there.';
  const others = offered.length === 0 ? 'none' : offered.join(' ');
  return new MailboxError(problem(code, `${target} does not offer ${wanted}; it offers ${others}`, { remedy }));
}

/** TLS is required and was not to be had. */
export function notSecured(target: string, command: string, line: string): MailboxError {
  return new MailboxError(problem('UPSTREAM_TLS_FAILED', `${target} answers ${command} with ${showLine(line)}; nothing was sent`));
}

export const targetOf = ({ host, port }: Endpoint): string => `${host}:${port}`;
