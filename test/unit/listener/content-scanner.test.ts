import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ContentScanner } from '../../../src/listener/content-scanner.ts';

interface Outcome {
  readonly content: string;
  readonly rest: string | undefined;
}

function scan(text: string, size: number): Outcome {
  const scanner = new ContentScanner();
  const octets = Buffer.from(text, 'latin1');
  let content = '';
  for (let at = 0; at < octets.length; at += size) {
    const { pieces, rest } = scanner.push(octets.subarray(at, at + size));
    for (const piece of pieces) expect(piece.length).toBeGreaterThan(0);
    content += Buffer.concat(pieces).toString('latin1');
    if (rest !== undefined) return { content, rest: rest.toString('latin1') + octets.subarray(at + size).toString('latin1') };
  }
  return { content, rest: undefined };
}

/** The same, said line by line: what is between the ends of lines, and where it stops. */
function expected(text: string): Outcome {
  let content = '';
  let isProper = true;
  for (let at = 0; at < text.length; ) {
    if (isProper && text.startsWith('.\r\n', at)) return { content, rest: text.slice(at + 3) };
    const isCutOff = isProper && (text.slice(at) === '.' || text.slice(at) === '.\r');
    if (isCutOff || text.slice(at) === '.') return { content, rest: undefined };
    if (text.startsWith('..', at)) at += 1;
    const end = text.indexOf('\n', at);
    const line = end === -1 ? text.slice(at) : text.slice(at, end + 1);
    isProper = line.endsWith('\r\n');
    content += line;
    at += line.length;
  }
  return { content, rest: undefined };
}

describe('the end of content', () => {
  test.each([
    ['nothing at all', '.\r\nQUIT\r\n', { content: '', rest: 'QUIT\r\n' }],
    ['a line', 'a\r\n.\r\n', { content: 'a\r\n', rest: '' }],
    ['an empty line', '\r\n.\r\nNOOP', { content: '\r\n', rest: 'NOOP' }],
    ['a line that was stuffed to look like the end', '..\r\n.\r\n', { content: '.\r\n', rest: '' }],
    ['a line of two dots', 'a\r\n...\r\n.\r\n', { content: 'a\r\n..\r\n', rest: '' }],
    ['a dot that nobody stuffed', 'a\r\n.b\r\n.\r\n', { content: 'a\r\n.b\r\n', rest: '' }],
    ['two dots behind a bare LF', 'a\n..b\r\n.\r\n', { content: 'a\n.b\r\n', rest: '' }],
  ])('behind %s, however it is cut', (_, text, outcome) => {
    for (let size = 1; size <= text.length; size += 1) expect(scan(text, size)).toEqual(outcome);
  });

  test.each(['a\n.\r\n', 'a\n.\n', 'a\r.\r', 'a\r\n.\n', 'a\r\n.\r', 'a\r.\r\n', '.\n', '.\r', 'a\r\n.\rb\r\n', 'a\r\n .\r\n'])(
    'is not %j, however it is cut',
    (text) => {
      for (let size = 1; size <= text.length; size += 1) expect(scan(text, size).rest).toBeUndefined();
    },
  );

  test('F08 any octets cut anywhere are read as line by line', () => {
    const octets = fc.string({ unit: fc.constantFrom('.', '\r', '\n', '\r\n', '\r\n.', '\n.', 'a', '..', '.\r\n'), maxLength: 40 });
    fc.assert(
      fc.property(octets, fc.integer({ min: 1, max: 9 }), (text, size) => {
        expect(scan(text, size)).toEqual(expected(text));
      }),
      { numRuns: 10_000 },
    );
  });

  test('passes on what it is given, uncopied', () => {
    const chunk = Buffer.from('a line\r\nand another\r\n');
    const { pieces } = new ContentScanner().push(chunk);
    expect(pieces).toHaveLength(1);
    expect(pieces[0]?.buffer).toBe(chunk.buffer);
  });
});
