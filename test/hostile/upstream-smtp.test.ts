/** A provider that throttles, refuses, vanishes or floods, seen from the application and from the queue: what is said, what is tried again, what arrives. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { openDeafPort } from '../support/deaf-port.ts';
import { ScaledClock } from '../support/scaled-clock.ts';
import { ehloReply, type ScriptAnswer } from '../support/scripted-smtp-server.ts';
import { SubmissionPath, type SubmissionPathOptions } from '../support/submission-path.ts';

/** Waits of the relay come so much faster, where a test waits for them. */
const FACTOR = 100;
const MEBIBYTE = 1024 * 1024;

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function openPath(options: Partial<SubmissionPathOptions> = {}): Promise<SubmissionPath> {
  const path = await SubmissionPath.open({ clock: new ScaledClock(), ...options });
  closers.push(() => path.close());
  return path;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Fast enough for the waits between tries, slow enough for each try. */
async function untilDelivered(path: SubmissionPath): Promise<void> {
  path.clock.speed = 20;
  while ((await path.queued()).length > 0) await pause(20);
}

describe('U04 a provider that counts connections', () => {
  it('never sees more than three of a mailbox, and gets each of 30 messages once, however often it says 432', async () => {
    let refusals = 0;
    const path = await openPath({ mode: 'auto' });
    path.server.script.mail = (_line, count) => {
      if (refusals >= 6 || count % 2 === 0) return '250 2.1.0 Sender OK';
      refusals += 1;
      return '432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending';
    };
    const answers = await Promise.all(Array.from({ length: 30 }, () => path.submit()));
    expect(answers.filter((answer) => !answer.startsWith('250 '))).toEqual([]);
    await untilDelivered(path);
    expect(path.server.messages).toHaveLength(30);
    expect(path.server.peak).toBeLessThanOrEqual(3);
    expect(refusals).toBe(6);
  });
});

describe('U06 a refusal after the dot', () => {
  const PERMANENT = [
    '550 5.7.60 SMTP; Client does not have permissions to send as this sender',
    '554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied',
    '552 5.3.4 Message size exceeds fixed maximum message size',
  ];
  const TRANSIENT = ['452 4.5.3 Too many recipients', '451 4.7.500 Server busy'];

  it.each([...PERMANENT, ...TRANSIENT])('%s keeps its class and enhanced code', async (content) => {
    const path = await openPath({ script: { content } });
    expect((await path.submit()).slice(0, 10)).toBe(content.slice(0, 10));
    expect(path.server.messages).toHaveLength(1);
  });

  it.each(PERMANENT)('%s is not tried again', async (content) => {
    const path = await openPath({ mode: 'auto', script: { content } });
    expect(await path.submit()).toMatch(/^55\d 5\./);
    path.clock.speed = FACTOR;
    await pause(1_000); // A hundred seconds for the relay, in which what is deferred is tried twice.
    expect(path.server.messages).toHaveLength(1);
    expect(await path.queued()).toEqual([]);
  });

  // Of `Server busy` the account is left alone for a quarter of an hour, which is too long here.
  it.each(['452 4.5.3 Too many recipients', '451 4.3.111 Temporary server error'])(
    '%s is tried again until it is taken',
    async (refusal) => {
      const path = await openPath({ mode: 'auto' });
      path.server.script.content = () => (path.server.messages.length < 3 ? refusal : '250 2.0.0 OK');
      expect(await path.submit()).toMatch(/^250 2\.0\.0 Queued/);
      await untilDelivered(path);
      expect(path.server.messages).toHaveLength(3);
      expect(new Set(path.server.messages.map(String)).size).toBe(1);
    },
  );
});

describe('U08 a confirmation that never came', () => {
  it.each(['close', 'reset'] as const)('(%s): the application is told, and asked to try again', async (content) => {
    const path = await openPath({ script: { content } });
    expect(await path.submit()).toMatch(/^451 4\.4\.2 .*may have been delivered/);
    expect(path.server.messages).toHaveLength(1);
  });

  it.each(['close', 'reset'] as const)(
    '(%s): the queue flags the message and sends the same octets once more, no oftener',
    async (ends) => {
      const path = await openPath({ mode: 'auto' });
      path.server.script.content = () => (path.server.messages.length === 1 ? ends : '250 2.0.0 OK');
      expect(await path.submit()).toMatch(/^250 2\.0\.0 Queued/);
      await untilDelivered(path);
      await pause(500);
      const [first, second, ...more] = path.server.messages.map(String);
      expect(more).toEqual([]);
      expect(second).toBe(first);
      expect(first).toContain('Message-ID: <one@postern.test>');
      expect(path.log.of('message-ambiguous')).toHaveLength(1);
    },
  );
});

/** A server that sends without end, and counts what was taken from it. */
async function flood(piece: Buffer, before = ''): Promise<{ readonly port: number; readonly taken: () => number }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write(before);
    const pump = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('drain', pump);
    pump();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const taken = (): number => sockets.reduce((sum, socket) => sum + socket.bytesWritten - socket.writableLength, 0);
  return { port: (server.address() as AddressInfo).port, taken };
}

describe('U10 a reply without end', () => {
  const FLOODS: readonly (readonly [string, Buffer])[] = [
    ['no line end', Buffer.alloc(65_536, 'a')],
    ['continuation lines', Buffer.from('220-and another line\r\n'.repeat(3_000))],
    ['lines of a megabyte', Buffer.concat([Buffer.from('220-'), Buffer.alloc(MEBIBYTE, 'a'), Buffer.from('\r\n')])],
  ];

  it.each(FLOODS)('%s: the session ends with a 451, and no more is read than the kernel holds', async (_what, piece) => {
    const { port, taken } = await flood(piece);
    const path = await openPath({ upstreamPort: port });
    const before = process.memoryUsage().rss;
    expect(await path.submit()).toMatch(/^451 4\.4\.2 /);
    expect(taken()).toBeLessThan(8 * MEBIBYTE);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * MEBIBYTE);
  });

  it.each(['ehlo', 'ehloAfterTls', 'auth', 'authString', 'mail', 'rcpt', 'data'] as const)('at %s it does no harm either', async (step) => {
    const path = await openPath({ script: { [step]: Buffer.from('250-and another line\r\n'.repeat(100_000)) } });
    expect(await path.submit()).toMatch(/^45\d 4\./);
    expect(path.server.messages).toEqual([]);
  });
});

describe('U11 replies ahead of their commands', () => {
  it.each(['mail', 'rcpt', 'data'] as const)('at %s: the application never reads a 250 for its message', async (step) => {
    const path = await openPath({ script: { [step]: Buffer.from('250 ok\r\n250 ok\r\n354 go\r\n250 accepted\r\n') } });
    expect(await path.submit()).toMatch(/^451 4\.4\.2 /);
    expect(path.server.messages).toEqual([]);
  });
});

describe('U12 what is no reply', () => {
  const ODD: readonly (readonly [string, ScriptAnswer])[] = [
    ['no space', '250OK'],
    ['no such code', '999 x'],
    ['too short', '25'],
    ['NUL', Buffer.from([0, 0, 13, 10])],
    ['half of UTF-8', Buffer.from([0xc3, 0x28, 13, 10])],
  ];

  it.each(ODD)('%s: the application reads one clean line with 4yz', async (_what, mail) => {
    const path = await openPath({ script: { mail } });
    expect(await path.submit()).toMatch(/^4\d\d 4\.\d\.\d [ -~]+$/);
  });

  it('text with NUL, CR, ESC and half of UTF-8 is made one clean line', async () => {
    const path = await openPath({ script: { mail: Buffer.from('451 4.3.0 \x00try\rla\xffter\x1b[31m\r\n', 'latin1') } });
    expect(await path.submit()).toMatch(/^451 4\.3\.0 [^\u0000-\u001f\u007f]+$/);
  });
});

describe('U15 a provider that takes back what it offered before TLS', () => {
  it('gets what it understands, and what applications were offered still holds', async () => {
    const path = await openPath({
      script: { ehlo: ehloReply('SIZE 157286400', 'PIPELINING', '8BITMIME', 'STARTTLS'), ehloAfterTls: ehloReply('AUTH XOAUTH2') },
    });
    const app = await path.app();
    expect(await app.ask('EHLO app.test')).toMatch(/8BITMIME[\s\S]*SMTPUTF8/);
    expect(await app.ask('MAIL FROM:<billing@postern.test> SIZE=500 BODY=8BITMIME')).toMatch(/^250 /);
    expect(await app.ask('RCPT TO:<to@example.test>')).toMatch(/^250 /);
    expect(await app.ask('DATA')).toMatch(/^354 /);
    app.socket.write(Buffer.from('From: billing@postern.test\r\nSubject: x\r\n\r\nGr\u00fc\u00dfe und \xe4\r\n.\r\n', 'latin1'));
    expect(await app.reply()).toMatch(/^250 /);
    const [session] = path.server.sessions;
    expect(session?.lines.slice(-3)).toEqual(['MAIL FROM:<billing@postern.test>', 'RCPT TO:<to@example.test>', 'DATA']);
    expect(session?.batches.every((batch) => batch.length <= 1)).toBe(true);
    expect(path.server.messages[0]?.toString('latin1')).toContain('Gr\u00fc\u00dfe und \xe4');
  });
});

describe('N01 a provider behind a firewall that drops packets', () => {
  it('direct: 451 4.4.1 within 30 s, and nothing is left of the attempt', async () => {
    const deaf = await openDeafPort();
    closers.push(deaf.close);
    const path = await openPath({ upstreamPort: deaf.port, upstreamHost: '127.0.0.1' });
    path.clock.speed = 20;
    const began = path.clock.monotonic();
    expect(await path.submit()).toMatch(/^451 4\.4\.1 /);
    expect(path.clock.monotonic() - began).toBeLessThan(30_000 + 20 * 1_000);
    expect(path.pool.connections('billing')).toBe(0);
  });

  it('queued: each of 50 messages is accepted, and none waits longer than the first', async () => {
    const deaf = await openDeafPort();
    closers.push(deaf.close);
    const path = await openPath({ mode: 'queue', upstreamPort: deaf.port, upstreamHost: '127.0.0.1' });
    const sound = await openPath({ mode: 'queue' });
    const timed = async (to: SubmissionPath): Promise<number> => {
      const began = performance.now();
      const answers = await Promise.all(Array.from({ length: 50 }, () => to.submit()));
      expect(answers.filter((answer) => !answer.startsWith('250 2.0.0 Queued'))).toEqual([]);
      return performance.now() - began;
    };
    await timed(sound);
    const [whole, cut] = [await timed(sound), await timed(path)];
    // Far less than the 30 s that a connection may take; how busy the machine is counts for both.
    expect(cut).toBeLessThan(whole * 3 + 10_000);
    expect(await path.queued()).toHaveLength(50);
  });
});
