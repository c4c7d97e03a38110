/**
 * Who may open a mailbox with an access token.
 *
 * @packageDocumentation
 */
import { isSameMailbox } from '../../core/address.ts';
import type { EpochMs } from '../../core/clock.ts';
import type { Directory } from '../directory.ts';
import type { AccessTokens } from '../oauth/access-tokens.ts';
import { isExchangeAudience } from '../oauth/scopes.ts';
import type { Xoauth2Response } from '../submission/sign-in.ts';

/** What a mailbox server speaks. */
export type MailboxProtocol = 'imap' | 'pop3';

/**
 * `failed`: the token is no good. `too-long`: POP3 cannot take it, however good it is. `not-connected`: it is, and the mailbox does not open for it; Exchange says so only to IMAP. `because` is for
 * the log.
 */
export type MailboxVerdict =
  | { readonly kind: 'accepted'; readonly mailbox: string; readonly expiresAt: EpochMs }
  | { readonly kind: 'failed' | 'too-long' | 'not-connected'; readonly because: string };

const PERMISSIONS = {
  imap: { scope: 'IMAP.AccessAsUser.All', role: 'IMAP.AccessAsApp' },
  pop3: { scope: 'POP.AccessAsUser.All', role: 'POP.AccessAsApp' },
} as const;

export function judgeMailboxSignIn(
  protocol: MailboxProtocol,
  { user, accessToken }: Xoauth2Response,
  tokens: AccessTokens,
  directory: Directory,
): MailboxVerdict {
  const check = tokens.check(accessToken);
  if (check.kind !== 'valid') return { kind: 'failed', because: `the access token is ${check.kind}` };
  const { grant, expiresAt } = check;
  if (!isExchangeAudience(grant.audience))
    return { kind: 'failed', because: `the access token is for ${grant.audience}, not for Exchange` };
  const { scope, role } = PERMISSIONS[protocol];
  const isApplication = grant.mailbox === undefined;
  if (!(isApplication ? grant.roles.includes(role) : grant.scopes.includes(scope))) {
    return notConnected(`the access token lacks ${isApplication ? `the role ${role}` : `the scope ${scope}`}`);
  }
  if (grant.mailbox !== undefined && !isSameMailbox(grant.mailbox, user)) {
    return notConnected(`the access token was issued to ${grant.mailbox}, the session names another user`);
  }
  const mailbox = directory.findMailbox(user);
  if (mailbox === undefined) return notConnected('there is no such mailbox');
  if (isApplication && mailbox.isOpenToApplications === false) return notConnected('the application has no permission for the mailbox');
  return { kind: 'accepted', mailbox: mailbox.address, expiresAt };
}

const notConnected = (because: string): MailboxVerdict => ({ kind: 'not-connected', because });
