import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePath, readPath } from '../../../src/listener/address-parser.ts';
import { TextCursor } from '../../../src/listener/text-cursor.ts';

const addressOf = (text: string): string | undefined => {
  const path = parsePath(text);
  return path.kind === 'path' ? path.address : undefined;
};

describe('accepted', () => {
  test.each([
    ['<a@b.test>', 'a@b.test'],
    [' <a@b.test>', 'a@b.test'],
    ['\t< a@b.test >  ', 'a@b.test'],
    ['a@b.test', 'a@b.test'],
    ['a@b.test   ', 'a@b.test'],
    ['Printer <a@b.test>', 'a@b.test'],
    ['Printer<a@b.test>', 'a@b.test'],
    ['My old Printer <a@b.test>', 'a@b.test'],
    ['"Room 2, left" <a@b.test>', 'a@b.test'],
    ['"say \\"hi\\"" <a@b.test>', 'a@b.test'],
    ['<@r1.test,@r2.test:a@b.test>', 'a@b.test'],
    ['<>', ''],
    ['<A.User@B.Test>', 'A.User@B.Test'],
    ['<a%b!c@d.test>', 'a%b!c@d.test'],
    ['<a..b.@d.test>', 'a..b.@d.test'],
    ['<"a b"@d.test>', '"a b"@d.test'],
    ['<"a"@d.test>', 'a@d.test'],
    ['<"a\\b"@d.test>', 'ab@d.test'],
    ['<"a\\"b"@d.test>', '"a\\"b"@d.test'],
    ['<"a..b"@d.test>', '"a..b"@d.test'],
    ['<a@[192.0.2.1]>', 'a@[192.0.2.1]'],
    ['<a@[IPv6:::1]>', 'a@[IPv6:::1]'],
    ['<a@localhost>', 'a@localhost'],
    ['<a@host_1.test>', 'a@host_1.test'],
    ['<ä@b.test>', 'ä@b.test'],
    ['<a@bücher.test>', 'a@xn--bcher-kva.test'],
    ['<a@xn--bcher-kva.test>', 'a@xn--bcher-kva.test'],
    ['<a@ｂ.test>', 'a@b.test'],
  ])('%s', (text, address) => {
    expect(addressOf(text)).toBe(address);
  });

  test('what follows is kept for the parameters', () => {
    expect(parsePath('<a@b.test>  SIZE=1 BODY=7BIT ')).toMatchObject({ rest: 'SIZE=1 BODY=7BIT' });
    expect(parsePath('a@b.test AUTH=<>')).toMatchObject({ address: 'a@b.test', rest: 'AUTH=<>' });
    expect(parsePath('<> RET=HDRS')).toMatchObject({ address: '', rest: 'RET=HDRS' });
  });

  test('only a local part beyond ASCII needs SMTPUTF8', () => {
    expect(parsePath('<ä@b.test>')).toMatchObject({ needsSmtpUtf8: true });
    expect(parsePath('<a@bücher.test>')).toMatchObject({ needsSmtpUtf8: false });
  });
});

describe('refused', () => {
  test.each([
    '',
    ' ',
    '<printer>',
    'printer',
    'Printer <printer>',
    '<a@>',
    '<@b.test>',
    '<a@b@c.test>',
    '<"a@b"@c.test>',
    '<"a b" c@d.test>',
    '<a b@c.test>',
    '<"a"b@c.test>',
    '<"a@c.test>',
    '<"">',
    '<""@c.test>',
    '<"\\"@c.test>',
    '<a@b.test',
    '<<a@b.test>>',
    '<a@b.test>x',
    '<a@b.test><c@d.test>',
    'a@b.test<c@d.test>',
    'x y@b.test <a@b.test>',
    '<a@-b.test>',
    '<a@b..test>',
    '<a@b.test.>',
    '<a@[192.0.2]>',
    '<a@[IPv6:192.0.2.1]>',
    '<a@[::1]>',
    '<a@[192.0.2.1>',
    '<a,b@c.test>',
    '<a@b.test,c@d.test>',
    '<a;b@c.test>',
    '<(x)a@b.test>',
    '<a@b.test(x)>',
    '<a\\b@c.test>',
    '<a\u0000@b.test>',
    '<a\u007f@b.test>',
    '<a\u009b@b.test>',
    '<a\u200b@b.test>',
    '<a\ufeff@b.test>',
    '<a\u202e@b.test>',
    '<a\ufffd@b.test>',
    '<a@b\u00ad.test>',
    '<a@xn--a.test>',
    '<"a\rb"@c.test>',
    '<"<x>"@c.test>',
    `<${'a'.repeat(320)}@b.test>`,
    `<a@${'b'.repeat(64)}.test>`,
    '"open',
    '"a',
  ])('%j', (text) => {
    expect(parsePath(text).kind).toBe('refused');
  });
});

test('whatever is accepted can be written between brackets: no control character, bracket, or bare blank, and one @ outside quotes', () => {
  const character = fc.oneof(
    fc.constantFrom('<', '>', '@', '"', '\\', ' ', '.', ',', ':', '\t', 'ä', 'xn--', '[', ']'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }),
    fc.constantFrom('a', 'b.test', '@b.test'),
  );
  const text = fc.array(character, { maxLength: 14 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, (words) => {
      const address = addressOf(words);
      if (address === undefined || address === '') return;
      expect(address).toMatch(
        /^(?:[^\u0000-\u0020\u007f-\u009f<>@"]+|"(?:[^\u0000-\u001f\u007f-\u009f<>@"\\]|\\["\\])+")@[\u0021-\u007e]+$/u,
      );
      expect(addressOf(`<${address}>`), 'the same when read again').toBe(address);
    }),
    { numRuns: 5_000, examples: [['<"a b"@b.test>'], ['a@b.test'], ['<@x:a@b.test>']] },
  );
});

describe('R06 linear: twice the text is at most about twice the steps', () => {
  test.each([
    ['opening brackets', (n: number) => '<'.repeat(n)],
    ['quotes', (n: number) => '"'.repeat(n)],
    ['backslashes in a quote', (n: number) => `"${'\\'.repeat(n)}`],
    ['words', (n: number) => 'a '.repeat(n)],
    ['quoted words', (n: number) => '"a" '.repeat(n)],
    ['blanks', (n: number) => `${' '.repeat(n)}<a@b.test>`],
    ['source route', (n: number) => `<${'@a,'.repeat(n)}:b@c.test>`],
    ['at signs', (n: number) => `<${'@'.repeat(n)}>`],
    ['a long name', (n: number) => `${'x'.repeat(n)} <a@b.test>`],
  ])('%s', (_, make) => {
    const steps = (length: number): number => {
      const cursor = new TextCursor(make(length));
      readPath(cursor);
      return cursor.steps;
    };
    expect(steps(20_000)).toBeLessThanOrEqual(2.2 * steps(10_000) + 100);
    expect(steps(20_000)).toBeLessThanOrEqual(4 * make(20_000).length + 100);
  });
});
