/** Following a session changes none of its octets, whatever they are and wherever they are cut, and keeps no more than the start of a response back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ImapConversation } from '../../src/proxy/imap-conversation.ts';

const piece = fc.oneof(
  fc.constantFrom(
    '* BYE',
    '* BY',
    '* ',
    '\r\n',
    '\n',
    '* 3 EXISTS\r\n',
    '* 1 EXPUNGE\r\n',
    'a OK done\r\n',
    '+ idling\r\n',
    '* LIST () "/" Sent\r\n',
  ),
  fc.constantFrom(
    '* 1 FETCH (UID 7 FLAGS (\\Seen))\r\n',
    '* OK [UIDNEXT 9] n\r\n',
    '* 2 FETCH (BODY[] {12}\r\n',
    'postern-probe OK\r\n',
    '{3}\r\n',
    '{99999}\r\n',
  ),
  fc.uint8Array({ maxLength: 40 }).map((octets) => Buffer.from(octets).toString('latin1')),
  fc.integer({ min: 1, max: 3000 }).map((length) => 'x'.repeat(length)),
);
const command = fc.oneof(
  fc.constantFrom(
    'a NOOP\r\n',
    'b SELECT INBOX\r\n',
    'c IDLE\r\n',
    'DONE\r\n',
    'd UID SEARCH CHARSET UTF-8 ALL\r\n',
    'e APPEND x {3+}\r\nabc\r\n',
    '\r\n',
  ),
  fc.integer({ min: 1, max: 3000 }).map((length) => `f UID FETCH ${'1,'.repeat(length)}2 FLAGS\r\n`),
  fc
    .string({ unit: fc.constantFrom('a', 'b', ' ', '{', '}', '"', '(', ')', '*', '%', '+', '1', '2', '\\'), maxLength: 30 })
    .map((text) => `g FETCH ${text} x\r\n`),
);
const cuts = fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 20 });

function* cut(text: string, sizes: readonly number[]): Generator<Buffer> {
  const octets = Buffer.from(text, 'latin1');
  for (let at = 0, index = 0; at < octets.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    yield octets.subarray(at, at + size);
    at += size;
  }
}

describe('octets pass', () => {
  it('to the application', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), cuts, (pieces, sizes) => {
        const conversation = new ImapConversation();
        const text = pieces.join('');
        let said = 0;
        let heard = '';
        for (const chunk of cut(text, sizes)) {
          said += chunk.length;
          heard += conversation.fromUpstream(chunk).toString('latin1');
          // The connection is left then.
          if (conversation.keptGoodbye !== undefined) return;
          expect(text.startsWith(heard)).toBe(true);
          expect(said - heard.length).toBeLessThanOrEqual(512);
          // What is kept back is of a response of which the application has read nothing.
          if (said > heard.length)
            expect([conversation.isAtRest, text.slice(heard.length, said)]).toEqual([true, expect.stringMatching(/^\*/)]);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('to the upstream', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 30 }), cuts, (commands, sizes) => {
        const conversation = new ImapConversation();
        const text = commands.join('');
        const said = [...cut(text, sizes)].map((chunk) => conversation.fromApp(chunk).toString('latin1')).join('');
        expect(said + conversation.appEnded().toString('latin1')).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });
});
