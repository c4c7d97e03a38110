import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseAddressList } from '../../../src/message/address-list.ts';

describe('the addresses of a correct From', () => {
  it.each<[string, string[]]>([
    ['erp@example.com', ['erp@example.com']],
    ['<erp@example.com>', ['erp@example.com']],
    ['ERP System <erp@example.com>', ['erp@example.com']],
    ['"ERP, System" <erp@example.com>', ['erp@example.com']],
    ['J. R. Smith <jr@example.com>', ['jr@example.com']],
    ['"boss@other.example" <erp@example.com>', ['erp@example.com']],
    ['"a \\" <boss@other.example>" <erp@example.com>', ['erp@example.com']],
    ['=?utf-8?Q?B=C3=BCro_=40x?= <erp@example.com>', ['erp@example.com']],
    ['Büro <büro@example.com>', ['büro@example.com']],
    ['erp@example.com (boss@other.example)', ['erp@example.com']],
    ['(a (nested \\) one) b) erp (x) @ (y) example . (z) com', ['erp@example.com']],
    ['a@example.com, B <b@example.com>,c@example.com', ['a@example.com', 'b@example.com', 'c@example.com']],
    [',a@example.com,, b@example.com,', ['a@example.com', 'b@example.com']],
    ['a@example.com, a@example.com', ['a@example.com']],
    ['<@relay.example,@[192.0.2.1]:erp@example.com>', ['erp@example.com']],
    ['Group: a@example.com, B <b@example.com>; ', ['a@example.com', 'b@example.com']],
    ['undisclosed recipients:;', []],
    ['One:a@example.com;, b@example.com, "Two":;', ['a@example.com', 'b@example.com']],
    ['"erp"@example.com', ['erp@example.com']],
    ['"e\\rp".x@example.com', ['erp.x@example.com']],
    ['"erp system"@example.com', ['"erp system"@example.com']],
    ['"a\\"b\\\\"@example.com', ['"a\\"b\\\\"@example.com']],
    ['erp@[192.0.2.1]', ['erp@[192.0.2.1]']],
    ['erp@[IPv6: 2001:db8::1 ]', ['erp@[IPv6:2001:db8::1]']],
    ["o'brien+x/y=z@example.com", ["o'brien+x/y=z@example.com"]],
    ['\terp@example.com\t', ['erp@example.com']],
  ])('%s', (value, addresses) => {
    expect(parseAddressList(value)).toEqual({ addresses, isMalformed: false });
  });
});

it('reads a plain value as it reads one that it has to look at closely', () => {
  const character = fc.constantFrom('a', 'Z', '0', '.', '-', '_', '+', '@', '<', '>', ' ', ',', 'é');
  const value = fc.array(character, { maxLength: 14 }).map((characters) => characters.join('').trim());
  const likely = fc.constantFrom('a@b', 'Ab 0 <a.b@c-d.e>', '<a@b>', 'a@b.c', 'A <a+1@b>', 'a..b@c', 'A.B <a@b>', ' <a@b>', 'a@b>');
  fc.assert(
    fc.property(fc.oneof(value, likely), (text) => {
      // A comment behind it names nobody, and keeps it from being plain.
      const closely = parseAddressList(`${text}()`);
      const read = parseAddressList(text);
      expect(read.isMalformed).toBe(closely.isMalformed);
      if (!closely.isMalformed) expect(read.addresses).toEqual(closely.addresses);
    }),
    { numRuns: 2_000 },
  );
});

describe('everything a broken From could mean', () => {
  it.each<[string, string[]]>([
    ['', []],
    [' ', []],
    ['Scanner', ['Scanner']],
    [' My Printer ', ['My Printer']],
    ['Scanner <root>', ['Scanner <root>']],
    ['<>', ['<>']],
    [',', [',']],
    ['scanner@', ['scanner@']],
    ['@example.com', ['@example.com']],
    ['erp@example.com <erp@example.com>', ['erp@example.com']],
    ['boss@other.example <erp@example.com>', ['boss@other.example', 'erp@example.com']],
    ['Printer erp@example.com', ['erp@example.com']],
    ['erp@example.com Printer', ['erp@example.com']],
    ['<erp@example.com> <boss@other.example>', ['erp@example.com', 'boss@other.example']],
    ['<erp@example.com> boss@other.example', ['erp@example.com', 'boss@other.example']],
    ['<erp@example.com', ['erp@example.com']],
    ['erp@example.com>', ['erp@example.com']],
    ['<<erp@example.com>>', ['erp@example.com']],
    ['a@example.com; b@example.com', ['a@example.com', 'b@example.com']],
    ['a@example.com b@example.com', ['a@example.com', 'b@example.com']],
    ['"erp@example.com', ['erp@example.com']],
    ['(erp@example.com', ['erp@example.com']],
    ['erp@example.com (x', ['erp@example.com']],
    ['erp@example.com (x\u0007)', ['erp@example.com']],
    ['"x\u0007" <erp@example.com>', ['erp@example.com']],
    ['<erp@example.com>, <a;b@example.com>', ['erp@example.com', 'b@example.com']],
    ['<@a<b:erp@example.com>', ['@a', 'erp@example.com']],
    ['erp@[192.0.2.1', ['erp@']],
    ['erp.@example.com', ['erp.@example.com']],
    ['a..b@example.com', ['a..b@example.com']],
    ['a@b@c.example', ['a@b@c.example', 'a@b', 'b@c.example']],
    ['e(x)rp@example.com', ['rp@example.com', 'erp@example.com']],
    ['erp@example.com(x)other.example', ['erp@example.com', 'erp@example.comother.example']],
    ['x erp@example.com .other.example', ['erp@example.com', 'erp@example.com.other.example']],
    [
      '"boss@other.example"@example.com',
      ['boss@other.example', '@example.com', 'boss@other.example@example.com', 'other.example@example.com'],
    ],
    ['a@example.com, Group: b@example.com', ['a@example.com', 'b@example.com']],
    ['A: B: a@example.com;;', ['a@example.com']],
    [':a@example.com;', ['a@example.com']],
    ['a@example.com: b@example.com;', ['a@example.com', 'b@example.com']],
    ['a@example.com\\, b@example.com', ['a@example.com', 'b@example.com']],
    ['erp@example.com\u0000boss@other.example', ['erp@example.com', 'boss@other.example']],
    ['<a,b@example.com>', ['b@example.com']],
    ['<@x.example erp@example.com>', ['@x.example', 'erp@example.com']],
    ['<@"x":erp@example.com>', ['@', 'erp@example.com', '@x']],
  ])('%j', (value, addresses) => {
    const list = parseAddressList(value);
    expect(list.isMalformed).toBe(true);
    expect([...list.addresses].sort()).toEqual([...addresses].sort());
  });
});

it.each(['(', '<', '"', '@', 'a@b,', 'a@', '[', '\\', ' ', ':', '<@a,', 'a.'])('R06 comes to an end for 1 MB of %j', (unit) => {
  expect(parseAddressList(unit.repeat(1_000_000 / unit.length)).addresses).toBeDefined();
});
