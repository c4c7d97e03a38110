import { describe, expect, it } from 'vitest';
import { type EpochMs, plus, seconds } from '../../../src/core/clock.ts';
import { reply } from '../../../src/core/reply.ts';
import { readOriginal, reportEnvelope } from '../../../src/message/dsn.ts';
import { statusOf } from '../../../src/message/report-fields.ts';
import type { PlannedReport, ReportedRecipient } from '../../../src/message/report-plan.ts';
import { collect, octetsOf, textOf } from '../../support/octets.ts';
import {
  ACCEPTED_AT,
  BOUNDARY,
  BUSY,
  fieldGroups,
  NOT_FOUND,
  originalOf,
  readReport,
  reportOptions,
  TAKEN,
  wireOf,
} from '../../support/reports.ts';

const ORIGINAL = [
  'Received: from erp (client of Postern) by relay',
  'From: erp@contoso.test',
  'To: gone@example.test',
  'Subject: Invoice 1',
  'Message-ID: <1@contoso.test>',
  '',
  '.dot',
  'body',
  '',
].join('\r\n');

const GONE: ReportedRecipient = {
  forwardPath: { address: 'gone@example.test', orcpt: 'rfc822;old+2Bgone@example.test' },
  action: 'failed',
  reply: NOT_FOUND,
  remoteMta: 'smtp.office365.test',
  lastAttemptAt: plus(ACCEPTED_AT, seconds(30)),
  explanation: 'The mailbox does not exist. Correct the address.',
};

const planOf = (changes: Partial<PlannedReport> = {}): PlannedReport => ({
  kind: 'failure',
  to: 'erp@contoso.test',
  isWhole: false,
  recipients: [GONE],
  ...changes,
});

describe('a report of failure', () => {
  it('says what happened, to whom and what to do, for people and for machines', async () => {
    const wire = await wireOf(reportOptions(planOf(), { envid: 'QQ+3D1' }), await originalOf(ORIGINAL));
    const report = await readReport(wire);
    expect(report).toMatchObject({
      from: { name: 'Mail Delivery', address: 'billing@contoso.test' },
      to: [{ address: 'erp@contoso.test' }],
      subject: 'Not delivered: Invoice 1',
      messageId: '<report.1@contoso.test>',
      inReplyTo: '<1@contoso.test>',
      date: '2026-11-23T09:01:00.000Z',
    });
    const header = Object.fromEntries(report.headers.map(({ key, value }) => [key, value]));
    expect(header['auto-submitted']).toBe('auto-replied');
    expect(header['content-type']).toBe(`multipart/report; report-type=delivery-status;\tboundary="${BOUNDARY}"`);
    expect(report.text?.trimEnd()).toBe(
      [
        'Your message could not be delivered to:',
        '',
        '  gone@example.test',
        '    The mailbox does not exist. Correct the address.',
        '    smtp.office365.test said: 550 5.1.10 Recipient not found by SMTP address',
        '    lookup',
        '',
        'It will not be tried again. Correct what is named above and send the message',
        'again, or ask whoever looks after this mail relay.',
        '',
        'Accepted:    Mon, 23 Nov 2026 09:00:00 +0000',
        'Message-ID:  <1@contoso.test>',
        'Queue id:    1M83T4CM00000000',
        'Reported by: relay.contoso.test',
      ].join('\n'),
    );
    expect(report.attachments.map(({ mimeType }) => mimeType)).toEqual(['message/delivery-status', 'text/rfc822-headers']);
    expect(fieldGroups(report.fields)).toEqual([
      [
        'Original-Envelope-Id: QQ=1',
        'Reporting-MTA: dns; relay.contoso.test',
        'Arrival-Date: Mon, 23 Nov 2026 09:00:00 +0000',
        'X-Postern-Queue-Id: 1M83T4CM00000000',
      ],
      [
        'Original-Recipient: rfc822; old+gone@example.test',
        'Final-Recipient: rfc822; gone@example.test',
        'Action: failed',
        'Status: 5.1.10',
        'Remote-MTA: dns; smtp.office365.test',
        'Diagnostic-Code: smtp; 550 5.1.10 Recipient not found by SMTP address lookup',
        'Last-Attempt-Date: Mon, 23 Nov 2026 09:00:30 +0000',
      ],
    ]);
    const end = ORIGINAL.indexOf('\r\n\r\n') + 2;
    expect(report.plain.slice(report.plain.indexOf('Received: '))).toBe(`${ORIGINAL.slice(0, end)}\r\n--${BOUNDARY}--\r\n`);
  });

  it('returns the whole message where that was planned, octet by octet', async () => {
    const report = await readReport(await wireOf(reportOptions(planOf({ isWhole: true })), await originalOf(ORIGINAL, true)));
    expect(report.attachments.map(({ mimeType }) => mimeType)).toEqual(['message/delivery-status', 'message/rfc822']);
    expect(report.plain).toContain(`\r\n\r\n${ORIGINAL}\r\n--${BOUNDARY}--\r\n`);
  });

  it('travels with the null reverse-path and asks for no report', () => {
    expect(reportEnvelope(reportOptions(planOf()))).toEqual({
      reversePath: '',
      parameters: { body: '8BITMIME', isSmtpUtf8: false, isRequireTls: false },
      forwardPaths: [{ address: 'erp@contoso.test', notify: ['NEVER'] }],
    });
    expect(reportEnvelope(reportOptions(planOf({ to: 'jörg@contoso.test' }))).parameters.isSmtpUtf8).toBe(true);
  });

  it('leaves a body alone that it does not return', async () => {
    let isClosed = false;
    async function* content(): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        yield octetsOf('Subject: x\r\n\r\n');
        throw new Error('read on');
      } finally {
        isClosed = true;
      }
    }
    const original = await readOriginal(content(), false);
    expect(textOf(original.headers.raw)).toBe('Subject: x\r\n\r\n');
    expect(isClosed).toBe(true);
    expect(original.body).toBeUndefined();
  });

  it('closes the content that it returns, and passes its errors on', async () => {
    const closed: string[] = [];
    async function* content(name: string, isBroken: boolean): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        yield octetsOf('Subject: x\r\n\r\n');
        if (isBroken) throw new Error('damaged');
        yield octetsOf('body\r\n');
      } finally {
        closed.push(name);
      }
    }
    const good = await readOriginal(content('good', false), true);
    expect(textOf(...(await collect(good.body ?? content('none', true))))).toBe('body\r\n');
    const broken = await readOriginal(content('broken', true), true);
    await expect(wireOf(reportOptions(planOf({ isWhole: true })), broken)).rejects.toThrow('damaged');
    expect(closed).toEqual(['good', 'broken']);
  });

  it('does without an original that has no header section to speak of', async () => {
    for (const text of ['', '\r\n', '\r\nbody\r\n', `X: ${'x'.repeat(300_000)}\r\n\r\n`]) {
      const report = await readReport(await wireOf(reportOptions(planOf()), await originalOf(text)));
      expect(report.subject).toBe('Not delivered');
      expect(report.returned.trim()).toBe('');
      expect(report.inReplyTo).toBeUndefined();
    }
  });
});

describe('a report of delay', () => {
  it('says until when it is tried, and that nothing has to be done', async () => {
    const { explanation: _, ...gone } = GONE;
    const recipient: ReportedRecipient = {
      ...gone,
      action: 'delayed',
      reply: BUSY,
      willRetryUntil: (ACCEPTED_AT + 432_000_000) as EpochMs,
    };
    const report = await readReport(
      await wireOf(reportOptions(planOf({ kind: 'delay', recipients: [recipient] })), await originalOf(ORIGINAL)),
    );
    expect(report.subject).toBe('Delayed: Invoice 1');
    expect(report.text).toContain('It is tried until Sat, 28 Nov 2026 09:00:00 +0000.');
    expect(report.text).toContain('You need not send it again.');
    expect(fieldGroups(report.fields)[1]).toEqual(
      expect.arrayContaining(['Action: delayed', 'Status: 4.7.500', 'Will-Retry-Until: Sat, 28 Nov 2026 09:00:00 +0000']),
    );
  });
});

describe('a report with several actions', () => {
  it('has a section for each in the text and a group for each recipient in the fields', async () => {
    const recipients: PlannedReport['recipients'] = [
      { forwardPath: { address: 'one@example.test' }, action: 'relayed', reply: TAKEN },
      { forwardPath: { address: 'two@example.test' }, action: 'failed' },
      { forwardPath: { address: 'three@example.test' }, action: 'relayed' },
    ];
    const report = await readReport(await wireOf(reportOptions(planOf({ recipients })), await originalOf(ORIGINAL)));
    const places = ['could not be delivered', 'two@', 'was handed to', 'one@', 'three@'].map((text) => report.text?.indexOf(text) ?? -1);
    expect(places).toEqual(places.toSorted((one, other) => one - other));
    expect(places[0]).toBe(13);
    expect(fieldGroups(report.fields).slice(1)).toEqual([
      ['Final-Recipient: rfc822; one@example.test', 'Action: relayed', 'Status: 2.0.0', 'Diagnostic-Code: smtp; 250 2.0.0 OK'],
      ['Final-Recipient: rfc822; two@example.test', 'Action: failed', 'Status: 4.4.7'],
      ['Final-Recipient: rfc822; three@example.test', 'Action: relayed', 'Status: 2.0.0'],
    ]);
  });
});

describe('a status', () => {
  it.each([
    ['failed', NOT_FOUND, '5.1.10'],
    ['failed', BUSY, '4.7.500'],
    ['failed', reply(550, undefined, 'no'), '5.0.0'],
    ['failed', reply(452, undefined, 'no'), '4.0.0'],
    ['failed', reply(554, '2.0.0', 'contradicts itself'), '5.0.0'],
    ['failed', undefined, '4.4.7'],
    ['delayed', BUSY, '4.7.500'],
    ['delayed', reply(535, '5.7.139', 'disabled'), '4.0.0'],
    ['delayed', undefined, '4.0.0'],
    ['relayed', TAKEN, '2.0.0'],
    ['relayed', NOT_FOUND, '2.0.0'],
  ] as const)('%s with %o: %s', (action, answer, expected) => {
    expect(statusOf(action, answer)).toBe(expected);
  });
});

describe('beyond ASCII', () => {
  const recipient: ReportedRecipient = {
    forwardPath: { address: 'jörg@example.test', orcpt: 'utf-8;j\\x{F6}rg.alt@example.test' },
    action: 'failed',
    reply: reply(550, '5.1.1', 'Empfänger unbekannt'),
  };
  const utf8 = { isSmtpUtf8: true, isRequireTls: false };

  it('a report about an SMTPUTF8 message is global', async () => {
    const original = await originalOf(Buffer.from('Subject: Grüße\r\n\r\n').toString('latin1'));
    const report = await readReport(
      await wireOf(reportOptions(planOf({ to: 'müller@contoso.test', recipients: [recipient] }), { parameters: utf8 }), original),
    );
    expect(report.attachments.map(({ mimeType }) => mimeType)).toEqual(['message/global-delivery-status', 'message/global-headers']);
    expect(fieldGroups(report.fields)[1]).toEqual([
      'Original-Recipient: utf-8; jörg.alt@example.test',
      'Final-Recipient: utf-8; jörg@example.test',
      'Action: failed',
      'Status: 5.1.1',
      'Diagnostic-Code: smtp; 550 5.1.1 Empfänger unbekannt',
    ]);
    expect(report.to?.[0]?.address).toBe('müller@contoso.test');
    expect(report.subject).toBe('Not delivered: Grüße');
    expect(report.returned.trimEnd()).toBe('Subject: Grüße');
    expect(report.text).toContain('  jörg@example.test\n');
  });

  it('a report about another message is ASCII, with addresses escaped', async () => {
    const report = await readReport(await wireOf(reportOptions(planOf({ recipients: [recipient] })), await originalOf(ORIGINAL)));
    expect(report.attachments.map(({ mimeType }) => mimeType)).toEqual(['message/delivery-status', 'text/rfc822-headers']);
    expect(fieldGroups(report.fields)[1]).toEqual([
      'Original-Recipient: utf-8; j\\x{F6}rg.alt@example.test',
      'Final-Recipient: utf-8; j\\x{F6}rg@example.test',
      'Action: failed',
      'Status: 5.1.1',
      'Diagnostic-Code: smtp; 550 5.1.1 Empf?nger unbekannt',
    ]);
  });

  it('an SMTPUTF8 message with ASCII addresses needs no global report', async () => {
    const report = await readReport(await wireOf(reportOptions(planOf(), { parameters: utf8 }), await originalOf(ORIGINAL)));
    expect(report.attachments.map(({ mimeType }) => mimeType)).toEqual(['message/delivery-status', 'text/rfc822-headers']);
  });

  it('a display name is encoded', async () => {
    const wire = await wireOf(reportOptions(planOf(), { displayName: 'Zustellung für "Büro"' }), await originalOf(ORIGINAL));
    expect(wire.slice(0, wire.indexOf('To: '))).toMatch(/^[\x20-\x7e\r\n]+$/);
    expect((await readReport(wire)).from?.name).toBe('Zustellung für "Büro"');
  });
});
