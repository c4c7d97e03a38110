/** Content that is not what content should be, at the SMTP front: what the delivery is given, octet for octet, and whether the session goes on. */
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { seconds } from '../../src/core/clock.ts';
import { octets } from '../../src/core/octets.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { heldMemory } from '../support/held-memory.ts';
import { loopDelay } from '../support/loop-delay.ts';
import { MemorySocket } from '../support/memory-socket.ts';
import { openSmtpStage, type SmtpStage, type StageOptions } from '../support/smtp-stage.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import { inWireForm, LOOKALIKES, smuggling } from '../support/smuggling.ts';

const MEGA = 1024 * 1024;
const ENVELOPE = ['EHLO app', 'MAIL FROM:<scan@postern.test>', 'RCPT TO:<a@example.test>', 'DATA'];

const stages: SmtpStage[] = [];

async function open(options: StageOptions = {}): Promise<SmtpStage> {
  const stage = await openSmtpStage({ peer: '10.9.1.1', ...options });
  stages.push(stage);
  return stage;
}

afterEach(async () => {
  await Promise.all(stages.splice(0).map((stage) => stage.close()));
});

/** A talk that stands behind 354. */
async function inContent(stage: SmtpStage): Promise<SmtpTalk> {
  const talk = SmtpTalk.plain(stage.port);
  talk.socket.setNoDelay(true);
  await talk.reply();
  for (const command of ENVELOPE) expect(await talk.ask(command)).toMatch(/^[23]/);
  return talk;
}

/** One message with this content, whole or octet by octet; its reply, and what the delivery was given behind our own fields. */
async function submit(stage: SmtpStage, content: string, isCut = false): Promise<{ reply: string; relayed: string | undefined }> {
  const before = stage.submission.submitted.length;
  const talk = await inContent(stage);
  const sent = Buffer.from(`${content}.\r\n`, 'latin1');
  if (!isCut) talk.socket.write(sent);
  else
    for (const octet of sent) {
      talk.socket.write(Buffer.of(octet));
      await nextTurn();
    }
  const reply = await talk.reply();
  // The session is in step: nothing else was answered, and nothing waits.
  expect(await talk.ask('NOOP')).toBe('250 2.0.0 OK');
  expect(talk.unread).toBe('');
  talk.destroy();
  return { reply, relayed: stage.submission.submitted[before]?.content?.toString('latin1') };
}

const HEADER = 'Subject: x\r\n\r\n';
const bodyOf = (relayed: string | undefined): string | undefined => relayed?.slice(relayed.indexOf(HEADER) + HEADER.length);

describe('an end of data that is none', () => {
  const title = (row: string, look: string, cut: string): string => `${row} ${JSON.stringify(look)} ${cut}`;
  it.each(LOOKALIKES.flatMap(([row, look]) => [[row, look, 'whole'] as const, [row, look, 'octet by octet'] as const]))(
    '%s %j, %s: one message, whose lines are all there',
    async (row, look, cut) => {
      const stage = await open();
      const body = smuggling(look, { from: 'smug@postern.test', to: 'smug@example.test' });
      const { reply, relayed } = await submit(stage, HEADER + body, cut !== 'whole');
      expect(title(row, look, reply)).toBe(title(row, look, '250 2.0.0 OK <scripted>'));
      expect(stage.submission.transactions).toHaveLength(1);
      expect(stage.submission.transactions[0]?.forwardPaths.map(({ address }) => address)).toEqual(['a@example.test']);
      expect(bodyOf(relayed)).toBe(inWireForm(body));
    },
  );
});

describe('octets pass', () => {
  it('F16 Latin-1 and UTF-8 without BODY=8BITMIME', async () => {
    const stage = await open();
    const all = Array.from({ length: 128 }, (_, index) => String.fromCharCode(128 + index)).join('');
    const body = `${all}\r\n${Buffer.from('Grüße, 世界 \u{1f4ec}').toString('latin1')}\r\n`;
    const { reply, relayed } = await submit(stage, HEADER + body);
    expect(reply).toMatch(/^250 /);
    expect(bodyOf(relayed)).toBe(body);
  });

  it('F11 lines that end in LF, CR and CRLF: every one ends in CRLF upstream', async () => {
    const { reply, relayed } = await submit(await open(), `${HEADER}a\nb\rc\r\nd\n\re\r\r\n\n\r\n`);
    expect(reply).toMatch(/^250 /);
    expect(bodyOf(relayed)).toBe('a\r\nb\r\nc\r\nd\r\n\r\ne\r\n\r\n\r\n\r\n');
  });

  it.each([998, 999, 1001, 65_536])('F17 a line of %i octets, uncut, also inside a letter of several', async (length) => {
    const stage = await open({ settings: { maxSize: octets(MEGA) } });
    const line = Buffer.from('ä'.repeat(length)).toString('latin1').slice(0, length);
    const { reply, relayed } = await submit(stage, `${HEADER}${line}\r\nnext\r\n`);
    expect(reply).toMatch(/^250 /);
    expect(bodyOf(relayed)).toBe(`${line}\r\nnext\r\n`);
  });

  it('F09 100 KB of them, one in a segment', { timeout: 60_000 }, async () => {
    const stage = await open({ settings: { maxSize: octets(MEGA) } });
    const body = '.line of the body\r\n'.repeat(100 * 57).slice(0, 100 * 1024 - 2);
    const sent = `${body.replace(/^\./gm, '..')}\r\n`;
    const socket = new MemorySocket();
    stage.engine.connect(socket.asSocket);
    const began = process.cpuUsage();
    const session = `${ENVELOPE.join('\r\n')}\r\n${HEADER}${sent}.\r\nQUIT\r\n`;
    await socket.deliver(Array.from(Buffer.from(session, 'latin1'), (octet) => Buffer.of(octet)));
    while (!socket.written.includes('221 2.0.0 Bye')) await nextTurn();
    expect(socket.written).toContain('250 2.0.0 OK <scripted>');
    expect(bodyOf(stage.submission.submitted[0]?.content?.toString('latin1'))).toBe(sent);
    expect(process.cpuUsage(began).user / 1e6).toBeLessThan(10);
  });
});

describe('content without measure', () => {
  it.each([
    ['F18 a line of 5 MiB', `${HEADER}${'x'.repeat(5 * MEGA)}\r\n`, /^250 /],
    ['F18 a header field of 1 MiB', `X: ${'x'.repeat(MEGA)}\r\n\r\nbody\r\n`, /^5\d\d 5\.|^250 /],
    ['F18 20,000 header fields', `${'X: 1\r\n'.repeat(20_000)}\r\nbody\r\n`, /^5\d\d 5\.|^250 /],
    ['F18 a header section without end', 'X: 1\r\n'.repeat(500_000), /^5\d\d 5\./],
  ])('%s costs bounded memory and no stand-still', async (_what, content, expected) => {
    const stage = await open({ settings: { maxSize: octets(8 * MEGA) } });
    await submit(stage, `${HEADER}warm\r\n`);
    const before = heldMemory();
    const delay = loopDelay();
    const { reply, relayed } = await submit(stage, content);
    const worst = delay.stop();
    expect(reply).toMatch(expected);
    if (reply.startsWith('250')) expect(relayed?.endsWith(content)).toBe(true);
    // The stage keeps what was submitted.
    expect(heldMemory() - before).toBeLessThan(2 * content.length + 8 * MEGA);
    // Far above what it takes here (20 ms), far below what a quadratic reader would.
    expect(worst).toBeLessThan(500);
  });

  it('F20 one octet below the limit, at it and above it, with SIZE and without: exact, and the rest of what is too much is read', async () => {
    const stage = await open({ settings: { maxSize: octets(300) } });
    const content = (length: number): string => `${HEADER}${'y'.repeat(length - HEADER.length - 2)}\r\n`;
    for (const [length, code] of [
      [299, '250'],
      [300, '250'],
      [301, '552 5.3.4'],
      [20_000, '552 5.3.4'],
    ] as const) {
      const { reply } = await submit(stage, content(length));
      expect([length, reply.slice(0, code.length)]).toEqual([length, code]);
    }
    const talk = SmtpTalk.plain(stage.port);
    await talk.reply();
    await talk.ask('EHLO app');
    for (const [size, code] of [
      [299, '250'],
      [300, '250'],
      [301, '552 5.3.4'],
    ] as const) {
      expect((await talk.ask(`MAIL FROM:<scan@postern.test> SIZE=${size}`)).slice(0, code.length)).toBe(code);
      await talk.ask('RSET');
    }
    talk.destroy();
  });
});

describe('F19 a header section that is none', () => {
  it.each([
    ['no header field at all', 'just text\r\nand more\r\n', /^250 /],
    ['no blank line', 'Subject: x\r\n', /^250 /],
    ['a line of text among fields', 'Subject: x\r\ntext\r\nTo: y\r\n\r\nbody\r\n', /^250 /],
    ['line ends alone', '\r\n\r\n\r\n', /^250 /],
    ['NUL in a field', 'Subject: a\0b\r\n\r\nbody\r\n', /^554 5\.6\.0/],
    ['controls in a field', 'Subject: a\x07\x1bb\r\n\r\nbody\r\n', /^250 /],
    ['a field without a name', ': x\r\n\r\nbody\r\n', /^250 /],
  ])('%s has one outcome, each time', async (_what, content, expected) => {
    const stage = await open();
    const outcomes = [await submit(stage, content), await submit(stage, content), await submit(stage, content, true)];
    for (const { reply, relayed } of outcomes) {
      expect(reply).toMatch(expected);
      // A line that is no field ends the section: a blank line before it keeps what follows from being read as fields.
      if (reply.startsWith('250')) expect(relayed?.replace('\r\n\r\ntext', '\r\ntext').endsWith(content)).toBe(true);
    }
    expect(stage.log.of('defect')).toEqual([]);
  });
});

describe('F23 the end of data', () => {
  it('in five writes, a second apart, is accepted once', async () => {
    const clock = new FakeClock();
    const stage = await open({ clock });
    const talk = await inContent(stage);
    talk.send(`${HEADER}body`);
    for (const octet of '\r\n.\r\n') {
      const read = (): number => [...stage.engine.sessions].reduce((sum, { socket }) => sum + socket.bytesRead, 0);
      const before = read();
      talk.send(octet);
      while (read() === before) await nextTurn();
      await clock.advance(seconds(1));
    }
    expect(await talk.reply()).toMatch(/^250 /);
    expect(await talk.ask('NOOP')).toMatch(/^250 /);
    expect(stage.submission.submitted).toHaveLength(1);
    talk.destroy();
  });

  it.each(['\r\n', '\r\n.', '\r\n.\r'])('cut off behind %j is none: nothing is accepted', async (end) => {
    const stage = await open();
    const talk = await inContent(stage);
    talk.socket.end(`${HEADER}body${end}`);
    await once(talk.socket, 'close');
    while (stage.submission.transactions[0]?.outcome === 'open') await nextTurn();
    expect(stage.submission.transactions.map(({ outcome }) => outcome)).toEqual(['abandoned']);
    expect(talk.unread).not.toContain('250 2.0.0');
  });
});
