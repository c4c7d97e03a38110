/** Whatever the content, however content and replies are cut: what arrives is the content, and each recipient gets it as the server said. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openLmtpSink } from '../../src/fetch/sinks/mail-server-sink.ts';
import { dial } from '../../src/platform/dial.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { fetched } from '../support/fetched-message.ts';
import { MailReceiver } from '../support/mail-receiver.ts';

const never = new AbortController().signal;

/** Line ends as SMTP has them; the last line is ended. Written apart from the program, and without any streaming. */
function inLines(octets: Buffer): Buffer {
  if (octets.length === 0) return octets;
  const text = octets.toString('latin1').replaceAll(/\r\n|\r|\n/g, '\r\n');
  return Buffer.from(text.endsWith('\r\n') ? text : `${text}\r\n`, 'latin1');
}

const chunk = fc
  .array(fc.constantFrom('.', '.', '\r\n', '\r\n', '\r', '\n', '\r\n.\r\n', '\r\n..', 'x', '\0', '\xe9', 'QUIT\r\n'), { maxLength: 8 })
  .map((parts) => Buffer.from(parts.join(''), 'latin1'));
/** At RCPT, then after the dot. */
const fate = fc.tuple(
  fc.constantFrom(undefined, '450 4.2.1 wait', '550 5.1.1 no'),
  fc.constantFrom(undefined, '451-4.3.0 wait\r\n451 4.3.0 a while', '554 5.6.0 no'),
);

describe('LMTP over any segmentation', () => {
  it('delivers the content to those that the server says have it, and to nobody twice', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(chunk, { maxLength: 12 }),
        fc.array(fate, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 40 }),
        async (chunks, fates, segment) => {
          const names = fates.map((_, index) => `r${index}@x.test`) as [string, ...string[]];
          const fateOf = (name: string) => fates[names.indexOf(name)] ?? [undefined, undefined];
          const receiver = await MailReceiver.start({
            protocol: 'lmtp',
            segment,
            answer: (step, line) => {
              if (step === 'rcpt') return fateOf(/<(.*)>/.exec(line)?.[1] ?? '')[0];
              return step === 'final' ? fateOf(line)[1] : undefined;
            },
          });
          const sink = openLmtpSink({ host: '127.0.0.1', port: receiver.port, recipients: names }, { clock: systemClock, dial });
          try {
            const classes = fates.map(([rcpt, final]) => (rcpt ?? final ?? '250').charAt(0));
            const expected = classes.includes('4') ? 'later' : classes.includes('5') ? 'refused' : 'stored';
            expect(await sink.deliver(fetched(chunks), never)).toMatchObject({ kind: expected });
            const having = names.filter((_, index) => classes[index] === '2');
            expect(receiver.received.flatMap(({ recipients }) => recipients)).toEqual(having);
            for (const { octets } of receiver.received) expect(octets).toEqual(inLines(Buffer.concat(chunks)));

            receiver.answer = () => undefined;
            expect(await sink.deliver(fetched(chunks), never)).toMatchObject({ kind: 'stored' });
            const all = receiver.received.flatMap(({ recipients }) => recipients);
            // Where all had it the message is settled, and another offer is another message.
            expect(all.sort()).toEqual((expected === 'stored' ? [...names, ...names] : [...names]).sort());
          } finally {
            await sink.close();
            await receiver.close();
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
