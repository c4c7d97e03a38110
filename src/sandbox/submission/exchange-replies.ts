/**
 * Exchange Online's words: what it says where smtp-server would say something of its own, and its refusals.
 *
 * Pure. Enhanced codes stand in the text, since smtp-server is told not to add its own.
 *
 * Source: Microsoft's catalogue of replies and non-delivery reports; transcripts of sessions for the success replies.
 *
 * @packageDocumentation
 */

/** What the sandbox calls itself on the wire. */
export const HOST_NAME = 'sandbox';

/** EHLO says this to everybody, whatever the mailbox may really send. */
export const ANNOUNCED_SIZE = 157_286_400;

/** smtp-server's reply → Exchange's. A key ending in `…` stands for every text that begins so. */
const TRANSLATIONS: ReadonlyMap<string, string> = new Map([
  ['221 Bye', '221 2.0.0 Service closing transmission channel'],
  ['250 Flushed', '250 2.0.0 Resetting'],
  ['250 OK', '250 2.0.0 OK'],
  ['252 Try to send something…', '252 2.1.5 Cannot VRFY user'],
  ['354 End data with…', '354 Start mail input; end with <CRLF>.<CRLF>'],
  ['421 Timeout…', '421 4.4.1 Connection timed out'],
  ['421 Server shutting down', '421 4.3.2 Service not active'],
  [
    '421 sandbox Too many connected…',
    '421 4.3.2 The maximum number of concurrent server connections has exceeded a limit, closing transmission channel',
  ],
  ['500 Error: command not recognized', '500 5.3.3 Unrecognized command'],
  ['501 Error: Bad sender address syntax', '501 5.1.7 Invalid address'],
  ['501 Error: Bad recipient address syntax', '501 5.1.3 Invalid address'],
  ['501 …', '501 5.5.4 Invalid arguments'],
  ['503 Error: send…', '503 5.5.2 Send hello first'],
  ['503 Error: nested MAIL…', '503 5.5.2 Sender already specified'],
  ['503 Error: need MAIL…', '503 5.5.2 Need mail command'],
  ['503 Error: need RCPT…', '503 5.5.2 Need rcpt command'],
  ['503 …', '503 5.5.1 Bad sequence of commands'],
  ['552 Error: message exceeds…', '552 5.3.4 Message size exceeds fixed maximum message size'],
]);

const BY_CONTEXT: ReadonlyMap<string, string> = new Map([
  ['MAIL_FROM_OK', '250 2.1.0 Sender OK'],
  ['RCPT_TO_OK', '250 2.1.5 Recipient OK'],
]);

/** Enhanced codes for what no row names. */
const BY_CLASS: ReadonlyMap<number, string> = new Map([
  [2, '2.0.0'],
  [4, '4.3.2'],
  [5, '5.5.2'],
]);

/** The reply as Exchange would put it; a text that already begins with an enhanced code is left alone. */
export function exchangeReply(code: number, text: string, context?: string | false): string {
  const known = BY_CONTEXT.get(context === false ? '' : (context ?? ''));
  if (known !== undefined) return known;
  const said = `${code} ${text}`;
  if (/^\d{3} [245]\.\d{1,3}\.\d{1,3} /.test(said)) return said;
  for (const [key, translation] of TRANSLATIONS) {
    if (key.endsWith('…') ? said.startsWith(key.slice(0, -1)) : said === key) return translation;
  }
  const enhanced = context === false ? undefined : BY_CLASS.get(Math.floor(code / 100));
  return enhanced === undefined ? said : `${code} ${enhanced} ${text}`;
}

const clientSubmissionFailure = (exception: string): string => `STOREDRV.Submission.Exception:${exception}`;

/** Refusals. Functions where a name stands in them. */
export const REPLIES = {
  signedIn: '235 2.7.0 Authentication successful',
  badToken: (stamp: string): string => `535 5.7.3 Authentication unsuccessful [${HOST_NAME} ${stamp}]`,
  challengeRefused: '535 5.7.8 Username and Password not accepted',
  basicDisabled: (stamp: string): string =>
    `535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [${HOST_NAME} ${stamp}]`,
  wrongPassword: (stamp: string): string =>
    `535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [${HOST_NAME} ${stamp}]`,
  cancelled: '501 5.7.0 Authentication cancelled',
  badEncoding: '501 5.5.2 Cannot decode the response',
  lineTooLong: '500 5.5.6 Authentication exchange line is too long',
  unknownMechanism: '504 5.7.4 Unrecognized authentication type',
  alreadySignedIn: '503 5.5.2 Already authenticated',
  unrecognized: '500 5.3.3 Unrecognized command',
  /** Without its code: smtp-server puts 530 in front. */
  notSignedIn: `5.7.57 Client was not authenticated to send anonymous mail during MAIL FROM [${HOST_NAME}]`,
  tooManyConnections: `432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. [Hostname=${HOST_NAME}]`,
  tooManyMessages: `432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=${HOST_NAME}]`,
  foreignSender: '550 5.7.60 SMTP; Client does not have permissions to send as this sender',
  tooManyRecipients: '452 4.5.3 Too many recipients',
  tooLarge: '552 5.3.4 Message size exceeds fixed maximum message size',
  bareLineEnds:
    '550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal; message contains bare linefeeds, which cannot be sent via DATA and receiving system does not support BDAT',
  noMailboxPermission: `430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed [Hostname=${HOST_NAME}]`,
  sendAsDenied: (user: string, sender: string): string =>
    `554 5.2.252 SendAsDenied; ${user} not allowed to send as ${sender}; ${clientSubmissionFailure('SendAsDeniedException.MapiExceptionSendAsDenied')}`,
  quotaExceeded: `554 5.2.0 ${clientSubmissionFailure('SubmissionQuotaExceededException')}; the submission quota of the sender was exceeded`,
  mailboxFull: `554 5.2.2 mailbox full; ${clientSubmissionFailure('QuotaExceededException.MapiExceptionQuotaExceeded')}`,
  accepted: (id: string): string => `250 2.0.0 OK <${id}> [Hostname=${HOST_NAME}]`,
} as const;
