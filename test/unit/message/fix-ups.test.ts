import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../../src/core/clock.ts';
import type { QueueId } from '../../../src/core/ids.ts';
import { formatDateTime } from '../../../src/message/date-time.ts';
import { composeFixUps, type FixUps, submissionProtocol } from '../../../src/message/fix-ups.ts';
import { HeaderSection } from '../../../src/message/header-section.ts';
import { composeMessageId, sanitiseMessageId } from '../../../src/message/message-id.ts';
import { octetsOf, textOf } from '../../support/octets.ts';

const FIX_UPS: FixUps = {
  received: { client: 'erp', protocol: 'ESMTPSA', hostname: 'relay.example.com', queueId: '01JD0C3XYABCDEFG' as QueueId },
  date: Date.UTC(2026, 10, 23, 9, 5, 7) as EpochMs,
  newMessageId: () => '<1.2@example.com>',
};
const RECEIVED =
  'Received: from erp (client of Postern)\r\n' +
  '\tby relay.example.com (Postern) with ESMTPSA id 01JD0C3XYABCDEFG;\r\n' +
  '\tMon, 23 Nov 2026 09:05:07 +0000\r\n';
const DATE = 'Date: Mon, 23 Nov 2026 09:05:07 +0000\r\n';
const MESSAGE_ID = 'Message-ID: <1.2@example.com>\r\n';

const sectionOf = (raw: string, hasMailboxLine = false) => new HeaderSection(octetsOf(raw), 'empty-line', hasMailboxLine);
const compose = (raw: string, fixUps: FixUps = FIX_UPS, hasMailboxLine = false): string =>
  textOf(composeFixUps(sectionOf(raw, hasMailboxLine), fixUps, sectionOf(raw).has('Message-ID') ? undefined : fixUps.newMessageId()));

describe('the fields added', () => {
  it.each([
    ['nothing is there', '\r\n', RECEIVED + DATE + MESSAGE_ID],
    ['all is there', 'message-id: <a@b>\r\ndate: x\r\n\r\n', RECEIVED],
    ['Date is there', 'DATE : yesterday\r\n\r\n', RECEIVED + MESSAGE_ID],
    ['Message-ID is there', 'Message-Id: <a@b>\r\n\r\n', RECEIVED + DATE],
    ['both are there but empty', 'Date:\r\nMessage-ID:\r\n\r\n', RECEIVED],
    ['others have similar names', 'Resent-Date: x\r\nX-Message-ID: <a@b>\r\n\r\n', RECEIVED + DATE + MESSAGE_ID],
    ['they stand inside another field', 'Subject: x\r\n Date: y\r\n\r\n', RECEIVED + DATE + MESSAGE_ID],
  ])('where %s', (_, raw, added) => {
    expect(compose(raw)).toBe(added);
  });

  it('end in a name for the separator line of an mbox file', () => {
    expect(compose('From a@b now\nDate: x\n\n', FIX_UPS, true)).toBe(`${RECEIVED}${MESSAGE_ID}X-Mailbox-Line: `);
  });

  it.each([
    ['a\r\nBcc: boss@example.com', 'a-Bcc-boss-example.com'],
    ['My Printer_1 (hall)', 'My-Printer-1-hall'],
    ['Büro', 'B-ro'],
    ['...', 'unknown'],
    ['', 'unknown'],
    ['-a-.-b-', 'a.b'],
    ['x'.repeat(5000), 'x'.repeat(255)],
  ])('name the client %j harmlessly', (client, name) => {
    const added = compose('\r\n', { ...FIX_UPS, received: { ...FIX_UPS.received, client, hostname: client } });
    expect(added).toBe((RECEIVED + DATE + MESSAGE_ID).replace('from erp', `from ${name}`).replace('by relay.example.com', `by ${name}`));
  });

  it('name the client as a rewrite of it would, also where nothing has to be rewritten', () => {
    const rewritten = (text: string): string => {
      const labels = text.replace(/[^A-Za-z0-9.-]+/g, '-').split('.');
      const trimmed = labels.map((label) => label.replace(/^-+|-+$/g, '')).filter((label) => label !== '');
      return trimmed.join('.') || 'unknown';
    };
    const name = fc.array(fc.constantFrom('a', 'B', '7', '-', '.', '_', '\n'), { maxLength: 12 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(name, (client) => {
        const added = compose('\r\n', { ...FIX_UPS, received: { ...FIX_UPS.received, client } });
        expect(added.slice(0, added.indexOf(' (client'))).toBe(`Received: from ${rewritten(client)}`);
      }),
    );
  });

  it('keep a Message-ID from beginning another field', () => {
    const added = compose('\r\n', { ...FIX_UPS, newMessageId: () => sanitiseMessageId('<a@b>\r\nBcc: <c@d>') });
    expect(added).toBe(`${RECEIVED}${DATE}Message-ID: <a@bBcc:c@d>\r\n`);
  });
});

describe('a date-time', () => {
  it.each([
    [0, 'Thu, 01 Jan 1970 00:00:00 +0000'],
    [Date.UTC(2024, 1, 29, 23, 59, 59, 999), 'Thu, 29 Feb 2024 23:59:59 +0000'],
    [Date.UTC(1900, 0, 1), 'Mon, 01 Jan 1900 00:00:00 +0000'],
    [Date.UTC(9999, 11, 31), 'Fri, 31 Dec 9999 00:00:00 +0000'],
  ])('of %i', (moment, text) => {
    expect(formatDateTime(moment as EpochMs)).toBe(text);
    expect(Date.parse(text)).toBe(Math.floor(moment / 1000) * 1000);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Date.UTC(1899, 11, 31), Date.UTC(10_000, 0, 1)])('refuses %d', (moment) => {
    expect(() => formatDateTime(moment as EpochMs)).toThrow(RangeError);
  });
});

describe('a message identifier', () => {
  const random = Uint8Array.of(1, 2, 0xff);
  it.each([
    ['erp@Example.COM', '<Q1.0102ff@example.com>'],
    ['', '<Q1.0102ff@relay.example.net>'],
    ['erp@bücher.example', '<Q1.0102ff@relay.example.net>'],
    ['erp@[192.0.2.1]', '<Q1.0102ff@relay.example.net>'],
  ])('for the reverse-path %j', (reversePath, messageId) => {
    expect(composeMessageId('Q1' as QueueId, random, reversePath, 'relay.example.net')).toBe(messageId);
  });

  it('stays within a line', () => {
    expect(sanitiseMessageId('x'.repeat(5000))).toHaveLength(902);
    expect(sanitiseMessageId('a b\t<é\u2028>\u0000')).toBe('<ab>');
  });
});

it.each([
  ['SMTP', {}],
  ['ESMTP', { isExtended: true }],
  ['ESMTPS', { isExtended: true, isTls: true }],
  ['ESMTPA', { isAuthenticated: true }],
  ['ESMTPSA', { isExtended: true, isTls: true, isAuthenticated: true }],
  ['UTF8SMTP', { isExtended: true, isSmtpUtf8: true }],
  ['UTF8SMTPSA', { isExtended: true, isTls: true, isAuthenticated: true, isSmtpUtf8: true }],
])('%s is named after RFC 3848 and RFC 6531', (name, session) => {
  expect(submissionProtocol({ isExtended: false, isTls: false, isAuthenticated: false, isSmtpUtf8: false, ...session })).toBe(name);
});
