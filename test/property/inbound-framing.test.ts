/** However the network cuts what an application sends, the delivery is given the same octets and the application the same replies (F08). */
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ListenerEngine } from '../../src/listener/listener-engine.ts';
import { PasswordCheck } from '../../src/platform/password-check.ts';
import { ClientDirectory } from '../../src/policy/client-directory.ts';
import { EagerClock } from '../support/eager-clock.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemorySocket } from '../support/memory-socket.ts';
import { ScriptedSubmission } from '../support/scripted-submission.ts';
import { inWireForm } from '../support/smuggling.ts';
import { STAGE_CLIENTS, stageSettings } from '../support/smtp-stage.ts';
import { UnconfirmedAnswers } from '../../src/listener/unconfirmed-answers.ts';

const RUNS = 300;

/** The same ids in every run, so that whole outcomes can be compared. */
const constantRandom = { fraction: () => 0.5, octets: (count: number) => new Uint8Array(count).fill(7) };

let submission: ScriptedSubmission;
let engine: ListenerEngine;

beforeAll(() => {
  submission = new ScriptedSubmission();
  const clock = new EagerClock();
  engine = new ListenerEngine({
    settings: stageSettings(),
    submission,
    clients: new ClientDirectory(STAGE_CLIENTS),
    passwords: new PasswordCheck({ clock, random: constantRandom }),
    clock,
    random: constantRandom,
    log: new MemoryLog(),
    hostname: 'relay.test',
    unconfirmed: new UnconfirmedAnswers(clock),
  });
});

afterAll(() => {
  for (const session of engine.sessions) session.socket.destroy();
});

interface Outcome {
  readonly replies: string;
  readonly contents: readonly (string | undefined)[];
}

/** One session from a known network that sends these chunks. */
async function send(chunks: readonly Uint8Array[]): Promise<Outcome> {
  const before = submission.transactions.length;
  const socket = new MemorySocket();
  engine.connect(socket.asSocket);
  await socket.deliver(chunks);
  while (!socket.written.includes('221 2.0.0 Bye') && !socket.destroyed) await nextTurn();
  socket.destroy();
  return { replies: socket.written, contents: submission.transactions.slice(before).map(({ content }) => content?.toString('latin1')) };
}

/** The content of a message ends in CRLF (RFC 5321 §4.1.1.4): an application adds it where it is missing. */
const ended = (content: string): string => (content === '' || content.endsWith('\r\n') ? content : `${content}\r\n`);

/** RFC 5321 §4.5.2, by an application that also takes a bare LF for a line end; then the end-of-data. */
const stuffed = (content: string): string => `${ended(content).replace(/(^|\n)\./g, '$1..')}.\r\n`;

const ENVELOPE = 'MAIL FROM:<scan@postern.test>\r\nRCPT TO:<a@example.test>\r\nDATA\r\n';

const session = (...contents: string[]): Buffer =>
  Buffer.from(`EHLO x\r\n${contents.map((content) => `${ENVELOPE}${stuffed(content)}`).join('')}NOOP\r\nQUIT\r\n`, 'latin1');

const HEADER = 'Subject: x\r\n\r\n';

/** Mostly what framing is about. */
const body = fc.string({
  unit: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('.', '\r', '\n', '\r\n', '\r\n.', '\n.', '.\r\n', '\r\n.\r\n') },
    { weight: 2, arbitrary: fc.constantFrom('a', 'MAIL FROM:<x@y>\r\n', '\u00e4', ' ') },
  ),
  maxLength: 60,
});

type Cuts = readonly number[] | 'every octet';

function cutAt(octets: Buffer, cuts: Cuts): Uint8Array[] {
  if (cuts === 'every octet') return Array.from(octets, (octet) => Buffer.of(octet));
  const places = [...new Set(cuts.map((cut) => cut % octets.length))].filter((place) => place > 0).sort((one, other) => one - other);
  return [...places, octets.length].map((end, index) => octets.subarray(index === 0 ? 0 : places[index - 1], end));
}

const cuts: fc.Arbitrary<Cuts> = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.nat(), { maxLength: 40 }) },
  { weight: 1, arbitrary: fc.constant('every octet' as const) },
);

test('F08 a body arrives as it was sent, however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(body, cuts, async (text, places) => {
      const outcome = await send(cutAt(session(HEADER + text), places));
      expect(outcome.contents).toHaveLength(1);
      const [content = ''] = outcome.contents;
      expect(content.slice(content.indexOf(HEADER) + HEADER.length)).toBe(inWireForm(ended(HEADER + text).slice(HEADER.length)));
    }),
    { numRuns: RUNS },
  );
}, 120_000);

test('F08 two messages in a row give the same replies and contents however they are cut, with any header section or none', async () => {
  await fc.assert(
    fc.asyncProperty(body, body, cuts, async (one, other, places) => {
      const octets = session(one, other);
      const whole = await send([octets]);
      expect(await send(cutAt(octets, places))).toEqual(whole);
      expect(whole.contents).toHaveLength(2);
      expect(whole.replies).toMatch(/250 2\.0\.0 OK <scripted>\r\n250 2\.0\.0 OK\r\n221 2\.0\.0 Bye\r\n$/);
    }),
    { numRuns: RUNS },
  );
}, 120_000);
