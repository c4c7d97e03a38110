import { describe, expect, it } from 'vitest';
import { decodeEncodedWords } from '../../../src/message/encoded-words.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('encoded words', () => {
  it.each([
    ['B', '=?UTF-8?B?UmVjaG51bmcgZsO8ciBNw6Ryeg==?=', 'Rechnung für März'],
    ['Q', '=?utf-8?Q?Rechnung_f=C3=BCr_M=c3=a4rz?=', 'Rechnung für März'],
    ['lower-case letters', '=?utf8?q?f=C3=BCr?=', 'für'],
    ['ISO 8859-1', '=?iso-8859-1?Q?M=E4rz?=', 'März'],
    ['what Windows-1252 has that ISO 8859-1 has not', '=?ISO-8859-1?Q?=80_=84Ja=93_=96_99=99?=', '€ „Ja“ – 99™'],
    ['Windows-1252', '=?windows-1252?B?gDU=?=', '€5'],
    ['its unassigned octets', '=?cp1252?Q?=81=8d=8f=90=9d?=', '\u0081\u008d\u008f\u0090\u009d'],
    ['ISO 8859-15', '=?iso-8859-15?Q?=A4?=', '€'],
    ['ISO 2022-JP', '=?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=', '日本語'],
    ['GB 18030', '=?gb18030?B?1tDOxA==?=', '中文'],
    ['a language', '=?utf-8*de?Q?f=C3=BCr?=', 'für'],
    ['text around it', 'Re: =?utf-8?Q?f=C3=BCr?= you', 'Re: für you'],
    ['no space around it', 'Re:=?utf-8?Q?f=C3=BCr?=you', 'Re:füryou'],
    ['spaces inside', '=?utf-8?Q?für alle?=', 'für alle'],
    ['a null word', '=?utf-8?Q??=', ''],
    ['base64 without its padding', '=?utf-8?B?w7w?=', 'ü'],
  ])('with %s', (_, value, text) => {
    expect(decodeEncodedWords(value)).toBe(text);
  });

  it('that follow each other lose the white space between them', () => {
    expect(decodeEncodedWords('=?utf-8?Q?a?= \t =?utf-8?Q?b?= c =?utf-8?Q?d?=')).toBe('ab c d');
    expect(decodeEncodedWords('=?utf-8?Q?a?= =?iso-8859-1?Q?=FC?= =?utf-8?Q?b?=')).toBe('aüb');
  });

  it('may share a character', () => {
    const octets = Buffer.from('Größe 😀!');
    const words = [...octets].map((octet) => `=?UTF-8?B?${Buffer.from([octet]).toString('base64')}?=`);
    expect(decodeEncodedWords(words.join(' '))).toBe('Größe 😀!');
  });

  it.each([
    ['no word at all', 'Invoice = ? 12?='],
    ['a charset that nobody knows', '=?x-martian?Q?a=20b?='],
    ['one without its text', '=?utf-7?B?K0FHRS0=?= and more'],
    ['another encoding', '=?utf-8?X?abc?='],
    ['no end', '=?utf-8?Q?abc'],
    ['no charset', '=??Q?abc?='],
    ['a name of a charset without end', `=?${'x'.repeat(100)}?Q?abc?=`],
  ])('that cannot be decoded stay as they came: %s', (_, value) => {
    expect(decodeEncodedWords(value)).toBe(value);
  });

  it('of charsets that nobody knows keep what is between them', () => {
    expect(decodeEncodedWords('=?x-martian?Q?a?= =?utf-8?Q?b?= =?x-martian?Q?c?=')).toBe('=?x-martian?Q?a?= b =?x-martian?Q?c?=');
  });

  it('hold octets that are not their charset, and escapes that are none', () => {
    expect(decodeEncodedWords('=?utf-8?Q?a=FFb?=')).toBe('a\ufffdb');
    expect(decodeEncodedWords('=?utf-8?Q?50=_off_=zz=4?=')).toBe('50= off =zz=4');
    expect(decodeEncodedWords('=?utf-8?B?!!!?=')).toBe('');
  });

  it('are decoded once', () => {
    expect(decodeEncodedWords(`=?utf-8?B?${base64('=?utf-8?Q?x?=')}?=`)).toBe('=?utf-8?Q?x?=');
  });

  it('of more charsets than anybody uses are left alone', () => {
    const value = Array.from({ length: 20 }, (_, index) => `=?iso-8859-${index}?Q?a?=`).join('-');
    expect(decodeEncodedWords(value)).toContain('=?iso-8859-16?Q?a?=');
    expect(decodeEncodedWords(value)).not.toContain('=?iso-8859-1?Q?a?=');
  });

  it.each(['=?', '=?a?Q?', '=?utf-8?Q?a?=', '=?utf-8?B?', '?=', '=?x?B?=?', '= ? '])('R06 come to an end for 128 KB of %j', (piece) => {
    const value = piece.repeat(Math.ceil((128 * 1024) / piece.length));
    expect(decodeEncodedWords(value).length).toBeLessThanOrEqual(value.length);
  });
});
