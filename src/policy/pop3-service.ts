/**
 * When a mailbox is not to be had with POP3, though it may be with IMAP.
 *
 * Pure.
 *
 * Sources: Exchange Online refuses access tokens of more than 4,096 characters at POP3 with `-ERR Protocol error` since July 2025; administrators switch POP3 off
 * for single mailboxes (Set-CASMailbox -PopEnabled $false) and for whole tenants.
 *
 * @packageDocumentation
 */
import type { Problem, ProblemCode } from '../core/problem.ts';

/** Characters of an access token. Exchange takes no longer one at POP3; its IMAP does. */
export const LONGEST_POP3_TOKEN = 4096;

/** Of mailbox-answers.ts: POP3 is not to be had, whatever the token. */
const ROWS: ReadonlySet<string | undefined> = new Set(['protocol-off', 'sign-in-not-understood']);

/** True for a refusal that another token would not cure, nor patience, and that says nothing about IMAP. `row` is that of the refusal, if the server gave one. */
export const isPop3Refused = ({ code }: Problem, row: string | undefined): boolean => ROWS.has(row) || code === 'UPSTREAM_XOAUTH2_MISSING';

const ABOUT_THE_MAILBOX: ReadonlySet<ProblemCode> = new Set(['UPSTREAM_MAILBOX_CLOSED', 'UPSTREAM_PROTOCOL', 'UPSTREAM_XOAUTH2_MISSING']);

/**
 * The same where nothing but the problem is known: true, too, for a mailbox that opens with neither protocol. What IMAP says decides then.
 */
export const mayBePop3Alone = ({ code, heals }: Problem): boolean => heals !== 'by-itself' && ABOUT_THE_MAILBOX.has(code);
