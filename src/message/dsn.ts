/**
 * Composes the report (DSN) that {@link ./report-plan.ts} has decided on: a text for people, fields for machines, and what it is about.
 *
 * Pure; streamed, so that returning a large message holds no more of it than a chunk. The caller supplies the moment, the Message-ID and the
 * boundary, which must be unpredictable: text of the original then cannot contain it.
 *
 * The envelope of a report has the null reverse-path and asks for no report itself (RFC 3461 §6.1), and it says `Auto-Submitted`, so that nothing
 * answers it (RFC 3834 §5).
 *
 * Source: RFC 3464 §2 (structure), RFC 6522 (multipart/report), RFC 3461 §6; RFC 6533 (beyond ASCII). Deviation from RFC 6522 §3: `report-type` is
 * `delivery-status` for global reports, too, since readers find reports by that word.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import type { Envelope, MailParameters } from '../core/envelope.ts';
import { kibibytes } from '../core/octets.ts';
import { formatDateTime } from './date-time.ts';
import { angleAddress, composeField, composeMailbox, isAscii, unstructured } from './field-text.ts';
import { HeaderSection, readHeaderSection } from './header-section.ts';
import { sanitiseMessageId } from './message-id.ts';
import { composeStatusFields, type ReportedMessage } from './report-fields.ts';
import type { PlannedReport } from './report-plan.ts';
import { composeWords, SUBJECTS } from './report-words.ts';
import { fromWireForm, toWireForm } from './wire-form.ts';

/** What a report is made of besides the plan. */
export interface ReportOptions extends ReportedMessage {
  readonly plan: PlannedReport;
  /** The account's mailbox; some providers take mail from no other address. */
  readonly from: string;
  /** Before the address in From. */
  readonly displayName: string;
  /** Parameters of the message reported on. */
  readonly parameters: MailParameters;
  readonly date: EpochMs;
  /** Of the report, with angle brackets. */
  readonly messageId: string;
  /** 16 to 70 letters and digits, unpredictable. */
  readonly boundary: string;
}

/** The message reported on, dots not stuffed. */
export interface OriginalMessage {
  readonly headers: HeaderSection;
  /** What follows the header section; absent where only that is returned. */
  readonly body?: AsyncIterable<Uint8Array>;
}

const HEADER_LIMIT = kibibytes(256);
/** A subject beyond this is left out; cutting it could cut an encoded word. */
const LONGEST_SUBJECT = 300;
const NO_HEADERS = new HeaderSection(new Uint8Array(0), 'end-of-content', false);

/**
 * Read the message reported on from the spool.
 *
 * @param content - In wire form. Read to the end of the header section, and closed; where `isWhole`, on and on as the report is read.
 * @throws Whatever `content` throws.
 */
export async function readOriginal(content: AsyncIterable<Uint8Array>, isWhole: boolean): Promise<OriginalMessage> {
  const plain = fromWireForm(content);
  const reading = await readHeaderSection(plain, HEADER_LIMIT);
  if (isWhole && reading.kind === 'read') return { headers: reading.headers, body: closing(reading.rest, plain) };
  await plain.return();
  return { headers: reading.kind === 'read' ? reading.headers : NO_HEADERS };
}

/** `rest` is of `source` and leaves it open. */
async function* closing(rest: AsyncIterable<Uint8Array>, source: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* rest;
  } finally {
    await source.return(undefined);
  }
}

/** The envelope that the report travels in. */
export function reportEnvelope({ plan, from, parameters }: Pick<ReportOptions, 'plan' | 'from' | 'parameters'>): Envelope {
  return {
    reversePath: '',
    parameters: { body: '8BITMIME', isSmtpUtf8: !isAscii(plan.to) || !isAscii(from), isRequireTls: parameters.isRequireTls },
    // RFC 3461 §6.1: NEVER is the only NOTIFY allowed with the null reverse-path.
    forwardPaths: [{ address: plan.to, notify: ['NEVER'] }],
  };
}

/** The report's content in wire form. Errors of `original.body` pass through. */
export function composeReport(options: ReportOptions, original: OriginalMessage): AsyncIterable<Uint8Array> {
  return toWireForm(parts(options, original));
}

async function* parts(options: ReportOptions, original: OriginalMessage): AsyncGenerator<Uint8Array, void, undefined> {
  const { plan, boundary, parameters } = options;
  const { headers } = original;
  // RFC 6533 §4: the global form only where something in it needs it.
  const isGlobal = parameters.isSmtpUtf8 && plan.recipients.some(needsUtf8);
  const words = composeWords(options, plan.recipients, messageIdOf(headers));
  yield Buffer.from(
    [
      composeHeader(options, headers),
      startPart(boundary, `text/plain; charset=${isAscii(words) ? 'us-ascii' : 'utf-8'}`, 'Notification', isAscii(words) ? '7bit' : '8bit'),
      words,
      startPart(boundary, `message/${isGlobal ? 'global-' : ''}delivery-status`, 'Delivery report', isGlobal ? '8bit' : '7bit'),
      composeStatusFields(options, plan.recipients, isGlobal),
      startPart(boundary, returnedType(original, parameters), 'The message', '8bit'),
    ].join(''),
  );
  yield original.body === undefined ? withoutEmptyLine(headers.raw) : headers.raw;
  if (original.body !== undefined) yield* original.body;
  yield Buffer.from(`\r\n--${boundary}--\r\n`);
}

function composeHeader({ plan, from, displayName, date, messageId, boundary }: ReportOptions, headers: HeaderSection): string {
  const reference = messageIdOf(headers);
  const subject = subjectOf(headers);
  return [
    composeField('From', composeMailbox(displayName, from)),
    composeField('To', angleAddress(plan.to)),
    composeField('Subject', unstructured(subject === undefined ? SUBJECTS[plan.kind] : `${SUBJECTS[plan.kind]}: ${subject}`)),
    composeField('Date', formatDateTime(date)),
    composeField('Message-ID', sanitiseMessageId(messageId)),
    ...(reference === undefined ? [] : [composeField('In-Reply-To', reference), composeField('References', reference)]),
    composeField('Auto-Submitted', 'auto-replied'), // RFC 3834 §5.1: for a response to one message, DSNs among them
    composeField('MIME-Version', '1.0'),
    `Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="${boundary}"\r\n`,
    // RFC 2045 §6.4: what a part may hold, the whole must declare.
    'Content-Transfer-Encoding: 8bit\r\n\r\n',
    'This is a report about a message, in the format of RFC 3464.\r\n',
  ].join('');
}

/** The line end before the boundary belongs to it (RFC 2046 §5.1.1). */
function startPart(boundary: string, type: string, description: string, encoding: '7bit' | '8bit'): string {
  return `\r\n--${boundary}\r\nContent-Description: ${description}\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`;
}

/** RFC 6522 §4 and RFC 6533 §5, §6: the header section alone or the whole, each in its ASCII and its UTF-8 form. */
function returnedType({ headers, body }: OriginalMessage, { isSmtpUtf8 }: MailParameters): string {
  const isGlobal = isSmtpUtf8 && headers.raw.some((octet) => octet > 0x7f);
  if (body !== undefined) return isGlobal ? 'message/global' : 'message/rfc822';
  return isGlobal ? 'message/global-headers' : 'text/rfc822-headers';
}

const needsUtf8 = ({ forwardPath }: { readonly forwardPath: { readonly address: string; readonly orcpt?: string } }): boolean =>
  !isAscii(forwardPath.address) || /^utf-8;.*\\x\{/i.test(forwardPath.orcpt ?? '');

/** Of the message reported on; undefined where it has none that can be written. */
function messageIdOf(headers: HeaderSection): string | undefined {
  const text = sanitiseMessageId(headers.first('Message-ID') ?? '');
  return text === '<>' ? undefined : text;
}

function subjectOf(headers: HeaderSection): string | undefined {
  const subject = headers.first('Subject') ?? '';
  return subject === '' || subject.length > LONGEST_SUBJECT ? undefined : subject;
}

/** `text/rfc822-headers` holds fields only (RFC 6522 §4). What the spool keeps has CRLF line ends. */
function withoutEmptyLine(raw: Uint8Array): Uint8Array {
  const end = Buffer.from(raw.subarray(-4)).toString('latin1');
  return end === '\r\n' || end === '\r\n\r\n' ? raw.subarray(0, raw.length - 2) : raw;
}
