/**
 * Replies that ask for patience: too many connections, too much in a day, a service that is draining.
 *
 * Pure data.
 *
 * Sources: Microsoft, "Improvements to SMTP client submission" and "Exchange Online limits", "NDR error codes in Exchange Online";
 * Google, "SMTP errors and codes".
 *
 * @packageDocumentation
 */
import { hours, minutes, seconds } from '../../core/clock.ts';
import { type ReplyRow, TRANSACTION } from './row.ts';

export const PACE_ROWS: readonly ReplyRow[] = [
  {
    name: 'concurrent-connections',
    codes: [432, 421, 450, 451],
    text: /concurrent connections limit|sender thread limit|too many concurrent/i,
    verdict: 'transient',
    scope: 'account',
    problem: 'UPSTREAM_BUSY',
    cause: 'The mailbox has more connections open than the provider allows.',
    remedy: 'Lower providers.NAME.limits.connections if other programs submit as the same mailbox.',
    retryAfter: seconds(10),
  },
  {
    name: 'service-not-active',
    codes: [421],
    enhanced: /^4\.3\.2$/,
    verdict: 'transient',
    scope: 'account',
    problem: 'UPSTREAM_DEFERRED',
    cause: 'The upstream server is being taken out of service; another connection reaches another one.',
  },
  {
    name: 'mailbox-logon',
    enhanced: /^4\.2\.0$/,
    text: /logon failure|MapiExceptionLogonFailed/i,
    verdict: 'transient',
    scope: 'account',
    problem: 'UPSTREAM_DEFERRED',
    cause:
      'The upstream cannot open the mailbox. With grant: client_credentials that mostly means that the application has no permission on it.',
    remedy:
      'Add-MailboxPermission -Identity MAILBOX -User SERVICE_PRINCIPAL -AccessRights FullAccess, where SERVICE_PRINCIPAL was made with the object id of the enterprise application.',
    escalates: { attempts: 3 },
  },
  {
    name: 'sending-rate',
    enhanced: /^4\.7\.(?:[56]\d\d|8[5-9]\d)$/,
    verdict: 'transient',
    scope: 'account',
    problem: 'UPSTREAM_DEFERRED',
    cause: 'The provider slows down mail from this address or tenant because of its rate or reputation.',
    remedy: 'Nothing, if it passes. Else look for a sudden rise of mail, or mail that was reported as spam.',
    retryAfter: minutes(15),
  },
  {
    name: 'proxy-error',
    codes: [451],
    enhanced: /^4\.7\.0$/,
    text: /temporary server error/i,
    verdict: 'transient',
    scope: 'account',
    problem: 'UPSTREAM_DEFERRED',
    cause: "The provider's front end cannot pass the session on.",
    remedy: 'Nothing, if it passes. If it lasts for hours, check that the mailbox exists, is licensed, and is not being moved.',
    escalates: { after: hours(6) },
  },
  {
    name: 'service-trouble',
    enhanced: /^4\.3\.111$|^4\.4\.(?:3|22|62)$|^4\.7\.[01]$/,
    verdict: 'transient',
    scope: 'message',
    problem: 'UPSTREAM_DEFERRED',
    cause: 'The provider has a passing fault inside.',
  },
  {
    name: 'submission-quota',
    stages: TRANSACTION,
    text: /SubmissionQuotaExceeded/i,
    verdict: 'quota',
    scope: 'account',
    problem: 'UPSTREAM_QUOTA',
    cause: 'The mailbox has reached its number of recipients for 24 hours.',
    retryAfter: hours(1),
  },
  {
    name: 'daily-limit',
    enhanced: /^5\.1\.90$|^5\.4\.5$/,
    verdict: 'quota',
    scope: 'account',
    problem: 'UPSTREAM_QUOTA',
    cause: 'The mailbox has reached its daily limit.',
    retryAfter: hours(1),
  },
  {
    name: 'tenant-external-recipients',
    enhanced: /^5\.7\.23[23]$/,
    verdict: 'quota',
    scope: 'tenant',
    problem: 'UPSTREAM_QUOTA',
    cause: 'The tenant has reached its number of external recipients for 24 hours.',
    remedy: 'Nothing: the window slides. The limit grows with the number of licences; see Exchange admin centre > Reports > Mail flow.',
    retryAfter: hours(1),
  },
  {
    name: 'onmicrosoft-recipients',
    enhanced: /^5\.7\.236$/,
    verdict: 'quota',
    scope: 'tenant',
    problem: 'UPSTREAM_QUOTA',
    cause: 'Mail from an onmicrosoft.com address reaches at most 100 external recipients a day for the whole tenant.',
    remedy: 'Send from an address in a domain of your own.',
    retryAfter: hours(1),
  },
  {
    name: 'receiving-rate',
    enhanced: /^5\.2\.12[12]$/,
    verdict: 'transient',
    scope: 'message',
    problem: 'UPSTREAM_DEFERRED',
    cause: 'The recipient gets more mail than its provider allows in an hour.',
    retryAfter: hours(1),
  },
];
