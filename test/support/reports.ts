/**
 * Entries and reports for tests of DSNs, and reports read again by a parser that is not ours.
 *
 * @packageDocumentation
 */
import PostalMime, { type Email } from 'postal-mime';
import { days, type EpochMs, hours } from '../../src/core/clock.ts';
import type { ForwardPath } from '../../src/core/envelope.ts';
import { queueId } from '../../src/core/ids.ts';
import { mebibytes, octets } from '../../src/core/octets.ts';
import { reply } from '../../src/core/reply.ts';
import { type NewMessage, newEntry, type RecipientStatus, type SpoolEntry } from '../../src/core/spool-entry.ts';
import { composeReport, type OriginalMessage, readOriginal, type ReportOptions } from '../../src/message/dsn.ts';
import type { PlannedReport, ReportPolicy } from '../../src/message/report-plan.ts';
import { fromWireForm, toWireForm } from '../../src/message/wire-form.ts';
import { collect, octetsOf, streamOf } from './octets.ts';

export const ACCEPTED_AT = Date.UTC(2026, 10, 23, 9, 0, 0) as EpochMs;
export const NOT_FOUND = reply(550, '5.1.10', 'Recipient not found by SMTP address lookup');
export const BUSY = reply(451, '4.7.500', 'Server busy');
export const TAKEN = reply(250, '2.0.0', 'OK');

export const POLICY: ReportPolicy = {
  to: 'sender',
  mailbox: 'billing@contoso.test',
  warnAfter: hours(4),
  giveUpAfter: days(5),
  wholeLimit: mebibytes(5),
};

export function entryFor(forwardPaths: readonly ForwardPath[], changes: Partial<NewMessage> = {}, size = 2000): SpoolEntry {
  return newEntry(
    {
      queueId: queueId(ACCEPTED_AT, new Uint8Array(7)),
      account: 'billing',
      client: 'erp',
      acceptedAt: ACCEPTED_AT,
      reversePath: 'erp@contoso.test',
      parameters: { isSmtpUtf8: false, isRequireTls: false },
      messageId: '<1@contoso.test>',
      nextAttemptAt: ACCEPTED_AT,
      forwardPaths,
      ...changes,
    },
    octets(size),
  );
}

export const failed = (answer = NOT_FOUND, isReported = false): RecipientStatus => ({
  kind: 'failed',
  at: ACCEPTED_AT,
  reply: answer,
  isReported,
});
export const expired = (): RecipientStatus => ({ kind: 'expired', at: ACCEPTED_AT, lastReply: BUSY, isReported: false });
export const delivered = (): RecipientStatus => ({ kind: 'delivered', at: ACCEPTED_AT, reply: TAKEN });
export const pending = (): RecipientStatus => ({ kind: 'pending', lastReply: BUSY });

export const BOUNDARY = 'zq3v8w0x5k7n1m2p';

export function reportOptions(plan: PlannedReport, changes: Partial<ReportOptions> = {}): ReportOptions {
  return {
    plan,
    reportingMta: 'relay.contoso.test',
    queueId: queueId(ACCEPTED_AT, new Uint8Array(7)),
    arrivedAt: ACCEPTED_AT,
    from: 'billing@contoso.test',
    displayName: 'Mail Delivery',
    parameters: { isSmtpUtf8: false, isRequireTls: false },
    date: (ACCEPTED_AT + 60_000) as EpochMs,
    messageId: '<report.1@contoso.test>',
    boundary: BOUNDARY,
    ...changes,
  };
}

/** As the spool would give it. `text`: each character an octet. */
export const originalOf = (text: string, isWhole = false): Promise<OriginalMessage> =>
  readOriginal(toWireForm(streamOf([octetsOf(text)])), isWhole);

/** The report as it stands between 354 and the dot, each octet a character. */
export async function wireOf(options: ReportOptions, original: OriginalMessage): Promise<string> {
  return Buffer.concat(await collect(composeReport(options, original))).toString('latin1');
}

/** What a mail reader makes of it. */
export async function readReport(
  wire: string,
): Promise<Email & { readonly fields: string; readonly returned: string; readonly plain: string }> {
  const plain = Buffer.concat(await collect(fromWireForm(streamOf([octetsOf(wire)]))));
  const email = await PostalMime.parse(plain, { attachmentEncoding: 'arraybuffer', forceRfc822Attachments: true });
  const [status, returned] = email.attachments.map(({ content }) => Buffer.from(content as ArrayBuffer).toString('utf8'));
  return Object.assign(email, { fields: status ?? '', returned: returned ?? '', plain: plain.toString('latin1') });
}

/** The fields of the machine part, unfolded: one list for the message, then one for each recipient. */
export function fieldGroups(fields: string): string[][] {
  return fields
    .replace(/\r?\n[ \t]/g, ' ')
    .split(/(?:\r?\n){2,}/)
    .map((group) => group.split(/\r?\n/).filter((line) => line !== ''))
    .filter((group) => group.length > 0);
}
