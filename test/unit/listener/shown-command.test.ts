/** What a trace shows of a line that a client has sent. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shownCommand } from '../../../src/listener/command-line.ts';

const shown = (line: string): string => shownCommand(Buffer.from(line));

describe('a line in a trace', () => {
  it.each([
    ['EHLO printer.local', 'EHLO printer.local'],
    ['mail from:<a@b.c> SIZE=10', 'MAIL from:<a@b.c> SIZE=10'],
    ['RCPT TO:<a@b.c>', 'RCPT TO:<a@b.c>'],
    ['DATA', 'DATA'],
    ['QUIT', 'QUIT'],
    ['', '[blank line]'],
    ['AUTH PLAIN', 'AUTH PLAIN'],
    ['AUTH PLAIN AGVycABwYXNz', 'AUTH PLAIN [removed]'],
    ['auth login ZXJw', 'AUTH login [removed]'],
    ['NOOP hunter2', 'NOOP [removed]'],
    ['HELO a\u001b[2Jb', 'HELO a [2Jb'],
  ])('%s is shown as %s', (line, expected) => {
    expect(shown(line)).toBe(expected);
  });

  it.each([
    'aHVudGVyMg==',
    'hunter2',
    'AUTH hunter2',
    'AUTH hunter2 hunter2',
    'PASS hunter2',
    'LOGIN erp hunter2',
    'hunter2 hunter2',
    '  hunter2',
  ])('%s may be a password, and is not shown', (line) => {
    expect(shown(line)).toBe(`[${line.length} octets that are no command]`);
  });

  it('never has a control character, and is never longer than what was sent and a note', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (octets) => {
        const text = shownCommand(Buffer.from(octets));
        expect(text).not.toMatch(/[\u0000-\u001f\u007f]/);
        expect(text.length).toBeLessThan(octets.length + 40);
      }),
    );
  });
});
