/**
 * A mailbox session after its login, met by each way in which a network breaks, on the provider's side: the session goes on, or ends with a word where one can be
 * understood; never in the middle of a message, and never with a part of one that looks whole. Whoever leaves, no connection is left behind.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type Fault, FAULTS, FaultProxy } from '../support/fault-proxy.ts';
import { type MailboxStage, openMailboxStage } from '../support/mailbox-stage.ts';
import { ScaledClock } from '../support/scaled-clock.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

/** Waits come so much faster from the fault on. */
const FACTOR = 100;
/**
 * Milliseconds in which a session is over once nobody wants it: three minutes for a provider that has not answered the last word of an application, or takes nothing
 * of it, five seconds for what is left for the provider then, and one on the wall for a busy machine.
 */
const LEFT_WITHIN = 185_000 / FACTOR + 1_000;

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

interface Lab {
  readonly stage: MailboxStage;
  readonly proxy: FaultProxy;
  readonly app: SmtpTalk;
  /** The provider's end of the last session. */
  readonly provider: () => Socket;
}

/** @param answer - What the provider says to a command; without one it says nothing. */
async function open(protocol: 'imap' | 'pop3', answer: (line: string) => string = () => ''): Promise<Lab> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    let text = '';
    socket.on('data', (octets: Buffer) => {
      text += octets.toString('latin1');
      for (let end = text.indexOf('\r\n'); end !== -1; end = text.indexOf('\r\n')) {
        socket.write(answer(text.slice(0, end)), 'latin1');
        text = text.slice(end + 2);
      }
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const proxy = await FaultProxy.open((server.address() as AddressInfo).port);
  proxy.dripMs = 2;
  proxy.delayMs = 50;
  const clock = new ScaledClock();
  proxy.onStrike = () => (clock.speed = FACTOR);
  const stage = await openMailboxStage({
    protocol,
    clock,
    upstreamPort: proxy.port,
    capabilities: ['IMAP4rev1', 'IDLE'],
  });
  const app = SmtpTalk.plain(stage.port, { allowHalfOpen: false });
  closers.push(
    () => void server.close(),
    () => {
      for (const socket of sockets) socket.destroy();
    },
    () => proxy.close(),
    () => stage.close(),
    () => app.destroy(),
  );
  while (app.unread === '') await pause(1);
  app.send(protocol === 'imap' ? 'a LOGIN app local-password\r\n' : 'USER app\r\nPASS local-password\r\n');
  await until(() => /^(?:a OK|\+OK Signed)/m.test(app.unread));
  return { stage, proxy, app, provider: () => sockets.at(-1) ?? expect.unreachable() };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(2);
}

/** Everything that the application reads until its connection ends, or for a while. */
async function heard(app: SmtpTalk, ms: number): Promise<{ readonly text: string; readonly hasEnded: boolean }> {
  const hasEnded = await Promise.race([app.closed().then(() => true), pause(ms).then(() => false)]);
  return { text: app.unread, hasEnded };
}

const ENDS: readonly Fault[] = ['reset', 'close', 'half-open'];

describe('N10 I05 IMAP', () => {
  it.each(FAULTS)('in the middle of a message, %s: nothing that looks like the whole of it, no word of ours in it', async (fault) => {
    const { proxy, app, provider } = await open('imap', (line) => (line.includes('FETCH') ? '* 1 FETCH (BODY[] {100}\r\nhalf a li' : ''));
    app.send('b FETCH 1 BODY[]\r\n');
    await until(() => app.unread.includes('half a li'));
    proxy.strike(fault);
    provider().write(`${'x'.repeat(91)})\r\nb OK done\r\n`);
    const { text, hasEnded } = await heard(app, fault === 'drip' ? 6_000 : 600);
    if (ENDS.includes(fault)) expect([hasEnded, text.endsWith('half a li')]).toEqual([true, true]);
    else if (fault === 'black-hole') expect([hasEnded, text.endsWith('half a li')]).toEqual([false, true]);
    else expect(text).toMatch(/half a lix{91}\)\r\nb OK done\r\n$/);
  });

  it.each(FAULTS)('with a command under way, %s: its answer, or the end of the session with the reason', async (fault) => {
    const { proxy, app, provider } = await open('imap');
    app.send('b NOOP\r\n');
    await until(() => (proxy.passed()[0]?.up ?? 0) > 5);
    proxy.strike(fault);
    provider().write('b OK done\r\n');
    const { text, hasEnded } = await heard(app, 600);
    if (ENDS.includes(fault)) expect(text).toMatch(/\* BYE the mail provider ended the session .*\(UPSTREAM_LOST\)\r\n$/);
    else if (fault === 'black-hole') expect(hasEnded).toBe(false);
    else expect(text).toMatch(/b OK done\r\n$/);
  });
});

describe('N10 POP3', () => {
  it.each(FAULTS)('in the middle of a message, %s: nothing that looks like the whole of it', async (fault) => {
    const { proxy, app, provider } = await open('pop3', (line) => (line.startsWith('RETR') ? '+OK\r\nhalf a li' : ''));
    app.send('RETR 1\r\n');
    await until(() => app.unread.includes('half a li'));
    proxy.strike(fault);
    provider().write('ne\r\n.\r\n');
    const { text, hasEnded } = await heard(app, 600);
    if (ENDS.includes(fault)) expect([hasEnded, text.endsWith('half a li')]).toEqual([true, true]);
    else if (fault === 'black-hole') expect([hasEnded, text.endsWith('half a li')]).toEqual([false, true]);
    else expect(text).toMatch(/half a line\r\n\.\r\n$/);
  });
});

describe.each(['imap', 'pop3'] as const)('N10 an application that leaves %s', (protocol) => {
  it.each<Fault>(['black-hole', 'stall', 'half-open', 'reset'])(
    'while its provider is met by %s leaves no connection behind',
    async (fault) => {
      const { stage, proxy, app } = await open(protocol);
      proxy.strike(fault);
      app.send(protocol === 'imap' ? 'b NOOP\r\n' : 'NOOP\r\n');
      await pause(50);
      app.destroy();
      const [connection] = proxy.connections;
      await Promise.race([connection?.gone('near'), pause(LEFT_WITHIN)]);
      // Who stalls reads no FIN either: that the session is over is told by the listener.
      await until(() => stage.listener.sessionCount === 0);
    },
    10_000,
  );

  it('in the middle of an upload that its provider has stopped reading leaves no connection behind', async () => {
    const { stage, proxy, app } = await open(protocol);
    proxy.strike('stall');
    const upload = Buffer.from(`b APPEND INBOX {50000000}\r\n${'An ordinary line.\r\n'.repeat(3_000)}`);
    const isFull = (): boolean => app.socket.writableLength > 2_000_000;
    while (!isFull()) {
      app.socket.write(upload);
      await pause(1);
    }
    await pause(200);
    app.destroy();
    const began = performance.now();
    await until(() => stage.listener.sessionCount === 0 || performance.now() - began > LEFT_WITHIN);
    expect(stage.listener.sessionCount).toBe(0);
  }, 20_000);
});
