/** Whatever replies, addresses, explanations and originals hold, a report has the fields and parts it should have, and no other. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Reply } from '../../src/core/reply.ts';
import type { PlannedReport, ReportedRecipient } from '../../src/message/report-plan.ts';
import { content } from '../support/octets.ts';
import { ACCEPTED_AT, BOUNDARY, fieldGroups, originalOf, readReport, reportOptions, wireOf } from '../support/reports.ts';

const RUNS = { numRuns: 300 };

/** Text with everything that ends lines, fields, parts or words. */
const nasty = (): fc.Arbitrary<string> =>
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '\r\n',
          '\r',
          '\n',
          '\0',
          '\u2028',
          '\u202e',
          ' ',
          '\t',
          '"',
          '\\',
          '<',
          '>',
          '@',
          ':',
          ';',
          '.',
          '--',
          '=?utf-8?B?',
        ),
        fc.constantFrom(
          '\r\n.\r\n',
          '\r\nBcc: evil@example.test',
          '\r\n\r\nbody',
          'Action: delivered',
          'ü',
          '😀',
          'a@b.test',
          'x'.repeat(300),
        ),
        fc.string({ maxLength: 8 }),
        fc.string({ unit: 'binary', maxLength: 4 }),
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join(''));

const reply = (): fc.Arbitrary<Reply> =>
  fc.record({
    code: fc.constantFrom(250, 451, 550),
    enhancedCode: fc.oneof(fc.constant('5.1.1'), nasty()),
    text: fc.array(nasty(), { minLength: 1, maxLength: 30 }),
  });

const recipient = (): fc.Arbitrary<ReportedRecipient> =>
  fc.record(
    {
      forwardPath: fc.record(
        {
          address: nasty(),
          orcpt: fc.oneof(
            nasty(),
            nasty().map((text) => `rfc822;${text}`),
          ),
        },
        { requiredKeys: ['address'] },
      ),
      action: fc.constantFrom('failed' as const, 'delayed' as const, 'relayed' as const),
      reply: reply(),
      remoteMta: nasty(),
      explanation: nasty(),
      lastAttemptAt: fc.constant(ACCEPTED_AT),
    },
    { requiredKeys: ['forwardPath', 'action'] },
  );

const report = () =>
  fc.record({
    kind: fc.constantFrom('failure' as const, 'delay' as const, 'success' as const),
    to: nasty(),
    isWhole: fc.boolean(),
    recipients: fc.array(recipient(), { minLength: 1, maxLength: 3 }) as fc.Arbitrary<[ReportedRecipient, ...ReportedRecipient[]]>,
    displayName: nasty(),
    envid: nasty(),
    messageId: nasty(),
    isSmtpUtf8: fc.boolean(),
    original: fc.oneof(
      content(),
      nasty().map((text) => Buffer.from(`Subject: ${text}\r\nMessage-ID: ${text}\r\n\r\n${text}`)),
    ),
  });

interface Sample extends PlannedReport {
  readonly displayName: string;
  readonly envid: string;
  readonly messageId: string;
  readonly isSmtpUtf8: boolean;
  readonly original: Uint8Array;
}

async function compose({ displayName, envid, messageId, isSmtpUtf8, original, ...plan }: Sample): Promise<string> {
  const options = reportOptions(plan, { displayName, envid, messageId, parameters: { isSmtpUtf8, isRequireTls: false } });
  return wireOf(options, await originalOf(Buffer.from(original).toString('latin1'), plan.isWhole));
}

const HEADER = [
  'from',
  'to',
  'subject',
  'date',
  'message-id',
  'auto-submitted',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
];
const OPTIONAL = ['in-reply-to', 'references'];
const STATUS = /^(Original-Recipient|Final-Recipient|Action|Status|Remote-MTA|Diagnostic-Code|Last-Attempt-Date): /;

describe('a report made of anything', () => {
  it('is in wire form, with lines that any server takes', async () => {
    await fc.assert(
      fc.asyncProperty(report(), async (sample) => {
        const wire = await compose(sample);
        expect(wire.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
        expect(wire).not.toContain('\r\n.\r\n');
        const own = wire.slice(0, wire.lastIndexOf('Content-Description: The message'));
        expect(Math.max(...own.split('\r\n').map((line) => line.length))).toBeLessThanOrEqual(998);
      }),
      RUNS,
    );
  });

  it('has its own header fields, once, and three parts', async () => {
    await fc.assert(
      fc.asyncProperty(report(), async (sample) => {
        const { plain } = await readReport(await compose(sample));
        const header = plain.slice(0, plain.indexOf('\r\n\r\n'));
        const names = header.split(/\r\n(?![ \t])/).map((field) => field.slice(0, field.indexOf(':')).toLowerCase());
        expect(names.filter((name) => !OPTIONAL.includes(name))).toEqual(HEADER);
        expect(plain.split(`--${BOUNDARY}\r\n`)).toHaveLength(4);
        expect(plain.endsWith(`--${BOUNDARY}--\r\n`)).toBe(true);
        const status = plain.split(`--${BOUNDARY}\r\n`)[2] ?? '';
        expect(status).toMatch(sample.isSmtpUtf8 ? /^[^\0]*$/ : /^[\t\r\n\x20-\x7e]*$/);
      }),
      RUNS,
    );
  });

  it('says the action it was given about each recipient, in fields that are known', async () => {
    await fc.assert(
      fc.asyncProperty(report(), async (sample) => {
        const { plain } = await readReport(await compose(sample));
        const part = plain.split(`--${BOUNDARY}\r\n`)[2] ?? '';
        const [message = [], ...recipients] = fieldGroups(part.slice(part.indexOf('\r\n\r\n') + 4));
        expect(message.map((line) => line.slice(0, line.indexOf(':')))).toEqual([
          'Original-Envelope-Id',
          'Reporting-MTA',
          'Arrival-Date',
          'X-Postern-Queue-Id',
        ]);
        expect(recipients).toHaveLength(sample.recipients.length);
        for (const [index, fields] of recipients.entries()) {
          expect(fields.filter((field) => !STATUS.test(`${field} `))).toEqual([]);
          expect(fields.filter((field) => field.startsWith('Action:'))).toEqual([`Action: ${sample.recipients[index]?.action}`]);
        }
      }),
      RUNS,
    );
  });
});
