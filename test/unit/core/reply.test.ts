import { describe, expect, it } from 'vitest';
import {
  cleanText,
  describeReply,
  formatReply,
  joinReplyLines,
  parseReplyLine,
  type ReplyLine,
  reply,
  replyClass,
} from '../../../src/core/reply.ts';

function parse(...lines: [string, ...string[]]) {
  const parsed = lines.map((line) => parseReplyLine(line));
  return joinReplyLines(parsed as [ReplyLine, ...ReplyLine[]]);
}

describe('a reply', () => {
  it.each([
    [['250 2.1.0 Sender OK'], { code: 250, enhancedCode: '2.1.0', text: ['Sender OK'] }],
    [
      ['550 5.7.60 SMTP; Client does not have permissions'],
      { code: 550, enhancedCode: '5.7.60', text: ['SMTP; Client does not have permissions'] },
    ],
    [['550-5.1.1 first', '550 5.1.1 second'], { code: 550, enhancedCode: '5.1.1', text: ['first', 'second'] }],
    [['250-smtp.test Hello', '250 SIZE 100'], { code: 250, text: ['smtp.test Hello', 'SIZE 100'] }],
    [['354'], { code: 354, text: [''] }],
    [['220 10.2.3.4 is an address, not a code'], { code: 220, text: ['10.2.3.4 is an address, not a code'] }],
    [['554 5.2.0 with\u0007bell and\u0085next line'], { code: 554, enhancedCode: '5.2.0', text: ['with bell and next line'] }],
  ])('%j is read', (lines, expected) => {
    expect(parse(...(lines as [string]))).toEqual(expected);
  });

  it.each(['', '25', '250OK', '999 no', '+OK', ' 250 x', '2500 x', '199 x'])('%j is not a reply line', (line) => {
    expect(parseReplyLine(line)).toBeUndefined();
  });

  it('is written with its codes on every line', () => {
    expect(formatReply(reply(550, '5.7.1', 'one', 'two'))).toEqual(['550-5.7.1 one', '550 5.7.1 two']);
    expect(formatReply(reply(354, undefined, 'Go ahead'))).toEqual(['354 Go ahead']);
  });

  it('cannot hold a second reply', () => {
    expect(formatReply(reply(550, '5.0.0', 'no\r\n250 2.0.0 yes'))).toEqual(['550 5.0.0 no 250 2.0.0 yes']);
    expect(cleanText('x'.repeat(2_000))).toHaveLength(450);
  });

  it('of an unknown kind counts as transient', () => {
    expect([200, 354, 421, 554, 999, 100].map((code) => replyClass({ code }))).toEqual([2, 3, 4, 5, 4, 4]);
  });

  it('reads as one line', () => {
    expect(describeReply(parse('550-5.1.1 a', '550 5.1.1 b'))).toBe('550 5.1.1 a / b');
  });
});
