import { describe, expect, test } from 'vitest';
import { InputBuffer } from '../../../src/listener/input-buffer.ts';

function filled(...chunks: string[]): InputBuffer {
  const input = new InputBuffer();
  for (const chunk of chunks) input.push(Buffer.from(chunk));
  return input;
}

const take = (input: InputBuffer, longest = 20): string | undefined => input.takeLine(longest)?.toString();

describe('lines', () => {
  test('end in CRLF or LF, and come in order, however they are cut', () => {
    const text = 'EHLO x\r\nNOOP\n\r\nRSET';
    for (let size = 1; size <= text.length; size += 1) {
      const chunks = Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.slice(index * size, (index + 1) * size));
      const input = filled(...chunks);
      expect([take(input), take(input), take(input), take(input)]).toEqual(['EHLO x', 'NOOP', '', undefined]);
      expect(input.takeAll().toString()).toBe('RSET');
      expect(input.length).toBe(0);
    }
  });

  test('a CR in the middle is part of the line', () => {
    expect(take(filled('a\rb\r\r\n'))).toBe('a\rb\r');
  });

  test('too long is what is longer than it may be, with its end or without', () => {
    expect(take(filled('x'.repeat(20)))).toBeUndefined();
    expect(take(filled('x'.repeat(21)))).toBe('too-long');
    expect(take(filled(`${'x'.repeat(21)}\r\n`))).toBe('too-long');
    expect(take(filled(`${'x'.repeat(20)}\r\n`))).toBe('x'.repeat(20));
  });

  test('a line that grows octet by octet is found when its end comes', () => {
    const input = new InputBuffer();
    for (const octet of 'NOOP\r') {
      input.push(Buffer.from(octet));
      expect(take(input)).toBeUndefined();
    }
    input.push(Buffer.from('\nQ'));
    expect(take(input)).toBe('NOOP');
    expect(take(input)).toBeUndefined();
    input.push(Buffer.from('UIT\n'));
    expect(take(input)).toBe('QUIT');
  });
});
