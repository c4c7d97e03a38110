import { describe, expect, it } from 'vitest';
import type { UpstreamStage } from '../../../src/core/ports/upstream.ts';
import { joinReplyLines, parseReplyLine, type Reply } from '../../../src/core/reply.ts';
import type { ReplyVerdict } from '../../../src/core/reply-meaning.ts';
import { classifyReply, explainReply, REPLY_TABLE } from '../../../src/upstream/reply-table.ts';

function parsed(line: string): Reply {
  const read = parseReplyLine(line);
  if (read === undefined) throw new Error(`no reply: ${line}`);
  return joinReplyLines([read]);
}

const AUTH = '535 5.7.139 Authentication unsuccessful,';

/** For each row at least one reply as a server sent it. */
const SAMPLES: readonly (readonly [row: string, stage: UpstreamStage, line: string, verdict: ReplyVerdict])[] = [
  [
    'smtp-auth-disabled-mailbox',
    'auth',
    `${AUTH} SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled`,
    'config',
  ],
  [
    'smtp-auth-disabled-tenant',
    'auth',
    `${AUTH} SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled`,
    'config',
  ],
  [
    'security-defaults',
    'auth',
    `${AUTH} user is locked by your organization's security defaults policy. Contact your administrator.`,
    'config',
  ],
  [
    'conditional-access',
    'auth',
    `${AUTH} the request did not meet the criteria to be authenticated successfully. Contact your administrator.`,
    'config',
  ],
  ['basic-disabled', 'auth', `${AUTH} basic authentication is disabled. [HE1PR05CA0153.eurprd05.prod.outlook.com]`, 'config'],
  ['password-wrong', 'auth', `${AUTH} the user credentials were incorrect. [AM0PR]`, 'config'],
  ['organisation-policy', 'auth', `${AUTH} organization configuration doesn't allow this authentication request.`, 'config'],
  ['federation-unreachable', 'auth', `${AUTH} the federated STS service was unreachable.`, 'transient'],
  ['federation-without-https', 'auth', `${AUTH} STS URL does not support HTTPS.`, 'config'],
  ['sign-in-policy', 'auth', `${AUTH} a reason that is new.`, 'config'],
  ['basic-retired', 'auth', '550 5.7.30 Basic authentication is not supported for Client Submission. [X]', 'config'],
  ['basic-retired', 'mail', '550 5.7.30 Basic authentication is not supported for Client Submission. [X]', 'config'],
  ['token-invalid', 'auth', '501 5.5.124 Invalid XOAUTH2 auth data', 'auth'],
  ['token-invalid', 'auth', '501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon', 'auth'],
  ['login-rate', 'auth', '454 4.7.0 Too many login attempts, please try again later. gsmtp', 'transient'],
  ['token-refused', 'auth', '535 5.7.3 Authentication unsuccessful [AM0PR01CA0001 2026-11-23T12:00:00.000Z 08DE2A]', 'auth'],
  ['token-refused', 'auth', '535-5.7.8 Username and Password not accepted.', 'auth'],
  ['token-refused', 'auth', '535 5.7.8 Error: authentication failed', 'auth'],
  ['not-signed-in', 'mail', '530 5.7.57 Client not authenticated to send mail. [X]', 'config'],
  ['not-signed-in', 'mail', '550 5.7.57 Client was not authenticated to send anonymous mail during MAIL FROM [X]', 'config'],
  ['not-signed-in', 'mail', '530 5.7.0 Authentication Required. gsmtp', 'config'],
  [
    'concurrent-connections',
    'mail',
    '432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending [Hostname=X]',
    'transient',
  ],
  ['concurrent-connections', 'final-reply', '432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=X]', 'transient'],
  ['service-not-active', 'auth', '421 4.3.2 Service not active', 'transient'],
  [
    'mailbox-logon',
    'final-reply',
    '430 4.2.0 STOREDRV; mailbox logon failure; STOREDRV.Storage.Exception:MapiExceptionLogonFailed',
    'transient',
  ],
  ['sending-rate', 'mail', '451 4.7.500 Server busy. Please try again later from [1.2.3.4]. (S77719)', 'transient'],
  ['sending-rate', 'mail', '451 4.7.651 The mail server has been temporarily rate limited due to IP reputation', 'transient'],
  ['sending-rate', 'mail', '451 4.7.899 Access denied, please try again later', 'transient'],
  ['proxy-error', 'auth', '451 4.7.0 Temporary server error. Please try again later. PRX4', 'transient'],
  ['service-trouble', 'data', '451 4.3.111 Temporary server error. Please try again later. MRH1', 'transient'],
  ['service-trouble', 'mail', '450 4.7.1 Not now', 'transient'],
  ['service-trouble', 'rcpt', '451 4.4.62 Mail sent to the wrong Office 365 region', 'transient'],
  [
    'submission-quota',
    'final-reply',
    '554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message',
    'quota',
  ],
  [
    'daily-limit',
    'final-reply',
    "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
    'quota',
  ],
  ['daily-limit', 'mail', '550 5.4.5 Daily user sending limit exceeded. gsmtp', 'quota'],
  [
    'tenant-external-recipients',
    'final-reply',
    '550 5.7.233 Your message cannot be sent because your tenant exceeded its external recipient limit',
    'quota',
  ],
  ['tenant-external-recipients', 'rcpt', '550 5.7.232 Your trial tenant has exceeded its daily limit', 'quota'],
  ['onmicrosoft-recipients', 'final-reply', '550 5.7.236 The onmicrosoft.com limit is exceeded', 'quota'],
  ['receiving-rate', 'rcpt', "550 5.2.121 Recipient's per hour message receive limit exceeded", 'transient'],
  ['own-mailbox-full', 'final-reply', '554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException', 'config'],
  [
    'mailbox-missing',
    'final-reply',
    '554 5.2.0 STOREDRV.Submission.Exception:ObjectNotFoundException; Failed to process message',
    'config',
  ],
  ['tls-too-old', 'starttls', '421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade', 'config'],
  ['bad-outbound-sender', 'final-reply', '550 5.1.8 Access denied, bad outbound sender AS(42004)', 'blocked'],
  ['banned-sender', 'final-reply', '550 5.7.501 Access denied, spam abuse detected from address', 'blocked'],
  ['banned-sender', 'final-reply', '550 5.7.511 Access denied, banned sender[1.2.3.4]', 'blocked'],
  ['tenant-threshold', 'final-reply', '550 5.7.705 Access denied, tenant has exceeded threshold', 'blocked'],
  ['address-not-accepted', 'final-reply', '550 5.7.708 Access denied, traffic not accepted from this IP', 'blocked'],
  ['unregistered-domain', 'final-reply', '550 5.7.750 Client blocked from sending from unregistered domain', 'blocked'],
  ['direct-send-rejected', 'rcpt', '550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization', 'config'],
  ['relay-access-denied', 'rcpt', '550 5.7.64 TenantAttribution; Relay Access Denied', 'config'],
  ['command-unknown', 'auth', '500 5.3.3 Unrecognized command', 'config'],
  ['send-as-denied', 'mail', '550 5.7.60 SMTP; Client does not have permissions to send as this sender', 'permanent'],
  ['send-as-denied', 'final-reply', '554 5.2.252 SendAsDenied; a@x not allowed to send as b@x', 'permanent'],
  [
    'send-as-denied-exception',
    'final-reply',
    '554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied',
    'permanent',
  ],
  ['headers-too-large', 'final-reply', '552 5.3.4 Header size exceeds fixed maximum size', 'permanent'],
  ['message-too-large', 'mail', '552 5.3.4 Message size exceeds fixed maximum message size', 'permanent'],
  ['too-many-recipients', 'rcpt', '550 5.5.3 Too many recipients', 'permanent'],
  ['recipients-deferred', 'rcpt', '452 4.5.3 Too many recipients', 'transient'],
  ['malformed', 'final-reply', '550 5.7.512 Access denied, message must be RFC 5322 section 3.6.2 compliant', 'permanent'],
  ['malformed', 'final-reply', '550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal', 'permanent'],
  [
    'sender-unauthenticated',
    'final-reply',
    '550 5.7.515 Access denied, sending domain does not meet the required authentication level',
    'permanent',
  ],
  ['external-recipient', 'rcpt', '550 5.5.105 External recipients are not supported', 'permanent'],
  ['recipient-unknown', 'rcpt', '550 5.1.10 RESOLVER.ADR.RecipientNotFound', 'permanent'],
  ['recipient-unknown', 'rcpt', '550 5.4.1 Recipient address rejected: Access denied', 'permanent'],
  ['recipient-policy', 'rcpt', '550 5.7.1 Delivery not authorized', 'permanent'],
];

describe('the reply table', () => {
  it.each(SAMPLES)('%s, at %s: %s', (row, stage, line, verdict) => {
    expect(classifyReply(stage, parsed(line))).toMatchObject({ row, verdict });
  });

  it('has a sample for each row, so none is hidden behind another', () => {
    expect(new Set(SAMPLES.map(([row]) => row))).toEqual(new Set(REPLY_TABLE.map(({ name }) => name)));
    expect(new Set(REPLY_TABLE.map(({ name }) => name)).size).toBe(REPLY_TABLE.length);
  });

  it.each([
    ['mail', '451 hm', 'transient', 'message', 'UPSTREAM_DEFERRED'],
    ['rcpt', '452 4.2.2 Mailbox full', 'transient', 'message', 'UPSTREAM_DEFERRED'],
    ['rcpt', '552 5.2.2 Mailbox full', 'permanent', 'message', 'UPSTREAM_REFUSED'],
    ['mail', '502 5.5.1 Unknown parameter', 'permanent', 'message', 'UPSTREAM_REFUSED'],
    ['rcpt', '500 5.5.2 Syntax error', 'permanent', 'message', 'UPSTREAM_REFUSED'],
    ['final-reply', '500 5.5.2 Line too long', 'permanent', 'message', 'UPSTREAM_REFUSED'],
    ['final-reply', '554 5.6.0 Content rejected', 'permanent', 'message', 'UPSTREAM_REFUSED'],
    ['auth', '504 5.7.4 Unrecognized authentication type', 'config', 'account', 'UPSTREAM_MISCONFIGURED'],
    ['greeting', '554 5.7.1 Go away', 'config', 'account', 'UPSTREAM_MISCONFIGURED'],
    ['greeting', '421 Too busy', 'transient', 'account', 'UPSTREAM_DEFERRED'],
    ['final-reply', '354 what?', 'transient', 'message', 'UPSTREAM_DEFERRED'],
  ] as const)('at %s, %s, which no row knows, counts by class', (stage, line, verdict, scope, code) => {
    expect(classifyReply(stage, parsed(line))).toMatchObject({ row: 'by-class', verdict, scope, problem: { code } });
  });

  it('tells the operator the reply, the stage and the step that helps', () => {
    const what = explainReply(
      'auth',
      parsed(`${AUTH} SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled`),
    );
    expect(what).toMatchObject({ code: 'UPSTREAM_SMTP_AUTH_DISABLED', heals: 'after-repair' });
    expect(what.cause).toContain('(auth: 535 5.7.139 Authentication unsuccessful');
    expect(what.remedy).toContain('Set-CASMailbox');
  });

  it('is linear: a reply of the longest text costs no more than a moment', () => {
    const text = 'SubmissionQuota too many concurrent authentication '.repeat(9).slice(0, 450);
    const lines = Array.from({ length: 100 }, () => text);
    for (let round = 0; round < 100; round += 1) expect(classifyReply('final-reply', { code: 550, text: lines }).row).toBe('by-class');
  });
});
