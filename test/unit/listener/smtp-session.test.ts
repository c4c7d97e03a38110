/** What a session does over time and when connections break; the order of commands is in test/dialog/smtp. */
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { milliseconds, minutes, seconds } from '../../../src/core/clock.ts';
import { octets } from '../../../src/core/octets.ts';
import { ProblemError } from '../../../src/core/problem.ts';
import { ArrivingContent } from '../../../src/listener/arriving-content.ts';
import { testClient } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Latch } from '../../support/latch.ts';
import { MemorySocket } from '../../support/memory-socket.ts';
import { openSmtpStage, type SmtpStage, stageCertificate, type StageOptions } from '../../support/smtp-stage.ts';
import { SmtpTalk } from '../../support/smtp-talk.ts';

const stages: SmtpStage[] = [];

async function open(options: StageOptions = {}): Promise<SmtpStage> {
  const stage = await openSmtpStage({ peer: '10.9.1.1', ...options });
  stages.push(stage);
  return stage;
}

afterEach(async () => {
  await Promise.all(stages.splice(0).map((stage) => stage.close()));
});

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await nextTurn();
}

/** Send a little and wait until the session has it, so that the clock does not overtake the network. */
async function trickle(stage: SmtpStage, talk: SmtpTalk, text = 'x'): Promise<void> {
  const received = (): number => [...stage.engine.sessions].reduce((sum, { socket }) => sum + socket.bytesRead, 0);
  const before = received();
  talk.send(text);
  await until(() => received() >= before + text.length || stage.engine.sessions.size === 0);
}

const START = 'EHLO x\r\nMAIL FROM:<scan@postern.test>\r\nRCPT TO:<a@example.test>\r\nDATA\r\n';

/** A talk that stands behind 354. */
async function inContent(stage: SmtpStage): Promise<SmtpTalk> {
  const talk = SmtpTalk.plain(stage.port);
  talk.send(START);
  let reply = '';
  while (!reply.startsWith('354')) reply = await talk.reply();
  return talk;
}

describe('idle', () => {
  test('R01 a stranger is sent away after a minute, a known client after five', async () => {
    const clock = new FakeClock();
    const [strange, known] = await Promise.all([open({ clock, peer: '192.0.2.1' }), open({ clock })]);
    const [stranger, client] = [SmtpTalk.plain(strange.port), SmtpTalk.plain(known.port)];
    await Promise.all([stranger.reply(), client.reply()]);
    await clock.advance(seconds(61));
    expect(await stranger.reply()).toBe('421 4.4.2 Idle for too long');
    await stranger.closed();
    expect(await client.ask('NOOP')).toBe('250 2.0.0 OK');
    await clock.advance(minutes(6));
    expect(await client.reply()).toBe('421 4.4.2 Idle for too long');
  });

  test('R03 single octets without a line end do not count as talk', async () => {
    const clock = new FakeClock();
    const stage = await open({ clock, peer: '192.0.2.1' });
    const talk = SmtpTalk.plain(stage.port);
    await talk.reply();
    for (let count = 0; count < 61; count += 1) {
      await trickle(stage, talk);
      await clock.advance(seconds(1));
    }
    expect(await talk.reply()).toBe('421 4.4.2 Idle for too long');
  });

  test('R03 content of an octet every half second is given three minutes, and so is content that stops', async () => {
    const clock = new FakeClock();
    const stage = await open({ clock });
    const trickling = await inContent(stage);
    let sent = 0;
    for (; trickling.unread === '' && sent < 500; sent += 1) {
      await trickle(stage, trickling);
      await clock.advance(milliseconds(500));
    }
    expect(await trickling.reply()).toBe('421 4.4.2 Content comes too slowly');
    expect(sent).toBeGreaterThanOrEqual(360);
    await trickling.closed();
    expect(stage.submission.transactions.map(({ outcome }) => outcome)).toEqual(['abandoned']);
  });

  test('R03 content of 500 octets a second goes on, and has half an hour altogether', async () => {
    const clock = new FakeClock();
    const stage = await open({ clock, settings: { maxSize: octets(2_000_000) } });
    const stopped = await inContent(stage);
    await clock.advance(minutes(4));
    expect(await stopped.reply()).toBe('421 4.4.2 Idle for too long');
    await stopped.closed();
    const trickling = await inContent(stage);
    for (let count = 0; count < 31; count += 1) {
      await trickle(stage, trickling, `${'x'.repeat(998)}\r\n`.repeat(30));
      await clock.advance(minutes(1));
    }
    expect(await trickling.reply()).toBe('421 4.4.2 The transaction takes too long');
    trickling.destroy();
    await until(() => stage.log.of('message-refused').length === 2);
    expect(stage.submission.transactions.map(({ outcome }) => outcome)).toEqual(['abandoned', 'abandoned']);
  });

  test('time that the delivery takes does not count against the client', async () => {
    const clock = new FakeClock();
    const stage = await open({ clock });
    const latch = new Latch();
    stage.submission.beforeAnswer = () => latch.passed;
    const talk = await inContent(stage);
    talk.send('\r\nx\r\n.\r\n');
    await until(() => stage.submission.transactions[0]?.messageId !== undefined);
    await clock.advance(minutes(60));
    latch.open();
    expect(await talk.reply()).toBe('250 2.0.0 OK <scripted>');
    expect(await talk.ask('NOOP')).toBe('250 2.0.0 OK');
  });

  test('a session that has ended leaves no timer behind', async () => {
    const clock = new FakeClock();
    const stage = await open({ clock });
    const talk = await inContent(stage);
    expect(clock.pendingTimers).toBeGreaterThan(0);
    talk.destroy();
    await until(() => stage.log.of('session-ended').length === 1);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('connections that break', () => {
  test.each([
    ['after MAIL', 'EHLO x\r\nMAIL FROM:<scan@postern.test>\r\n'],
    ['after RCPT', 'EHLO x\r\nMAIL FROM:<scan@postern.test>\r\nRCPT TO:<a@example.test>\r\n'],
  ])('%s: the transaction is abandoned', async (_, commands) => {
    const stage = await open();
    const talk = SmtpTalk.plain(stage.port);
    talk.send(commands);
    await until(() => stage.submission.transactions.length === 1 && talk.unread.includes('250 2.1.'));
    talk.socket.resetAndDestroy();
    await until(() => stage.submission.transactions[0]?.outcome === 'abandoned');
    expect(stage.log.of('message-refused')).toEqual([]);
  });

  test('N05 while the delivery waits for more content: what it reads throws, so that it sends no final dot', async () => {
    const stage = await open();
    const talk = await inContent(stage);
    talk.send(`Subject: x\r\n\r\n${'text\r\n'.repeat(100)}`);
    await until(() => stage.submission.transactions[0]?.messageId !== undefined);
    talk.socket.resetAndDestroy();
    await until(() => stage.submission.transactions[0]?.outcome === 'abandoned');
    expect(stage.submission.transactions[0]?.failure).toMatchObject({ problem: { code: 'SUBMISSION_ABORTED' }, reply: undefined });
    expect(stage.log.of('message-refused')[0]).toMatchObject({
      client: 'printers',
      account: 'scans',
      peer: '10.9.1.1',
      reversePath: 'scan@postern.test',
    });
  });

  test('C23 behind end-of-data: the message is delivered once, and the log says that the reply may not have been read', async () => {
    const stage = await open();
    const latch = new Latch();
    stage.submission.beforeAnswer = () => latch.passed;
    const talk = await inContent(stage);
    talk.send('\r\nx\r\n.\r\nQUIT\r\n');
    await until(() => stage.submission.transactions[0]?.messageId !== undefined);
    talk.destroy();
    await once(talk.socket, 'close');
    await until(() => [...stage.engine.sessions].every((session) => session.socket.readableEnded || session.socket.destroyed));
    latch.open();
    await until(() => stage.log.of('reply-undelivered').length === 1);
    expect(stage.submission.submitted).toHaveLength(1);
    expect(stage.log.of('reply-undelivered')[0]).toMatchObject({
      reply: '250 2.0.0 OK <scripted>',
      problem: { code: 'REPLY_UNDELIVERED' },
    });
  });
});

test('a slow delivery holds the client back instead of filling memory', async () => {
  const stage = await open({ settings: { maxSize: octets(64 * 1024 * 1024) } });
  const latch = new Latch();
  stage.submission.beforeContent = () => latch.passed;
  const talk = await inContent(stage);
  const line = `${'x'.repeat(998)}\r\n`;
  talk.send('Subject: big\r\n\r\n');
  for (let count = 0; count < 32 * 1024; count += 1) talk.send(line);
  talk.send('.\r\n');
  await until(() => stage.submission.transactions[0]?.messageId !== undefined);
  for (let turn = 0; turn < 200; turn += 1) await nextTurn();
  const [session] = [...stage.engine.sessions];
  // Stream buffers of 16 and 64 KB in a row; the rest stays with the kernel and the client.
  expect(session?.socket.bytesRead).toBeLessThan(512 * 1024);
  latch.open();
  expect(await talk.reply()).toBe('250 2.0.0 OK <scripted>');
  expect(stage.submission.submitted[0]?.content?.length).toBeGreaterThan(32 * 1024 * 1000);
});

describe('content that comes before 354 has been read', () => {
  const envelope = (recipients: number): string =>
    `MAIL FROM:<scan@postern.test>\r\n${'RCPT TO:<a@example.test>\r\n'.repeat(recipients)}DATA\r\n`;

  // A session gives others a turn after every 100 commands: what comes in that turn must not overtake what came before.
  test.each([97, 98, 99])('behind %i recipients, cut in two: it arrives in order, and nothing of it is a command', async (recipients) => {
    const stage = await open();
    const socket = new MemorySocket();
    stage.engine.connect(socket.asSocket);
    socket.push('EHLO x\r\n');
    await until(() => socket.written.includes('250-DSN'));
    await nextTurn();
    socket.onWritten = (text) => {
      if (text.includes('354 End')) process.nextTick(() => socket.push('MAIL FROM:<evil@postern.test>\r\n.\r\nQUIT\r\n'));
    };
    socket.push(`${envelope(recipients)}Subject: x\r\n\r\none\r\nRSET\r\n`);
    await until(() => socket.written.includes('221 2.0.0'));
    expect(stage.submission.transactions).toHaveLength(1);
    expect(stage.submission.submitted[0]?.content?.toString()).toMatch(/\r\none\r\nRSET\r\nMAIL FROM:<evil@postern.test>\r\n$/);
    expect(socket.written.match(/^250 2\.0\.0 /gm)).toHaveLength(1);
  });

  test('of a client that reads no replies: the same', async () => {
    const stage = await open({ settings: { maxSize: octets(4 * 1024 * 1024) } });
    const talk = SmtpTalk.plain(stage.port);
    await talk.reply();
    talk.socket.pause();
    const body = Array.from({ length: 20_000 }, (_, index) => `line ${index}\r\n`).join('');
    talk.send('EHLO x\r\n');
    for (let count = 0; count < 20; count += 1) talk.send(envelope(90) + `Subject: ${count}\r\n\r\n${body}.\r\n`);
    await until(() => stage.submission.submitted.length > 0);
    talk.socket.resume();
    await until(() => stage.submission.submitted.length === 20);
    for (const [index, { content }] of stage.submission.submitted.entries()) {
      const text = content?.toString() ?? '';
      expect(text.slice(text.indexOf('Subject: '))).toBe(`Subject: ${index}\r\n\r\n${body}`);
    }
    talk.destroy();
  });
});

test('a reader that was given up does not keep the rest from being drained', async () => {
  const content = new ArrivingContent(octets(1_000), () => undefined);
  const givenUp = content[Symbol.asyncIterator]().next();
  const drained = content.drain();
  content.push(Buffer.from('one\r\n'));
  content.push(Buffer.from('two\r\n.\r\n'));
  await drained;
  expect((await givenUp).done).toBe(false);
});

test('a chunk that dots cut into slivers is passed on as one', () => {
  const content = new ArrivingContent(octets(1_000_000), () => undefined);
  content.push(Buffer.from('..\n'.repeat(20_000)));
  const iterator = content[Symbol.asyncIterator]();
  return expect(iterator.next()).resolves.toMatchObject({ value: { length: 40_000 } });
});

test('C12 20,000 recipients in one write are all answered, in order', async () => {
  const stage = await open();
  const talk = SmtpTalk.plain(stage.port);
  talk.send(`EHLO x\r\nMAIL FROM:<scan@postern.test>\r\n${'RCPT TO:<a@example.test>\r\n'.repeat(20_000)}NOOP\r\n`);
  await until(() => talk.unread.endsWith('250 2.0.0 OK\r\n'));
  expect(talk.unread.match(/^250 2\.1\.5 /gm)).toHaveLength(100);
  expect(talk.unread.match(/^452 4\.5\.3 /gm)).toHaveLength(19_900);
});

describe('TLS', () => {
  test('T01 clear text sent behind STARTTLS in the same segment is never answered, neither before nor inside TLS', async () => {
    const stage = await open({ settings: { tls: 'starttls' } });
    const talk = SmtpTalk.plain(stage.port);
    await talk.reply();
    talk.send('STARTTLS\r\nEHLO injected\r\nMAIL FROM:<scan@postern.test>\r\nNOOP\r\n');
    expect(await talk.reply()).toBe('220 2.0.0 Ready to start TLS');
    const secure = await talk.upgrade(stageCertificate().caPem);
    expect(await secure.ask('MAIL FROM:<scan@postern.test>')).toBe('503 5.5.1 Say EHLO or HELO first');
    expect(await secure.ask('NOOP')).toBe('250 2.0.0 OK');
    expect(talk.unread + secure.unread).toBe('');
    expect(stage.submission.transactions).toEqual([]);
    secure.destroy();
  });

  test('implicit TLS: greeting inside TLS, no STARTTLS, ESMTPS in the trace', async () => {
    const clients = [testClient({ networks: ['127.0.0.0/8'], senders: ['*@postern.test'] })];
    const stage = await open({ clients, settings: { tls: 'implicit' } });
    const talk = SmtpTalk.tls(stage.port, stageCertificate().caPem);
    expect(await talk.reply()).toBe('220 relay.test ESMTP Postern');
    expect(await talk.ask('EHLO x')).not.toContain('STARTTLS');
    expect(await talk.ask('STARTTLS')).toMatch(/^502 /);
    talk.send('MAIL FROM:<scan@postern.test>\r\nRCPT TO:<a@example.test>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT\r\n');
    await talk.closed();
    expect(stage.submission.submitted[0]?.content?.toString()).toMatch(/with ESMTPS id/);
    await until(() => stage.log.of('session-ended').length === 1);
    expect(stage.log.of('session-ended')[0]?.tls).toMatch(/^TLSv1\.[23] /);
  });

  test.each(['implicit', 'starttls'] as const)('T14 %s: a handshake that does not come is given ten seconds', async (tls) => {
    const clock = new FakeClock();
    const stage = await open({ clock, settings: { tls } });
    const talk = SmtpTalk.plain(stage.port);
    if (tls === 'starttls') {
      await talk.reply();
      await talk.ask('STARTTLS');
    } else await until(() => stage.engine.handshakeCount === 1);
    await clock.advance(seconds(9));
    expect(talk.socket.readableEnded).toBe(false);
    await clock.advance(seconds(2));
    await talk.closed();
    await until(() => stage.engine.sessions.size + stage.engine.handshakeCount === 0);
    expect(talk.unread).toBe('');
  });

  test('a client that speaks SMTP in clear text on an implicit TLS port shows in the log', async () => {
    const stage = await open({ settings: { tls: 'implicit' } });
    const talk = SmtpTalk.plain(stage.port);
    talk.send('EHLO x\r\n');
    await talk.closed();
    await until(() => stage.log.of('tls-refused').length === 1);
    expect(stage.log.of('tls-refused')[0]).toMatchObject({
      level: 'warn',
      peer: '10.9.1.1',
      problem: { code: 'CLIENT_TLS_FAILED', remedy: expect.stringContaining('clear text') },
    });
  });

  test('a health check that only connects does not fill the log', async () => {
    const stage = await open({ settings: { tls: 'implicit' } });
    const talk = SmtpTalk.plain(stage.port);
    await until(() => stage.engine.handshakeCount === 1);
    talk.socket.end();
    await until(() => stage.log.of('socket-error').length === 1);
    expect(stage.log.lines.filter(({ level }) => level !== 'debug')).toEqual([]);
  });

  test.each([
    ['no certificate', { tls: 'starttls', cert: '', key: '' }],
    ['no key', { tls: 'implicit', key: '' }],
    ['a certificate that is none', { tls: 'implicit', cert: 'x' }],
    ['a key of another certificate', { tls: 'starttls', key: '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n' }],
  ] as const)('T17 %s: refuses to start, and never falls back on a built-in key', async (_, settings) => {
    await expect(open({ settings })).rejects.toThrow(ProblemError);
  });
});
