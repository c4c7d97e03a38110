import { describe, expect, test } from 'vitest';
import type { Client } from '../../../src/core/client.ts';
import { milliseconds, minutes, seconds } from '../../../src/core/clock.ts';
import { parseIpAddress } from '../../../src/core/ip-network.ts';
import { AuthDialogue, type AuthOutcome } from '../../../src/listener/auth-dialogue.ts';
import { PasswordCheck } from '../../../src/platform/password-check.ts';
import { SessionJournal } from '../../../src/platform/session-journal.ts';
import type { SessionId } from '../../../src/core/ids.ts';
import { systemRandom } from '../../../src/platform/system-random.ts';
import { ClientDirectory } from '../../../src/policy/client-directory.ts';
import { testClient } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const hashed = testClient({ name: 'hashed', login: { username: 'hashed', secret: { kind: 'hash', hash: 'H' } } });

class Bench {
  readonly clock = new FakeClock();
  readonly log = new MemoryLog();
  readonly clients: ClientDirectory;
  /** How long a derivation takes. */
  derivation = milliseconds(75);
  readonly #passwords: PasswordCheck;

  constructor(clients: readonly Client[] = [testClient(), hashed]) {
    this.clients = new ClientDirectory(clients);
    this.#passwords = new PasswordCheck({ clock: this.clock, random: systemRandom }, async (password) => {
      await new Promise<void>((resolve) => void this.clock.startTimer(this.derivation, resolve));
      return password === 'local-password';
    });
  }

  connect(from = '10.0.0.1'): AuthDialogue {
    const journal = new SessionJournal(this.log, { sessionId: 'S' as SessionId, listener: 'test', peer: from });
    const peer = parseIpAddress(from);
    if (peer === undefined) throw new Error(from);
    return new AuthDialogue({ clients: this.clients, passwords: this.#passwords, clock: this.clock }, journal, peer);
  }

  /** AUTH PLAIN, and how long it took on the clock. */
  async login(dialogue: AuthDialogue, username: string, password: string): Promise<{ outcome: AuthOutcome; took: number }> {
    const started = this.clock.monotonic();
    const outcomes: AuthOutcome[] = [];
    const pending = dialogue
      .start(['PLAIN', Buffer.from(`\0${username}\0${password}`).toString('base64')])
      .then((outcome) => outcomes.push(outcome));
    await this.clock.advance(milliseconds(0));
    while (outcomes.length === 0) await this.clock.advance(milliseconds(25));
    await pending;
    return { outcome: outcomes[0]!, took: this.clock.monotonic() - started };
  }
}

const codeOf = ({ reply }: AuthOutcome): string => `${reply.code} ${reply.enhancedCode}`;

test('a right password costs no pause', async () => {
  const bench = new Bench();
  const { outcome, took } = await bench.login(bench.connect(), 'erp', 'local-password');
  expect(outcome).toMatchObject({ kind: 'authenticated', client: { name: 'erp' }, reply: { code: 235 } });
  expect(took).toBe(0);
});

test('A08 unknown user, wrong password and wrong password with a hash get one reply after one time', async () => {
  const answers = [];
  for (const username of ['nobody', 'erp', 'hashed']) {
    const bench = new Bench();
    const { outcome, took } = await bench.login(bench.connect(), username, 'wrong');
    answers.push({ reply: outcome.reply, took });
  }
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
  expect(answers[0]?.took).toBe(seconds(1));
});

test('A06 each failure on a connection is answered later than the one before, up to eight seconds, and the sixth try not at all', async () => {
  const bench = new Bench();
  const dialogue = bench.connect();
  const waits: number[] = [];
  for (let count = 0; count < 5; count += 1) waits.push((await bench.login(dialogue, 'erp', 'wrong')).took);
  expect(waits).toEqual([1000, 2000, 4000, 8000, 8000]);
  const { outcome, took } = await bench.login(dialogue, 'erp', 'local-password');
  expect(codeOf(outcome)).toBe('421 4.7.0');
  expect(took).toBe(0);
});

describe('after ten failures of one user name from one peer', () => {
  async function guessed(): Promise<Bench> {
    const bench = new Bench();
    for (let connection = 0; connection < 2; connection += 1) {
      const dialogue = bench.connect();
      for (let count = 0; count < 5; count += 1) await bench.login(dialogue, 'erp', 'wrong');
    }
    return bench;
  }

  test('even the right password has to wait, and is told how long', async () => {
    const bench = await guessed();
    const { outcome } = await bench.login(bench.connect(), 'erp', 'local-password');
    expect(codeOf(outcome)).toBe('454 4.7.0');
    expect(outcome.reply.text[0]).toMatch(/try again in \d+ seconds/);
    expect(bench.log.of('login-throttled')[0]?.problem?.code).toBe('CLIENT_THROTTLED');
    await bench.clock.advance(minutes(1));
    expect((await bench.login(bench.connect(), 'erp', 'local-password')).outcome.kind).toBe('authenticated');
  });

  test('other peers and other clients do not notice', async () => {
    const bench = await guessed();
    expect((await bench.login(bench.connect('10.0.0.2'), 'erp', 'local-password')).outcome.kind).toBe('authenticated');
    expect((await bench.login(bench.connect(), 'hashed', 'local-password')).outcome.kind).toBe('authenticated');
  });
});

test('the log names client, user name and reason, and never a password', async () => {
  const bench = new Bench();
  const dialogue = bench.connect();
  await bench.login(dialogue, 'erp', 'Tr0ub4dor');
  await bench.login(dialogue, 'nobody\u2028x', 'Tr0ub4dor');
  const lines = bench.log.of('login-refused');
  expect(lines.map(({ level, problem }) => [level, problem?.code, problem?.cause])).toEqual([
    ['warn', 'CLIENT_PASSWORD_WRONG', 'wrong password for client erp'],
    ['warn', 'CLIENT_UNKNOWN', 'no client has the user name "nobody x"'],
  ]);
  expect(JSON.stringify(bench.log.lines)).not.toContain('Tr0ub4dor');
});

test('a reset voids the exchange under way', async () => {
  const dialogue = new Bench().connect();
  expect((await dialogue.start(['LOGIN'])).kind).toBe('continue');
  expect(dialogue.isWaiting).toBe(true);
  dialogue.reset();
  expect(dialogue.isWaiting).toBe(false);
});
