import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isAccepted, type Reply } from '../../../src/core/reply.ts';
import { ReplyParser, ReplyViolation } from '../../../src/message/reply-parser.ts';

function parse(...segments: (string | Buffer)[]): Reply[] {
  const parser = new ReplyParser();
  return segments.flatMap((segment) => read(parser, Buffer.from(segment as string)));
}

/** Those that are complete with these octets. */
function read(parser: ReplyParser, octets: Buffer): Reply[] {
  const replies: Reply[] = [];
  parser.push(octets);
  for (let reply = parser.next(); reply !== undefined; reply = parser.next()) replies.push(reply);
  return replies;
}

describe('replies', () => {
  it('are read with one line and with several', () => {
    expect(parse('250 2.1.0 Sender OK\r\n250-first\r\n250-second\r\n250 third\r\n354\r\n')).toEqual([
      { code: 250, enhancedCode: '2.1.0', text: ['Sender OK'] },
      { code: 250, text: ['first', 'second', 'third'] },
      { code: 354, text: [''] },
    ]);
  });

  it('may end in a lone LF', () => {
    expect(parse('250 one\n250 two\n')).toHaveLength(2);
  });

  it('are the same whatever the segments', () => {
    const wire = Buffer.from('220 ready\r\n250-a\r\n250-AUTH LOGIN XOAUTH2\r\n250 ü\r\n334 \r\n535 5.7.3 no\r\n');
    const whole = parse(wire);
    expect(whole).toHaveLength(4);
    for (let cut = 0; cut <= wire.length; cut += 1) expect(parse(wire.subarray(0, cut), wire.subarray(cut))).toEqual(whole);
    fc.assert(
      fc.property(fc.array(fc.nat(wire.length), { maxLength: 40 }), (cuts) => {
        const at = [0, ...cuts, wire.length].sort((one, other) => one - other);
        expect(parse(...at.slice(1).map((end, index) => wire.subarray(at[index], end)))).toEqual(whole);
      }),
    );
  });

  it('are one clean line each, whatever is in them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
        const noise = Buffer.from(octets.filter((octet) => octet !== 0x0a));
        for (const { text } of parse(Buffer.concat([Buffer.from('250 '), noise, Buffer.from('\r\n')]))) {
          expect(text.join('')).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/);
        }
      }),
    );
    expect(parse('451 try\rlater\u0000now\r\n')[0]?.text).toEqual(['try later now']);
    expect(parse(Buffer.from([0x32, 0x35, 0x30, 0x20, 0xff, 0xfe, 0x0d, 0x0a]))[0]?.text).toEqual(['\ufffd\ufffd']);
  });

  it('know when one is half read', () => {
    const parser = new ReplyParser();
    expect(parser.isMidReply).toBe(false);
    expect(read(parser, Buffer.from('250-a\r\n'))).toEqual([]);
    expect(parser.isMidReply).toBe(true);
    expect(read(parser, Buffer.from('250 b\r\n'))).toHaveLength(1);
    expect(parser.isMidReply).toBe(false);
  });
});

describe('what is no reply', () => {
  it.each([
    '250OK\r\n',
    '999 x\r\n',
    '25\r\n',
    '\r\n',
    ' 250 ok\r\n',
    '2500 ok\r\n',
    'HTTP/1.1 400 Bad Request\r\n',
    '\u0000\r\n',
    '١٢٣ x\r\n',
  ])('U12 %j is refused', (line) => {
    expect(() => parse(line)).toThrow(ReplyViolation);
  });

  it('is a reply whose lines have different codes', () => {
    expect(() => parse('550-no\r\n250 yes\r\n')).toThrow(/different codes/);
  });

  it('U10 is a line that never ends', () => {
    const parser = new ReplyParser();
    let taken = 0;
    expect(() => {
      for (;;) {
        expect(read(parser, Buffer.alloc(1_000, 'a'))).toEqual([]);
        taken += 1_000;
      }
    }).toThrow(ReplyViolation);
    expect(taken).toBeLessThan(10_000);
  });

  it('U10 is a line of a megabyte, in one piece', () => {
    expect(() => parse(`250 ${'a'.repeat(1_000_000)}\r\n`)).toThrow(ReplyViolation);
  });

  it('U10 is a reply of more than 100 lines, or 64 KB', () => {
    expect(parse(`${'250-a\r\n'.repeat(99)}250 a\r\n`)).toHaveLength(1);
    expect(() => parse('250-a\r\n'.repeat(101))).toThrow(/without end/);
    expect(() => parse(`250-${'a'.repeat(8_000)}\r\n`.repeat(9))).toThrow(/without end/);
  });

  it('never makes a success of a failure', () => {
    const piece = fc.constantFrom('250', '550', '451', '-', ' ', '\r\n', '\n', 'x');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const wire = pieces.join('');
        let replies: Reply[] = [];
        try {
          replies = parse(wire);
        } catch {
          return;
        }
        const successes = wire.split('\n').filter((line) => /^250(?: |\r?$)/.test(line)).length;
        expect(replies.filter(isAccepted).length).toBeLessThanOrEqual(successes);
      }),
    );
  });
});
