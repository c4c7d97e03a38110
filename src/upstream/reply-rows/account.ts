/**
 * Replies that hold for the account or the tenant, not for one message: the mail waits until somebody has acted.
 *
 * Pure data.
 *
 * Source: Microsoft, "NDR error codes in Exchange Online".
 *
 * @packageDocumentation
 */
import { type ReplyRow, TRANSACTION } from './row.ts';

export const ACCOUNT_ROWS: readonly ReplyRow[] = [
  {
    name: 'own-mailbox-full',
    stages: ['content', 'final-reply'],
    enhanced: /^5\.2\.[02]$/,
    text: /mailbox full|QuotaExceededException/i,
    verdict: 'config',
    scope: 'account',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'The mailbox that sends is full, mostly of copies in Sent Items.',
    remedy: 'Empty it, and stop the copies: Set-Mailbox -Identity MAILBOX -MessageCopyForSMTPClientSubmissionEnabled $false.',
  },
  {
    name: 'mailbox-missing',
    stages: TRANSACTION,
    text: /ObjectNotFoundException/i,
    verdict: 'config',
    scope: 'account',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'The mailbox that sends does not exist or has no licence.',
    remedy: 'Microsoft 365 admin centre > Active users: give the mailbox a licence, or correct accounts[].mailbox.',
  },
  {
    name: 'tls-too-old',
    enhanced: /^4\.7\.66$/,
    verdict: 'config',
    scope: 'account',
    problem: 'UPSTREAM_TLS_FAILED',
    cause: 'The upstream says that the connection uses TLS 1.0 or 1.1. Postern never does, so something between the two changes it.',
    remedy: 'Exempt the host from the firewall or proxy that inspects TLS.',
  },
  {
    name: 'bad-outbound-sender',
    enhanced: /^5\.1\.8$/,
    text: /bad outbound sender|access denied/i,
    verdict: 'blocked',
    scope: 'account',
    problem: 'UPSTREAM_BLOCKED',
    cause: 'The mailbox is blocked from sending, since it was seen sending spam.',
  },
  {
    name: 'banned-sender',
    enhanced: /^5\.7\.(?:50[123]|511|703)$/,
    verdict: 'blocked',
    scope: 'account',
    problem: 'UPSTREAM_BLOCKED',
    cause: 'The provider has banned this sender.',
    remedy:
      'Find out what was sent, then ask Microsoft to lift the ban: the reply names the address to write to, else https://sender.office.com.',
  },
  {
    name: 'tenant-threshold',
    enhanced: /^5\.7\.705$/,
    verdict: 'blocked',
    scope: 'tenant',
    problem: 'UPSTREAM_BLOCKED',
    cause: 'The tenant has sent too much suspicious mail and is blocked from sending.',
    remedy: 'Secure the mailboxes that sent it, then ask Microsoft support to lift the block.',
  },
  {
    name: 'address-not-accepted',
    enhanced: /^5\.7\.708$/,
    verdict: 'blocked',
    scope: 'tenant',
    problem: 'UPSTREAM_BLOCKED',
    cause: 'The provider takes no mail from the IP address range of this tenant (new or trial tenants).',
    remedy: 'Ask Microsoft support to lift the block; a paid licence helps.',
  },
  {
    name: 'unregistered-domain',
    enhanced: /^5\.7\.750$/,
    verdict: 'blocked',
    scope: 'tenant',
    problem: 'UPSTREAM_BLOCKED',
    cause: 'The tenant was seen sending from domains that it has not registered, and is blocked from doing so.',
    remedy: 'Register the sender domain: Microsoft 365 admin centre > Settings > Domains.',
  },
  {
    name: 'direct-send-rejected',
    enhanced: /^5\.7\.68$/,
    verdict: 'config',
    scope: 'tenant',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'The upstream took this for mail without sign-in, which the tenant rejects (RejectDirectSend).',
    remedy: 'Check host and port of the provider: submission with sign-in is smtp.office365.com:587, not the MX host.',
  },
  {
    name: 'relay-access-denied',
    enhanced: /^5\.7\.64$/,
    verdict: 'config',
    scope: 'tenant',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'The upstream took this for mail to be relayed by a connector, and none fits.',
    remedy: 'Check host and port of the provider: submission with sign-in is smtp.office365.com:587, not port 25 of the MX host.',
  },
  {
    name: 'command-unknown',
    // Of MAIL, RCPT or the content it speaks of what this message put there: the account must not wait for it.
    stages: ['greeting', 'ehlo', 'starttls', 'auth'],
    codes: [500, 502],
    enhanced: /^5\.3\.3$|^5\.5\.[12]$/,
    verdict: 'config',
    scope: 'account',
    problem: 'UPSTREAM_MISCONFIGURED',
    cause: 'The upstream does not know a command that submission needs.',
    remedy: 'Check host and port of the provider; something between may filter SMTP (an "inspection" or "fixup" of the firewall).',
  },
];
