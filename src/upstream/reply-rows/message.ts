/**
 * Replies that judge one message: its sender, its recipients, its content.
 *
 * Pure data.
 *
 * Sources: Microsoft, "NDR error codes in Exchange Online"; RFC 3463.
 *
 * @packageDocumentation
 */
import { seconds } from '../../core/clock.ts';
import { type ReplyRow, TRANSACTION } from './row.ts';

const SEND_AS =
  'Let the mailbox send as that address: Add-RecipientPermission -Identity ADDRESS -Trustee MAILBOX -AccessRights SendAs; or set clients[].onOtherSender: rewrite.';

export const MESSAGE_ROWS: readonly ReplyRow[] = [
  {
    name: 'send-as-denied',
    stages: TRANSACTION,
    enhanced: /^5\.7\.60$|^5\.2\.252$/,
    verdict: 'permanent',
    scope: 'message',
    problem: 'UPSTREAM_REFUSED',
    cause: 'The mailbox may not send as the address in MAIL FROM or in From.',
    remedy: SEND_AS,
  },
  {
    name: 'send-as-denied-exception',
    stages: TRANSACTION,
    text: /SendAsDenied/i,
    verdict: 'permanent',
    scope: 'message',
    problem: 'UPSTREAM_REFUSED',
    cause: 'The mailbox may not send as the address in From.',
    remedy: SEND_AS,
  },
  {
    name: 'headers-too-large',
    stages: ['content', 'final-reply'],
    enhanced: /^5\.3\.4$/,
    text: /header size/i,
    verdict: 'permanent',
    scope: 'message',
    problem: 'UPSTREAM_REFUSED',
    cause: 'The header section is larger than the provider allows.',
    remedy: 'Shorten it: mostly a list of hundreds of addresses in To or Cc.',
  },
  {
    name: 'message-too-large',
    stages: TRANSACTION,
    enhanced: /^5\.3\.4$|^5\.2\.3$/,
    verdict: 'permanent',
    scope: 'message',
    problem: 'MESSAGE_TOO_LARGE',
    cause: 'The message is larger than the mailbox may send.',
    remedy: 'Send less, or raise it up to 150 MB: Set-Mailbox -Identity MAILBOX -MaxSendSize 150MB.',
  },
  {
    name: 'too-many-recipients',
    stages: TRANSACTION,
    enhanced: /^5\.5\.3$/,
    verdict: 'permanent',
    scope: 'message',
    problem: 'UPSTREAM_REFUSED',
    cause: 'The message has more recipients than the mailbox may use.',
    remedy: 'Split the list, or raise it up to 1,000: Set-Mailbox -Identity MAILBOX -RecipientLimits 1000.',
  },
  {
    name: 'recipients-deferred',
    stages: TRANSACTION,
    enhanced: /^4\.5\.3$/,
    verdict: 'transient',
    scope: 'message',
    problem: 'UPSTREAM_DEFERRED',
    cause: 'The upstream takes no more recipients in this transaction.',
    remedy: 'Nothing: the others get it in a further transaction, which the queue or the application makes (RFC 5321 §4.5.3.1.10).',
    retryAfter: seconds(0),
  },
  {
    name: 'malformed',
    stages: TRANSACTION,
    enhanced: /^5\.7\.506$|^5\.7\.512$|^5\.6\.11$/,
    verdict: 'permanent',
    scope: 'message',
    problem: 'MESSAGE_MALFORMED',
    cause: 'The upstream finds the message malformed.',
    remedy: 'Correct the application: exactly one From field with a valid address, line ends CR LF.',
  },
  {
    name: 'sender-unauthenticated',
    stages: TRANSACTION,
    enhanced: /^5\.7\.509$|^5\.7\.515$/,
    verdict: 'permanent',
    scope: 'message',
    problem: 'UPSTREAM_REFUSED',
    cause: "The sender's domain does not pass DMARC, SPF or DKIM at the recipient.",
    remedy:
      'Publish SPF, DKIM and DMARC for the domain in From; for Microsoft 365: Defender portal > Policies > Email authentication settings.',
  },
  {
    name: 'external-recipient',
    stages: TRANSACTION,
    enhanced: /^5\.5\.105$/,
    verdict: 'permanent',
    scope: 'message',
    problem: 'UPSTREAM_REFUSED',
    cause: 'High Volume Email delivers to recipients inside the tenant only.',
    remedy: 'Send to others through a mailbox on smtp.office365.com or through Azure Communication Services.',
  },
  {
    name: 'recipient-unknown',
    stages: TRANSACTION,
    enhanced: /^5\.1\.1$|^5\.1\.10$|^5\.4\.1$/,
    verdict: 'permanent',
    scope: 'message',
    problem: 'UPSTREAM_REFUSED',
    cause: 'The recipient does not exist.',
    remedy: 'Correct the address in the application.',
  },
  {
    name: 'recipient-policy',
    stages: TRANSACTION,
    enhanced: /^5\.7\.1$/,
    verdict: 'permanent',
    scope: 'message',
    problem: 'UPSTREAM_REFUSED',
    cause: 'A rule at the provider or the recipient refuses this sender or message.',
  },
];
