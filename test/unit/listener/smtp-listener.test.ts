import { setImmediate as nextTurn } from 'node:timers/promises';
import { type TLSSocket, connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import type { SmtpListenerSettings } from '../../../src/core/listener.ts';
import { SmtpListener } from '../../../src/listener/smtp-listener.ts';
import { systemRandom } from '../../../src/platform/system-random.ts';
import { ClientDirectory } from '../../../src/policy/client-directory.ts';
import { testClient } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Latch } from '../../support/latch.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { ScriptedSubmission } from '../../support/scripted-submission.ts';
import { stageCertificate, stageSettings } from '../../support/smtp-stage.ts';
import { SmtpTalk } from '../../support/smtp-talk.ts';
import { createTestAuthority } from '../../support/test-ca.ts';
import { UnconfirmedAnswers } from '../../../src/listener/unconfirmed-answers.ts';

const listeners: SmtpListener[] = [];

async function open(settings: Partial<SmtpListenerSettings> = {}) {
  const submission = new ScriptedSubmission();
  const log = new MemoryLog();
  const clock = new FakeClock();
  const clients = new ClientDirectory([testClient({ networks: ['127.0.0.0/8'], senders: ['*@postern.test'] })]);
  const subjects: [string, string | undefined][] = [];
  const listener = new SmtpListener(stageSettings(settings), {
    submission,
    clients,
    clock,
    random: systemRandom,
    log,
    hostname: 'relay.test',
    unconfirmed: new UnconfirmedAnswers(clock),
    notes: { noteSubject: (queueId, read) => void subjects.push([queueId, read()]) },
  });
  listeners.push(listener);
  const { host, port } = await listener.open();
  return { listener, submission, log, subjects, clock, host, port };
}

afterEach(async () => {
  await Promise.all(listeners.splice(0).map((listener) => listener.close(seconds(0))));
});

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
};

const ENVELOPE = 'EHLO x\r\nMAIL FROM:<scan@postern.test>\r\nRCPT TO:<a@example.test>\r\n';

test('opens on a free port and says where', async () => {
  const { host, port, log } = await open();
  expect({ host, isFree: port > 0 }).toEqual({ host: '127.0.0.1', isFree: true });
  expect(log.of('listener-opened')[0]?.message).toBe(`listening for SMTP on 127.0.0.1:${port}`);
  expect(await SmtpTalk.plain(port).reply()).toBe('220 relay.test ESMTP Postern');
});

test('a port that is taken is a problem with a remedy, and closing what never opened is harmless', async () => {
  const { port } = await open();
  await expect(open({ port })).rejects.toMatchObject({
    problem: { code: 'LISTENER_FAILED', cause: expect.stringContaining('EADDRINUSE') },
  });
});

describe('closing', () => {
  test('idle sessions are told and closed, new connections refused', async () => {
    const { listener, port, log } = await open();
    const talk = SmtpTalk.plain(port);
    await talk.reply();
    const closing = listener.close(seconds(10));
    expect(await talk.reply()).toBe('421 4.3.2 Service shutting down');
    talk.socket.end();
    await closing;
    const late = SmtpTalk.plain(port);
    expect(await late.reply()).toBe('closed');
    expect(log.of('listener-closed')).toHaveLength(1);
  });

  test('a transaction in progress gets its answer first', async () => {
    const { listener, port, submission } = await open();
    const latch = new Latch();
    submission.beforeAnswer = () => latch.passed;
    const talk = SmtpTalk.plain(port);
    talk.send(`${ENVELOPE}DATA\r\n`);
    let reply = '';
    while (!reply.startsWith('354')) reply = await talk.reply();
    talk.send('Subject: x\r\n\r\n');
    await settled();
    const closing = listener.close(seconds(10));
    talk.send('late text\r\n.\r\n');
    await settled();
    expect(talk.unread).toBe('');
    latch.open();
    expect(await talk.reply()).toBe('250 2.0.0 OK <scripted>');
    expect(await talk.reply()).toBe('421 4.3.2 Service shutting down');
    talk.socket.end();
    await closing;
    expect(submission.submitted).toHaveLength(1);
  });

  test('a transaction that has not come to content may go on to its end', async () => {
    const { listener, port } = await open();
    const talk = SmtpTalk.plain(port);
    talk.send(ENVELOPE);
    for (let count = 0; count < 4; count += 1) await talk.reply();
    const closing = listener.close(seconds(10));
    expect(await talk.ask('DATA')).toMatch(/^354/);
    expect(await talk.ask('\r\nx\r\n.')).toMatch(/^250/);
    expect(await talk.reply()).toMatch(/^421 4\.3\.2/);
    talk.socket.end();
    await closing;
  });

  test('what is left after the grace is cut, and its message is not delivered', async () => {
    const { listener, port, submission, clock } = await open();
    const talk = SmtpTalk.plain(port);
    talk.send(`${ENVELOPE}DATA\r\n`);
    let reply = '';
    while (!reply.startsWith('354')) reply = await talk.reply();
    const closing = listener.close(seconds(10));
    await clock.advance(seconds(9));
    expect(talk.unread).toBe('');
    await clock.advance(seconds(1));
    await closing;
    await talk.closed();
    expect(submission.transactions.map(({ outcome }) => outcome)).toEqual(['abandoned']);
  });

  test('T14 a client in the middle of a TLS handshake holds nothing up', async () => {
    const { listener, port } = await open({ tls: 'implicit' });
    const talk = SmtpTalk.plain(port);
    await settled();
    await listener.close(seconds(10));
    await talk.closed();
    expect(talk.unread).toBe('');
  });
});

test('subjects are told of each message that has one, whatever becomes of it, and nothing of them is in the log', async () => {
  const { submission, log, subjects, port } = await open();
  const talk = SmtpTalk.plain(port);
  await talk.reply();
  await talk.ask('EHLO x');
  const send = async (headers: string): Promise<string> => {
    await talk.ask('MAIL FROM:<scan@postern.test>');
    await talk.ask('RCPT TO:<a@example.test>');
    await talk.ask('DATA');
    return talk.ask(`${headers}\r\nbody\r\n.`);
  };
  expect(await send('Subject: =?utf-8?Q?canary_=C3=BC?=\r\n')).toMatch(/^250/);
  expect(await send('To: a@example.test\r\n')).toMatch(/^250/);
  expect(await send('Subject: canary two\r\nFrom: stranger@example.test\r\n')).toMatch(/^550/);
  const [first, second, third] = submission.transactions.map(({ start: { queueId } }) => queueId);
  expect(subjects).toEqual([
    [first, 'canary ü'],
    [second, undefined],
    [third, 'canary two'],
  ]);
  expect(log.lines.length).toBeGreaterThan(0);
  expect(JSON.stringify(log.lines)).not.toContain('canary');
});

describe('renewing the certificate', () => {
  const subjectOf = async (port: number): Promise<string> => {
    const socket: TLSSocket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    const { subject } = socket.getPeerCertificate();
    socket.destroy();
    return String(subject.CN);
  };

  test('new handshakes use it; one that is no good changes nothing', async () => {
    const { listener, port } = await open({ tls: 'implicit' });
    expect(await subjectOf(port)).toBe('relay.test');
    const renewed = createTestAuthority().issue({ hosts: ['renewed.test'] });
    expect(() => listener.updateTls({ cert: renewed.certPem, key: stageCertificate().keyPem })).toThrow(/cannot be used/);
    expect(await subjectOf(port)).toBe('relay.test');
    listener.updateTls({ cert: renewed.certPem, key: renewed.keyPem });
    expect(await subjectOf(port)).toBe('renewed.test');
  });
});

test('an old device can be let in with TLS 1.0 where the listener says so, and nowhere else', async () => {
  const versionOf = async (port: number): Promise<string> => {
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      rejectUnauthorized: false,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1',
      ciphers: 'DEFAULT:@SECLEVEL=0',
    });
    const version = await new Promise<string>((resolve) =>
      socket.once('secureConnect', () => resolve(socket.getProtocol() ?? '')).once('error', () => resolve('refused')),
    );
    socket.destroy();
    return version;
  };
  expect(await versionOf((await open({ tls: 'implicit', minTls: 'TLSv1' })).port)).toBe('TLSv1');
  expect(await versionOf((await open({ tls: 'implicit' })).port)).toBe('refused');
});
