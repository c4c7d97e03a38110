import { describe, expect, it } from 'vitest';
import { octets } from '../../../src/core/octets.ts';
import { readHeaderSection } from '../../../src/message/header-section.ts';
import { readSubject } from '../../../src/message/subject.ts';
import { streamOf } from '../../support/octets.ts';

/** @param value - What follows `Subject: `; a text is sent as UTF-8. */
async function subjectOf(value: string | Uint8Array, name = 'Subject: '): Promise<string | undefined> {
  const content = Buffer.concat([
    Buffer.from(`To: a@b.test\r\n${name}`),
    Buffer.from(value),
    Buffer.from('\r\nFrom: b@c.test\r\n\r\nbody'),
  ]);
  const reading = await readHeaderSection(streamOf([content]), octets(200_000));
  if (reading.kind === 'refused') throw new Error('the header section was refused');
  return readSubject(reading.headers);
}

describe('the subject', () => {
  it.each([
    ['ASCII', 'Invoice 4711', 'Invoice 4711'],
    ['UTF-8', 'Größe 😀', 'Größe 😀'],
    ['folding', 'a\r\n b\r\n\tc', 'a b c'],
    ['encoded words on two lines', '=?utf-8?Q?f=C3?=\r\n =?utf-8?Q?=BCr?=', 'für'],
    ['white space around it', '  \t a  ', 'a'],
    ['control characters', 'a\u0001b\u001b[31mc\u007fd\u0085e', 'a b [31mc d e'],
    ['control characters in encoded words', '=?utf-8?Q?a=00b=1B[2Jc=0D=0ASubject:_d?=', 'a b [2Jc  Subject: d'],
    ['line and paragraph separators', 'a\u2028b\u2029c', 'a b c'],
    ['controls that turn text around', 'invoice\u202egnp.exe\u2066\u2069\u200e\u200f\u061c', 'invoicegnp.exe'],
    ['the same in encoded words', '=?utf-8?Q?invoice=E2=80=AEgnp.exe?=', 'invoicegnp.exe'],
    ['characters without width', 'pay\u200bpal\u00ad\u2060\ufeff', 'paypal'],
    ['joiners, which some scripts need', '👩\u200d👧 می\u200cخواهم', '👩\u200d👧 می\u200cخواهم'],
    ['markup', '<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
  ])('with %s', async (_, value, text) => {
    expect(await subjectOf(value)).toBe(text);
  });

  it('that is not UTF-8 is what devices in western countries send', async () => {
    expect(await subjectOf(Buffer.from('Rechnung f\xfcr M\xe4rz \x80', 'latin1'))).toBe('Rechnung für März €');
  });

  it.each([
    ['', 'Subject:'],
    [' \t ', 'Subject:'],
    ['\u202e\u200b\r\n ', 'Subject: '],
    ['=?utf-8?Q?=00?=', 'Subject: '],
    ['x', 'Subjects: '],
    ['x', 'X-Subject: '],
  ])('is none where nothing can be seen of it: %j behind %j', async (value, name) => {
    expect(await subjectOf(value, name)).toBeUndefined();
  });

  it('is that of the first field, whatever its letters', async () => {
    expect(await subjectOf('one\r\nSubject: two', 'SUBJECT : ')).toBe('one');
  });

  it.each([
    ['ASCII', 'x'.repeat(10_000), 'x'.repeat(256)],
    ['UTF-8 of two octets', 'ä'.repeat(10_000), 'ä'.repeat(256)],
    ['UTF-8 of two octets, cut elsewhere', `x${'ä'.repeat(10_000)}`, `x${'ä'.repeat(255)}`],
    ['characters outside the first plane', `x${'😀'.repeat(10_000)}`, `x${'😀'.repeat(127)}`],
    ['ISO 8859-1', Buffer.alloc(10_000, 0xe4), 'ä'.repeat(256)],
    ['ISO 8859-1 that looks like pieces of UTF-8', Buffer.alloc(10_000, 0xbf), '¿'.repeat(256)],
    ['encoded words', '=?utf-8?Q?=F0=9F=98=80=F0=9F=98=80?=\r\n '.repeat(300), '😀'.repeat(128)],
  ])('is bounded: 10 KB of %s', async (_, value, text) => {
    expect(await subjectOf(value)).toBe(text);
  });
});
