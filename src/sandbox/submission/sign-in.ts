/**
 * Judging an XOAUTH2 sign-in as Exchange does.
 *
 * A delegated token signs in as the mailbox it was issued for, no other: a shared mailbox is used by signing in as the delegate and
 * submitting as the shared one. An application's own token names any mailbox of the tenant.
 *
 * This decoder is the sandbox's own, apart from the one Postern signs in with, so that a mistake in one is not hidden by the other.
 *
 * @packageDocumentation
 */
import { isSameMailbox } from '../../core/address.ts';
import type { Directory } from '../directory.ts';
import type { AccessTokens } from '../oauth/access-tokens.ts';
import { isExchangeAudience } from '../oauth/scopes.ts';

/** The decoded response of the client. */
export interface Xoauth2Response {
  readonly user: string;
  readonly accessToken: string;
}

/** Who is signed in. */
export interface SignedIn {
  readonly user: string;
  readonly mechanism: 'XOAUTH2' | 'LOGIN';
  readonly isApplication: boolean;
  /** False: there is no mailbox permission; the message is refused after the dot. */
  readonly mayUseMailbox: boolean;
}

/** `because` is for the log: the client learns no more than 5.7.3. */
export type SignInVerdict =
  | { readonly kind: 'accepted'; readonly signedIn: SignedIn }
  | { readonly kind: 'refused'; readonly because: string };

/** `user=` SOH `auth=Bearer ` SOH SOH in base64. Undefined where it is not that. */
export function decodeXoauth2(line: string): Xoauth2Response | undefined {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(line) || line.length % 4 !== 0) return undefined;
  const match = /^user=([^\u0001]+)\u0001auth=bearer ([\x21-\x7e]+)\u0001\u0001$/i.exec(Buffer.from(line, 'base64').toString('utf8'));
  const [, user, accessToken] = match ?? [];
  return user === undefined || accessToken === undefined ? undefined : { user, accessToken };
}

export function judgeSignIn({ user, accessToken }: Xoauth2Response, tokens: AccessTokens, directory: Directory): SignInVerdict {
  const check = tokens.check(accessToken);
  if (check.kind !== 'valid') return refused(`the access token is ${check.kind}`);
  const { grant } = check;
  if (!isExchangeAudience(grant.audience)) return refused(`the access token is for ${grant.audience}, not for Exchange`);
  const isApplication = grant.mailbox === undefined;
  if (!(isApplication ? grant.roles.includes('SMTP.SendAsApp') : grant.scopes.includes('SMTP.Send'))) {
    return refused(`the access token lacks ${isApplication ? 'the role SMTP.SendAsApp' : 'the scope SMTP.Send'}`);
  }
  if (grant.mailbox !== undefined && !isSameMailbox(grant.mailbox, user)) {
    return refused(`the access token was issued to ${grant.mailbox}, the session names another user`);
  }
  const mailbox = directory.findMailbox(user);
  if (mailbox === undefined) return refused('there is no such mailbox');
  const mayUseMailbox = !isApplication || mailbox.isOpenToApplications !== false;
  return { kind: 'accepted', signedIn: { user: mailbox.address, mechanism: 'XOAUTH2', isApplication, mayUseMailbox } };
}

const refused = (because: string): SignInVerdict => ({ kind: 'refused', because });
