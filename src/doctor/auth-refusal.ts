/**
 * What to do where a mail server refuses a token that is fresh: the reply itself (535 5.7.3, `NO AUTHENTICATE failed`) does not say why, what is known of
 * token and account often does.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { isSameMailbox } from '../core/address.ts';
import type { MailProtocol } from './examination.ts';
import { includes, isApplicationToken, isExchange, isExchangeAudience, PERMISSIONS } from './exchange.ts';
import type { TokenClaims } from './token-claims.ts';

/** The likeliest cause first. */
export function refusalRemedy(protocol: MailProtocol, account: Account, claims: TokenClaims | undefined): string {
  const { provider, mailbox, smtpUser, auth } = account;
  const asked = protocol === 'smtp' ? smtpUser : mailbox;
  if (!isExchange(provider)) {
    return `Check that ${asked} is the user that signed in, and that the scopes of the token include ${protocol.toUpperCase()} for provider ${provider.name}.`;
  }
  if (claims !== undefined && !(claims.audiences.some(isExchangeAudience) && includes(protocol, account, claims))) {
    return 'Correct first what check token-content says: the token is not for this.';
  }
  const isApplication = claims === undefined ? auth.grant === 'client_credentials' : isApplicationToken(claims);
  if (isApplication) return applicationRemedy(protocol, asked);
  if (protocol === 'smtp' && claims?.user !== undefined && !isSameMailbox(claims.user, asked)) {
    return `The token belongs to ${claims.user}: set accounts[].smtpUser: ${claims.user} and give that user SendAs on ${mailbox}, or sign in as ${asked}: postern login ACCOUNT.`;
  }
  if (protocol === 'smtp') {
    return `Check that ${asked} exists, has a licence and is the user that signed in. A shared mailbox cannot sign in to SMTP: set accounts[].smtpUser to the user that signed in, with SendAs on ${mailbox}.`;
  }
  const flag = protocol === 'imap' ? '-ImapEnabled' : '-PopEnabled';
  return `Switch the protocol on: Set-CASMailbox -Identity ${asked} ${flag} $true (Exchange Online PowerShell; wait some minutes), and check that the user that signed in may open ${asked}.`;
}

function applicationRemedy(protocol: MailProtocol, asked: string): string {
  const { application } = PERMISSIONS[protocol];
  return (
    `Register the application in Exchange Online PowerShell with the object id of the ENTERPRISE application (not of the app registration): ` +
    `New-ServicePrincipal -AppId CLIENT_ID -ObjectId OBJECT_ID; Add-MailboxPermission -Identity ${asked} -User OBJECT_ID -AccessRights FullAccess; ` +
    `and check ${application} with admin consent. Changes take up to 30 minutes.`
  );
}
