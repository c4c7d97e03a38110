import { describe, expect, it } from 'vitest';
import { octets } from '../../../src/core/octets.ts';
import { type HeaderSection, readHeaderSection } from '../../../src/message/header-section.ts';
import { type ForeignFields, rewriteSender } from '../../../src/message/rewrite-sender.ts';
import { octetsOf, streamOf, textOf } from '../../support/octets.ts';

async function sectionOf(text: string): Promise<HeaderSection> {
  const reading = await readHeaderSection(streamOf([octetsOf(text)]), octets(100_000));
  if (reading.kind === 'refused') throw new Error('refused');
  return reading.headers;
}

const FROM: ForeignFields = { isFromForeign: true, isSenderForeign: false };
const SENDER: ForeignFields = { isFromForeign: false, isSenderForeign: true };
const BOTH: ForeignFields = { isFromForeign: true, isSenderForeign: true };

async function rewritten(text: string, foreign = FROM): Promise<string> {
  return textOf(rewriteSender(await sectionOf(text), 'box@contoso.test', foreign).raw);
}

describe('From', () => {
  it.each([
    [
      'an address',
      'From: erp@local.test\r\n',
      'From: <box@contoso.test>\r\nReply-To: erp@local.test\r\nX-Original-From: erp@local.test\r\n',
    ],
    [
      'a display name',
      'From: ERP <erp@local.test>\r\n',
      'From: ERP <box@contoso.test>\r\nReply-To: ERP <erp@local.test>\r\nX-Original-From: ERP <erp@local.test>\r\n',
    ],
    [
      'a quoted display name with an address in it',
      'From: "a@b.test, \\"x\\"" <erp@local.test>\r\n',
      'From: "a@b.test, \\"x\\"" <box@contoso.test>\r\nReply-To: "a@b.test, \\"x\\"" <erp@local.test>\r\nX-Original-From: "a@b.test, \\"x\\"" <erp@local.test>\r\n',
    ],
    [
      'a display name with a dot',
      'From: John Q. Public <erp@local.test>\r\n',
      'From: "John Q. Public" <box@contoso.test>\r\nReply-To: John Q. Public <erp@local.test>\r\nX-Original-From: John Q. Public <erp@local.test>\r\n',
    ],
    [
      'encoded words',
      'From: =?utf-8?Q?B=C3=BCro?= =?utf-8?Q?_2?= <erp@local.test>\r\n',
      'From: =?utf-8?Q?B=C3=BCro?= =?utf-8?Q?_2?= <box@contoso.test>\r\nReply-To: =?utf-8?Q?B=C3=BCro?= =?utf-8?Q?_2?= <erp@local.test>\r\nX-Original-From: =?utf-8?Q?B=C3=BCro?= =?utf-8?Q?_2?= <erp@local.test>\r\n',
    ],
    [
      'octets of another character set',
      'From: B\xfcro <erp@local.test>\r\n',
      'From: B\xfcro <box@contoso.test>\r\nReply-To: B\xfcro <erp@local.test>\r\nX-Original-From: B\xfcro <erp@local.test>\r\n',
    ],
    [
      'a folded field with a comment',
      'from : Long\r\n Name (me)\r\n\t<erp@local.test>\r\n',
      'From: Long Name <box@contoso.test>\r\nReply-To: Long\r\n Name (me)\r\n\t<erp@local.test>\r\nX-Original-From: Long\r\n Name (me)\r\n\t<erp@local.test>\r\n',
    ],
    [
      'a Reply-To that is there',
      'reply-to: help@local.test\r\nFrom: erp@local.test\r\n',
      'reply-to: help@local.test\r\nFrom: <box@contoso.test>\r\nX-Original-From: erp@local.test\r\n',
    ],
    ['no address', 'From: scanner\r\n', 'From: <box@contoso.test>\r\nX-Original-From: scanner\r\n'],
    ['nothing at all', 'From:\r\n', 'From: <box@contoso.test>\r\nX-Original-From:\r\n'],
    [
      'several addresses',
      'From: A <a@local.test>, b@local.test\r\n',
      'From: <box@contoso.test>\r\nReply-To: A <a@local.test>, b@local.test\r\nX-Original-From: A <a@local.test>, b@local.test\r\n',
    ],
    [
      'several fields',
      'From: a@local.test\r\nSubject: x\r\nFrom: B <b@local.test>\r\n',
      'From: <box@contoso.test>\r\nX-Original-From: a@local.test\r\nSubject: x\r\nX-Original-From: B <b@local.test>\r\n',
    ],
    [
      'a name that leaves no room in a line',
      `From: ${'x'.repeat(600)} <a@local.test>\r\nReply-To: b@local.test\r\n`,
      `From: <box@contoso.test>\r\nX-Original-From: ${'x'.repeat(600)} <a@local.test>\r\nReply-To: b@local.test\r\n`,
    ],
    [
      'a name that needs a line of its own',
      `From: ${'x'.repeat(70)} <a@local.test>\r\nReply-To: b@local.test\r\n`,
      `From: ${'x'.repeat(70)}\r\n <box@contoso.test>\r\nX-Original-From: ${'x'.repeat(70)} <a@local.test>\r\nReply-To: b@local.test\r\n`,
    ],
    ['no From', 'Subject: x\r\n', 'Subject: x\r\n'],
  ])('with %s', async (_, before, after) => {
    expect(await rewritten(`X-First: 1\r\n${before}X-Last: 2\r\n\r\n`)).toBe(`X-First: 1\r\n${after}X-Last: 2\r\n\r\n`);
  });

  it('as the last line of content that ends in it', async () => {
    expect(await rewritten('Reply-To: x@y\nFrom: a@local.test')).toBe(
      'Reply-To: x@y\nFrom: <box@contoso.test>\r\nX-Original-From: a@local.test\r\n',
    );
  });

  it.each(['From erp Mon Nov 23 09:00:00', 'From \v: x'])('is not the separator of an mbox file: %j', async (separator) => {
    const section = await sectionOf(`${separator}\r\nFrom: a@local.test\r\n\r\n`);
    const after = rewriteSender(section, 'box@contoso.test', FROM);
    expect(textOf(after.raw)).toBe(
      `${separator}\r\nFrom: <box@contoso.test>\r\nReply-To: a@local.test\r\nX-Original-From: a@local.test\r\n\r\n`,
    );
    expect([after.hasMailboxLine, after.ending]).toEqual([true, 'empty-line']);
  });
});

describe('Sender', () => {
  it('gives way to From where that names the mailbox', async () => {
    expect(await rewritten('From: a@local.test\r\nReply-To: r@x\r\nSender: root@local.test\r\n\r\n', BOTH)).toBe(
      'From: <box@contoso.test>\r\nX-Original-From: a@local.test\r\nReply-To: r@x\r\nX-Original-Sender: root@local.test\r\n\r\n',
    );
  });

  it('names the mailbox where From stays', async () => {
    expect(await rewritten('Sender: root@local.test\r\nFrom: a@contoso.test, b@contoso.test\r\n\r\n', SENDER)).toBe(
      'Sender: <box@contoso.test>\r\nX-Original-Sender: root@local.test\r\nFrom: a@contoso.test, b@contoso.test\r\n\r\n',
    );
  });

  it('stays where it is allowed', async () => {
    expect(await rewritten('Sender: box@contoso.test\r\n\r\n')).toBe('Sender: box@contoso.test\r\n\r\n');
  });
});
