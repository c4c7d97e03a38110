/** An IMAP or POP3 server that talks without ever coming to the point: how long, and how much of it, it is listened to. */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { seconds } from '../../src/core/clock.ts';
import type { OpenMailbox } from '../../src/core/ports/mailbox.ts';
import { ProblemError } from '../../src/core/problem.ts';
import { LineConnection } from '../../src/platform/line-connection.ts';
import { ServerDialogue } from '../../src/proxy/server-dialogue.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { pair } from '../support/scripted-imap.ts';

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof ProblemError ? `${error.problem.code}: ${error.problem.cause}` : String(error);
}

/** Says a line every ten seconds of the clock. */
async function chatter(clock: FakeClock, server: Duplex, line: string, times: number): Promise<void> {
  for (let count = 0; count < times; count += 1) {
    if (!server.destroyed) server.write(line);
    await clock.advance(seconds(10));
  }
}

describe('before the login', () => {
  async function connect(clock: FakeClock) {
    const [ours, theirs] = pair();
    theirs.on('error', () => undefined).resume();
    const server = { endpoint: { host: 'imap.test', port: 993, tls: 'implicit' }, ca: undefined, protocol: 'imap' } as const;
    const connection = await LineConnection.open(server, () => Promise.resolve(ours as unknown as Socket), clock);
    return { connection, ours, theirs };
  }

  /** All lines, until there are no more. */
  async function readAll(connection: LineConnection): Promise<never> {
    for (;;) await connection.readLine();
  }

  it('N10 has thirty seconds for an answer, however many lines it says', async () => {
    const clock = new FakeClock();
    const { connection, ours, theirs } = await connect(clock);
    connection.send('p1 CAPABILITY');
    const ended = codeOf(readAll(connection));
    await chatter(clock, theirs, '* OK still looking\r\n', 4);
    expect(await ended).toBe('UPSTREAM_TIMEOUT: imap.test:993: no answer within 30 s');
    expect(ours.destroyed).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('N10 has thirty seconds anew for the next question', async () => {
    const clock = new FakeClock();
    const { connection, theirs } = await connect(clock);
    for (let round = 0; round < 4; round += 1) {
      connection.send('p1 CAPABILITY');
      const line = connection.readLine();
      await clock.advance(seconds(25));
      theirs.write('p1 OK\r\n');
      expect(await line).toBe('p1 OK');
    }
    connection.close();
  });

  it('I04 is listened to for 200 lines', async () => {
    const clock = new FakeClock();
    const { connection, theirs } = await connect(clock);
    theirs.write('* OK x\r\n'.repeat(1_000));
    expect(await codeOf(readAll(connection))).toBe('UPSTREAM_PROTOCOL: imap.test:993: its answers have no end');
  });

  it('I04 is listened to for 12 KB without a line end', async () => {
    const clock = new FakeClock();
    const { connection, theirs } = await connect(clock);
    const line = codeOf(connection.readLine());
    theirs.write(Buffer.alloc(13_000, 'a'));
    expect(await line).toBe('UPSTREAM_PROTOCOL: imap.test:993: it sends more than the protocol allows');
  });
});

describe('while a session is brought to another connection', () => {
  function open(clock: FakeClock) {
    const [ours, theirs] = pair();
    theirs.on('error', () => undefined).resume();
    const mailbox: OpenMailbox = {
      protocol: 'imap',
      upstream: 'imap.test:993',
      user: 'billing@postern.test',
      socket: ours,
      rest: Buffer.alloc(0),
      capabilities: [],
      close: () => void ours.destroy(),
    };
    return { dialogue: new ServerDialogue(mailbox, clock), theirs };
  }

  it('N10 it has two minutes for all that it says, however often it says something', async () => {
    const clock = new FakeClock();
    const { dialogue, theirs } = open(clock);
    const ended = codeOf(dialogue.command('SELECT INBOX', () => undefined));
    await chatter(clock, theirs, '* 1 EXISTS\r\n', 13);
    expect(await ended).toBe('UPSTREAM_TIMEOUT: imap.test:993: its answers took more than 120 s');
    expect(clock.pendingTimers).toBe(0);
  });

  it.each(['command', 'idle'] as const)('I04 no more than 4 MB of its news is held: %s', async (kind) => {
    const clock = new FakeClock();
    const { dialogue, theirs } = open(clock);
    let held = 0;
    const note = (line: string): void => void (held += line.length);
    const ended = codeOf(kind === 'idle' ? dialogue.idle('a', note) : dialogue.command('SELECT INBOX', note));
    const piece = '* 5 FETCH (FLAGS (\\Seen))\r\n'.repeat(2_000);
    let isOver = false;
    void ended.then(() => (isOver = true));
    for (let count = 0; !isOver && count < 1_000; count += 1) {
      theirs.write(piece);
      await new Promise(setImmediate);
    }
    expect(await ended).toBe('UPSTREAM_PROTOCOL: imap.test:993: its answers have no end');
    expect(held).toBeLessThanOrEqual(4 * 1024 * 1024);
  });
});
