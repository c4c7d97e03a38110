import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromWireForm, inWireForm, toWireForm, WireFormEncoder } from '../../../src/message/wire-form.ts';
import { collect, octetsOf, streamOf, textOf } from '../../support/octets.ts';

const encode = async (...chunks: string[]): Promise<string> => textOf(...(await collect(toWireForm(streamOf(chunks.map(octetsOf))))));
const decode = async (...chunks: string[]): Promise<string> => textOf(...(await collect(fromWireForm(streamOf(chunks.map(octetsOf))))));

describe('wire form', () => {
  it.each([
    ['nothing', '', ''],
    ['one line', 'a\r\n', 'a\r\n'],
    ['a last line without end', 'a', 'a\r\n'],
    ['a last line with a bare CR', 'a\r', 'a\r\n'],
    ['a last line with a bare LF', 'a\n', 'a\r\n'],
    ['bare LF', 'a\nb\n', 'a\r\nb\r\n'],
    ['bare CR', 'a\rb\r', 'a\r\nb\r\n'],
    ['CR CR LF: a bare CR, then CRLF', 'a\r\r\nb', 'a\r\n\r\nb\r\n'],
    ['LF CR: a bare LF, then a bare CR', 'a\n\rb', 'a\r\n\r\nb\r\n'],
    ['empty lines of each kind', '\n\r\r\n\n', '\r\n\r\n\r\n\r\n'],
    ['a leading dot in the first line', '.a\r\n', '..a\r\n'],
    ['a leading dot after each kind of line end', 'a\r\n.b\n.c\r.d', 'a\r\n..b\r\n..c\r\n..d\r\n'],
    ['two leading dots', '..\r\n', '...\r\n'],
    ['dots elsewhere', 'a.\r\nb..c\r\n', 'a.\r\nb..c\r\n'],
    ['NUL and 8 bit', '\0\xe9\xff\r\n', '\0\xe9\xff\r\n'],
  ])('of %s', async (_, content, wire) => {
    expect(await encode(content)).toBe(wire);
    expect(await encode(...content.split(''))).toBe(wire);
  });

  it('is the same for a short content by itself and as the end of a long one', () => {
    const long = Buffer.from(`${'a'.repeat(70)}\r\n`.repeat(100));
    const octet = fc.constantFrom(...Buffer.from('\r\n.a\0'));
    fc.assert(
      fc.property(fc.array(octet, { maxLength: 12 }), (octets) => {
        const short = Buffer.from(octets);
        const whole = Buffer.from(inWireForm([long, short]));
        expect(whole.subarray(0, long.length).equals(long)).toBe(true);
        expect(textOf(whole.subarray(long.length))).toBe(textOf(inWireForm([short])));
      }),
      { numRuns: 2_000 },
    );
  });

  // Sequences with which messages have been smuggled past relays that pass on what they do not take for end-of-data.
  it.each(['\n.\n', '\n.\r\n', '\r\n.\n', '\r.\r\n', '\r.\r', '\r.\n', '\n.\r', '\r\n.\r\r\n', '\r\r\n.\r\r\n', '\r\n.\r\n'])(
    'leaves no end-of-data of any reader in %j',
    async (sequence) => {
      const wire = await encode(`a${sequence}MAIL FROM:<smuggled@example.com>\r\n`);
      expect(wire).toMatch(/^a\r\n(\r\n)?\.\.\r\n(\r\n)?MAIL FROM/);
      expect(wire).not.toMatch(/(^|[\r\n])\.[\r\n]/);
      expect(wire.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    },
  );

  it('passes a chunk that needs no change on uncopied', () => {
    const encoder = new WireFormEncoder();
    for (const text of ['a\r\nb', 'c\r', '\nd\r\n', '\r\n', 'e.']) {
      const chunk = octetsOf(text);
      expect(encoder.push(chunk)).toEqual([chunk]);
      expect(encoder.push(octetsOf(''))).toEqual([]);
    }
    const same = octetsOf('f\r\n');
    expect(encoder.push(same)[0]).toBe(same);
  });

  it('sends a CR at the end of a chunk at once, and its LF when the next octet is known', () => {
    const encoder = new WireFormEncoder();
    expect(textOf(...encoder.push(octetsOf('a\r')))).toBe('a\r');
    expect(textOf(...encoder.push(octetsOf('.')))).toBe('\n..');
    expect(textOf(...encoder.finish())).toBe('\r\n');
  });

  it('rewrites a large chunk in parts, with the same result', async () => {
    const lines = 'line\r.dot\n\r\n'.repeat(40_000);
    const pieces = await collect(toWireForm(streamOf([octetsOf(lines)])));
    expect(textOf(...pieces)).toBe('line\r\n..dot\r\n\r\n'.repeat(40_000));
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(131_072);
  });

  it.each([997, 998, 65_535, 65_536, 65_537, 5_000_000])('F17 neither cuts nor folds a line of %i octets', async (length) => {
    const line = `${'x'.repeat(length)}\r\n`;
    expect((await encode(line)) === line).toBe(true);
  });

  it('can be used again after the end', () => {
    const encoder = new WireFormEncoder();
    encoder.push(octetsOf('a'));
    encoder.finish();
    expect(textOf(...encoder.push(octetsOf('.')), ...encoder.finish())).toBe('..\r\n');
  });

  it('does not go on after the source has failed', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield octetsOf('a');
      throw new Error('peer gone');
    }
    const sent: Uint8Array[] = [];
    await expect(
      (async () => {
        for await (const chunk of toWireForm(failing())) sent.push(chunk);
      })(),
    ).rejects.toThrow('peer gone');
    expect(textOf(...sent)).toBe('a');
  });
});

describe('the way back', () => {
  it.each([
    ['', ''],
    ['..\r\n', '.\r\n'],
    ['...a\r\n..\r\nb..\r\n', '..a\r\n.\r\nb..\r\n'],
    ['a\r\n\r\n..b', 'a\r\n\r\n.b'],
  ])('of %j', async (wire, content) => {
    expect(await decode(wire)).toBe(content);
    expect(await decode(...wire.split(''))).toBe(content);
  });
});
