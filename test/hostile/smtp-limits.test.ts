/** How much one client, or many, can take at the SMTP front: places, time, memory. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { seconds } from '../../src/core/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { heldMemory } from '../support/held-memory.ts';
import { openSmtpStage, type SmtpStage, stageCertificate, type StageOptions } from '../support/smtp-stage.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

const MEGA = 1024 * 1024;

const stages: SmtpStage[] = [];
const sockets: Socket[] = [];

async function open(options: StageOptions = {}): Promise<SmtpStage> {
  const stage = await openSmtpStage({ peer: '10.9.1.1', ...options });
  stages.push(stage);
  return stage;
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(stages.splice(0).map((stage) => stage.close()));
});

/** Connections that have been greeted or turned away: the first line of each. */
async function connectMany(port: number, count: number): Promise<{ socket: Socket; line: string }[]> {
  const all: Promise<{ socket: Socket; line: string }>[] = [];
  for (let index = 0; index < count; index += 1) {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    all.push(
      new Promise((resolve) => {
        let line = '';
        const done = (): void => resolve({ socket, line });
        socket.on('error', done).on('close', done);
        socket.on('data', (octets: Buffer) => {
          line += octets.toString('latin1');
          if (line.includes('\n')) done();
        });
      }),
    );
    // The backlog of a listening socket is no concern of this test.
    if (index % 100 === 99) await Promise.all(all.slice(-100));
  }
  return Promise.all(all);
}

async function submitted(stage: SmtpStage): Promise<string> {
  const talk = SmtpTalk.plain(stage.port);
  await talk.reply();
  for (const command of ['EHLO x', 'MAIL FROM:<scan@postern.test>', 'RCPT TO:<a@example.test>', 'DATA']) await talk.ask(command);
  const reply = await talk.ask('Subject: x\r\n\r\nx\r\n.');
  talk.destroy();
  return reply;
}

describe('R01 3,000 connections that say nothing', () => {
  it('leave a client its service, cost little, and are cut at their limit', { timeout: 120_000 }, async () => {
    const clock = new FakeClock();
    // Loopback counts altogether only, so all of them get in.
    const stage = await open({ clock, peer: '127.0.0.1' });
    const known = await open({ peer: '10.9.1.1' });
    const before = heldMemory();
    const idle = await connectMany(stage.port, 3000);
    expect(idle.filter(({ line }) => line.startsWith('220 '))).toHaveLength(3000);
    // Both ends of each are in this process.
    expect(heldMemory() - before).toBeLessThan(100 * MEGA);
    const talk = SmtpTalk.plain(stage.port);
    const began = process.cpuUsage();
    expect(await talk.reply()).toMatch(/^220 /);
    expect(await talk.ask('EHLO x')).toMatch(/^250/);
    expect(await submitted(known)).toMatch(/^250 /);
    expect(process.cpuUsage(began).user / 1000).toBeLessThan(1000);
    const gone = Promise.all(idle.map(({ socket }) => new Promise((resolve) => socket.once('close', resolve))));
    for (const { socket } of idle) socket.once('end', () => socket.end());
    await clock.advance(seconds(61));
    await gone;
    while (stage.engine.sessions.size > 1) await nextTurn();
    talk.destroy();
  });
});

describe('R02 more connections than there are places', () => {
  it.each([
    [
      'of one peer',
      { all: 100, ofOnePeer: 20 },
      '10.9.1.1',
      20,
      '421 4.7.0 Too many sessions from your address; try again in a moment\r\n',
    ],
    ['altogether', { all: 20, ofOnePeer: 20 }, '127.0.0.1', 20, '421 4.3.2 Too many sessions; try again in a moment\r\n'],
  ])('%s: 421 for those too many, and no harm to those inside', async (_what, places, peer, most, refusal) => {
    const stage = await open({ places, peer });
    const talks = Array.from({ length: most }, () => SmtpTalk.plain(stage.port));
    for (const talk of talks) {
      sockets.push(talk.socket);
      expect(await talk.reply()).toMatch(/^220 /);
    }
    const more = await connectMany(stage.port, most / 2);
    expect(new Set(more.map(({ line }) => line))).toEqual(new Set([refusal]));
    for (const talk of talks) expect(await talk.ask('NOOP')).toBe('250 2.0.0 OK');
    expect(stage.log.of('session-refused')).toHaveLength(1);
    expect(stage.log.of('session-refused')[0]).toMatchObject({ peer, problem: { code: 'CLIENT_THROTTLED' } });
    talks[0]?.destroy();
    while (stage.engine.sessions.size === most) await nextTurn();
    const next = SmtpTalk.plain(stage.port);
    sockets.push(next.socket);
    expect(await next.reply()).toMatch(/^220 /);
  });

  it('are refused inside TLS, too', async () => {
    const stage = await open({ places: { all: 1, ofOnePeer: 1 }, settings: { tls: 'implicit' }, peer: '127.0.0.1' });
    const first = SmtpTalk.tls(stage.port, stageCertificate().caPem);
    expect(await first.reply()).toMatch(/^220 /);
    const second = SmtpTalk.tls(stage.port, stageCertificate().caPem);
    expect(await second.reply()).toMatch(/^421 4\.3\.2 /);
    first.destroy();
    await second.closed();
  });
});

describe('C14 a command line', () => {
  it.each([511, 2000])('of %i octets is served', async (length) => {
    const talk = SmtpTalk.plain((await open()).port);
    await talk.reply();
    expect(await talk.ask(`NOOP ${'x'.repeat(length - 7)}`)).toBe('250 2.0.0 OK');
    talk.destroy();
  });

  it.each([
    [9_000, /^535 5\.7\.8 /],
    // RFC 4954 §4 ends at 12,288 octets of base64.
    [12_000, /^501 5\.5\.2 /],
  ])('of AUTH with %i octets of user name and password is read, and the session goes on', async (octets, expected) => {
    const talk = SmtpTalk.plain((await open()).port);
    await talk.reply();
    await talk.ask('EHLO x');
    expect(await talk.ask(`AUTH PLAIN ${Buffer.from(`\0erp\0${'x'.repeat(octets)}`).toString('base64')}`)).toMatch(expected);
    expect(await talk.ask('NOOP')).toBe('250 2.0.0 OK');
    talk.destroy();
  });

  it.each([
    [4 * 1024, /^500 5\.5\.2 Line too long/],
    [16 * 1024, /^500 5\.5\.2 Line too long/],
    [64 * 1024, /^421 4\.7\.0 Line too long/],
  ])('of %i octets is refused', async (length, expected) => {
    const talk = SmtpTalk.plain((await open()).port);
    await talk.reply();
    expect(await talk.ask(`NOOP ${'x'.repeat(length)}`)).toMatch(expected);
    talk.destroy();
  });

  it('of 100 MB without an end costs no more than its bound', async () => {
    const stage = await open();
    const socket = connect(stage.port, '127.0.0.1');
    sockets.push(socket);
    let answer = '';
    socket.on('error', () => undefined).on('data', (octets: Buffer) => (answer += octets.toString('latin1')));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let taken = 0;
    const session = (): number => [...stage.engine.sessions].reduce((sum, { socket }) => sum + socket.bytesRead, 0);
    for (let sent = 0; sent < 100 * MEGA && socket.writable; sent += chunk.length) {
      if (!socket.write(chunk)) await new Promise<void>((resolve) => void socket.once('drain', resolve).once('close', resolve));
      if (answer.includes('421')) break;
      taken = session();
    }
    socket.end();
    await closed;
    expect(answer).toMatch(/^220 .*\r\n421 4\.7\.0 Line too long\r\n/);
    // Counted instead of memory: what a session had read when it was told so. What it reads from then on is thrown away.
    expect(taken).toBeLessThan(MEGA);
  });
});

describe('C17 octets that are no SMTP', () => {
  it('on 2,000 connections end nothing but their own session', { timeout: 120_000 }, async () => {
    const stage = await open({ peer: '127.0.0.1' });
    await submittedBy(stage, 20, 4096);
    const before = heldMemory();
    await submittedBy(stage, 1980, 4096);
    await submittedBy(stage, 20, MEGA);
    expect(stage.log.of('defect')).toEqual([]);
    stage.log.lines.length = 0; // A log that keeps its lines is the test's.
    while (stage.engine.sessions.size > 0) await nextTurn(); // Who has heard the last word may take a moment to go.
    expect(heldMemory() - before).toBeLessThan(10 * MEGA);
    const talk = SmtpTalk.plain(stage.port);
    expect(await talk.reply()).toMatch(/^220 /);
    talk.destroy();
  });

  /** So many connections, 50 at a time, of so many random octets each; a third begin as TLS does. */
  async function submittedBy(stage: SmtpStage, count: number, size: number): Promise<void> {
    for (let begun = 0; begun < count; begun += 50) {
      await Promise.all(
        Array.from({ length: Math.min(50, count - begun) }, async (_, index) => {
          const socket = connect(stage.port, '127.0.0.1');
          socket.on('error', () => undefined).resume();
          const octets = randomBytes(size);
          if (index % 3 === 0) octets.set([0x16, 0x03, 0x01]);
          socket.end(octets);
          await new Promise((resolve) => socket.once('close', resolve));
        }),
      );
    }
    while (stage.engine.sessions.size > 0) await nextTurn();
  }
});
