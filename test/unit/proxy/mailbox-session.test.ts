/** A session after its login: how it ends, and what its ends are told. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { hours, minutes, seconds } from '../../../src/core/clock.ts';
import { type Problem, problem } from '../../../src/core/problem.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type MailboxStage, type MailboxStageOptions, openMailboxStage } from '../../support/mailbox-stage.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function stageOf(options: MailboxStageOptions): Promise<MailboxStage> {
  const stage = await openMailboxStage(options);
  closers.push(() => stage.close());
  return stage;
}

class Reader {
  readonly socket: Socket;
  text = '';
  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1'))).on('error', () => undefined);
    closers.push(() => void this.socket.destroy());
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) await nextTurn();
  }

  async logIn(username = 'app'): Promise<void> {
    this.socket.write(`a LOGIN ${username} local-password\r\n`);
    await this.until(/^a (?:OK|NO)/m);
  }

  async logInToPop3(): Promise<void> {
    this.socket.write('USER app\r\nPASS local-password\r\n');
    await this.until(/Signed in/);
  }
}

describe('an upstream that vanishes', () => {
  it('I05 is told between responses', async () => {
    let refusal: Problem | undefined;
    const stage = await stageOf({ protocol: 'imap', refusal: () => refusal });
    const reader = new Reader(stage.port);
    await reader.logIn();
    refusal = problem('UPSTREAM_UNREACHABLE', 'imap.lab.test:993: host name not resolved (ENOTFOUND)');
    stage.upstreams[0]?.destroy();
    await once(reader.socket, 'end');
    expect(reader.text).toMatch(
      /\* BYE the mail provider ended the session \(the connection was lost\), .*: host name not resolved \(ENOTFOUND\) \(UPSTREAM_LOST\)\r\n$/,
    );
    reader.socket.end();
    while (stage.log.of('mailbox-lost').length === 0) await nextTurn();
    expect(stage.log.of('mailbox-lost')).toMatchObject([{ client: 'erp', account: 'billing', problem: { code: 'UPSTREAM_LOST' } }]);
  });

  it('I05 puts no word of ours into a message that is on its way', async () => {
    const stage = await stageOf({ protocol: 'imap', answer: () => '* 1 FETCH (BODY[] {100}\r\nhalf a line\r\n' });
    const reader = new Reader(stage.port);
    await reader.logIn();
    reader.socket.write('b FETCH 1 BODY[]\r\n');
    await reader.until(/half a line/);
    stage.upstreams[0]?.destroy();
    await once(reader.socket, 'end');
    expect(reader.text).toMatch(/half a line\r\n$/);
  });

  it('I05 nor into one of POP3', async () => {
    const stage = await stageOf({ protocol: 'pop3', answer: () => '+OK\r\nhalf a message\r\n' });
    const reader = new Reader(stage.port);
    await reader.logInToPop3();
    reader.socket.write('RETR 1\r\n');
    await reader.until(/half a message/);
    stage.upstreams[0]?.destroy();
    await once(reader.socket, 'end');
    expect(reader.text).toMatch(/half a message\r\n$/);
  });
});

describe('an application that says its last word before its login is through', () => {
  it.each(['imap', 'pop3'] as const)('%s: hears the answer, and its session ends at the provider too', async (protocol) => {
    const stage = await stageOf({ protocol });
    const reader = new Reader(stage.port);
    reader.socket.end(protocol === 'imap' ? 'a LOGIN app local-password\r\n' : 'USER app\r\nPASS local-password\r\n');
    await once(reader.socket, 'end');
    expect(reader.text).toMatch(/^(?:a OK|\+OK Signed in)/m);
    while (stage.log.of('mailbox-closed').length === 0) await nextTurn();
    expect(stage.upstreams.map(({ readableEnded }) => readableEnded)).toEqual([true]);
  });
});

describe('an idle session', () => {
  it('lives as long as somebody says something, and ends with a word', async () => {
    const clock = new FakeClock();
    const stage = await stageOf({ protocol: 'imap', clock, settings: { idleTimeout: hours(2) } });
    const reader = new Reader(stage.port);
    await reader.logIn();
    for (let hour = 1; hour <= 5; hour += 1) {
      await clock.advance(hours(1));
      stage.upstreams[0]?.write(`* ${hour} EXISTS\r\n`);
      await reader.until(new RegExp(`\\* ${hour} EXISTS`));
    }
    await clock.advance(hours(2));
    await clock.advance(minutes(1));
    await reader.until(/\* BYE Idle for too long\r\n$/);
  });

  it('before the login ends after a minute', async () => {
    const clock = new FakeClock();
    const stage = await stageOf({ protocol: 'pop3', clock });
    const reader = new Reader(stage.port);
    await reader.until(/\+OK/);
    await clock.advance(minutes(1));
    await reader.until(/-ERR \[SYS\/TEMP\] Idle for too long\r\n$/);
  });
});

describe('a listener that stops', () => {
  it('says goodbye: to strangers and in IDLE at once, to others behind the answer', async () => {
    const clock = new FakeClock();
    const stage = await stageOf({ protocol: 'imap', clock, answer: (line) => (line.endsWith('IDLE') ? '+ idling\r\n' : '') });
    const [stranger, idler, worker] = [new Reader(stage.port), new Reader(stage.port), new Reader(stage.port)];
    await stranger.until(/\* OK/);
    await idler.logIn();
    idler.socket.write('b IDLE\r\n');
    await idler.until(/idling/);
    await worker.logIn();
    worker.socket.write('c SEARCH ALL\r\n');
    while (!stage.upstreamText().includes('SEARCH')) await nextTurn();
    const closed = stage.listener.close(minutes(1));
    for (const reader of [stranger, idler, worker]) reader.socket.once('end', () => reader.socket.end());
    await clock.advance(seconds(1));
    await stranger.until(/\* BYE Postern is stopping/);
    await idler.until(/\* BYE Postern is stopping/);
    expect(worker.text).not.toContain('BYE');
    stage.upstreams[1]?.write('* SEARCH 1 2\r\nc OK done\r\n');
    await worker.until(/c OK done/);
    await clock.advance(seconds(1));
    await worker.until(/c OK done\r\n\* BYE Postern is stopping/);
    await closed;
  });

  it('cuts what is left after the grace', async () => {
    const clock = new FakeClock();
    const stage = await stageOf({ protocol: 'pop3', clock });
    const reader = new Reader(stage.port);
    await reader.logInToPop3();
    const closed = stage.listener.close(seconds(5));
    await clock.advance(seconds(5));
    await reader.until(/-ERR \[SYS\/TEMP\] Postern is stopping/);
    reader.socket.end();
    await closed;
  });
});

describe('backpressure', () => {
  it('stops the upstream while the application does not read', async () => {
    const stage = await stageOf({ protocol: 'imap' });
    const reader = new Reader(stage.port);
    await reader.logIn();
    reader.socket.pause();
    const upstream = stage.upstreams[0];
    if (upstream === undefined) throw new Error('no session');
    const block = Buffer.alloc(65_536, 'x');
    let sent = 0;
    // Far more than the buffers of four sockets hold.
    for (let quiet = 0; quiet < 50; ) {
      if (upstream.writableNeedDrain) quiet += 1;
      else {
        upstream.write(block);
        sent += block.length;
        quiet = 0;
      }
      expect(sent).toBeLessThan(64 * 1024 * 1024);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const before = reader.text.length;
    reader.socket.resume();
    while (reader.text.length - before < sent) await nextTurn();
  });
});

describe('the switches of a listener', () => {
  const quirks = { capabilityInGreeting: false, plainSearch: true, specialUse: true };
  const answer = (line: string): string =>
    line.includes('LIST') ? `* LIST () "/" "Sent Items"\r\nc OK done\r\n` : `${line[0]} OK done\r\n`;

  it('change what is said both ways', async () => {
    const stage = await stageOf({ protocol: 'imap', settings: { quirks }, answer });
    const reader = new Reader(stage.port);
    await reader.until(/^\* OK Postern is ready\r\n$/);
    await reader.logIn();
    reader.socket.write('b SEARCH CHARSET UTF-8 UNSEEN\r\nc LIST "" *\r\n');
    await reader.until(/^c OK/m);
    expect(stage.upstreamText()).toBe('b SEARCH UNSEEN\r\nc LIST "" *\r\n');
    expect(reader.text).toContain('* LIST (\\Sent) "/" "Sent Items"\r\n');
  });

  it('leave LIST to a server that knows SPECIAL-USE', async () => {
    const stage = await stageOf({ protocol: 'imap', settings: { quirks }, answer, capabilities: ['IMAP4rev1', 'SPECIAL-USE'] });
    const reader = new Reader(stage.port);
    await reader.logIn();
    reader.socket.write('c LIST "" *\r\n');
    await reader.until(/^c OK/m);
    expect(reader.text).toContain('* LIST () "/" "Sent Items"\r\n');
  });
});

describe('sessions of one client', () => {
  it('are counted', async () => {
    const stage = await stageOf({ protocol: 'imap' });
    const first = new Reader(stage.port);
    await first.logIn('single');
    const second = new Reader(stage.port);
    await second.logIn('single');
    expect(second.text).toContain('a NO [UNAVAILABLE] client single has 1 sessions open, its limit (CLIENT_TOO_MANY_SESSIONS)');
    first.socket.destroy();
    while (stage.log.of('mailbox-closed').length === 0) await nextTurn();
    second.text = '';
    await second.logIn('single');
    expect(second.text).toMatch(/^a OK/);
  });
});
