/** Commands that are not what commands should be, at the SMTP front, where a dialogue file cannot say it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { ClientSecret } from '../../src/core/client.ts';
import { minutes } from '../../src/core/clock.ts';
import { createLog } from '../../src/observability/log.ts';
import { Scrubber } from '../../src/observability/scrubber.ts';
import { PasswordCheck } from '../../src/platform/password-check.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { testClient } from '../support/accounts.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { STAGE_CLIENTS, openSmtpStage, type SmtpStage, stageCertificate, type StageOptions } from '../support/smtp-stage.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

const stages: SmtpStage[] = [];
const talks: SmtpTalk[] = [];

async function open(options: StageOptions = {}): Promise<SmtpStage> {
  const stage = await openSmtpStage({ peer: '10.9.1.1', ...options });
  stages.push(stage);
  return stage;
}

afterEach(async () => {
  for (const talk of talks.splice(0)) talk.destroy();
  await Promise.all(stages.splice(0).map((stage) => stage.close()));
});

/** A talk that has been greeted and has said EHLO. */
async function greeted(stage: SmtpStage): Promise<SmtpTalk> {
  const talk = SmtpTalk.plain(stage.port);
  talks.push(talk);
  await talk.reply();
  await talk.ask('EHLO app');
  return talk;
}

const plain = (user: string, password: string): string => `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString('base64')}`;

async function submit(talk: SmtpTalk, from = 'scan@postern.test'): Promise<string> {
  for (const command of [`MAIL FROM:<${from}>`, 'RCPT TO:<a@example.test>', 'DATA']) {
    const reply = await talk.ask(command);
    if (!/^[23]/.test(reply)) return reply;
  }
  return talk.ask('Subject: x\r\n\r\nx\r\n.');
}

describe('C20 parameters of a MAIL that was refused', () => {
  it.each([
    ['by the sender policy', 'nobody@evil.test', /^550 5\.7\.1 /],
    ['upstream', 'busy@postern.test', /^451 4\.4\.1 /],
  ])('%s are not those of the next transaction', async (_by, from, refusal) => {
    const stage = await open();
    const talk = await greeted(stage);
    expect(await talk.ask(`MAIL FROM:<${from}> BODY=8BITMIME SIZE=77 RET=HDRS ENVID=first SMTPUTF8`)).toMatch(refusal);
    expect(await submit(talk)).toMatch(/^250 /);
    const sound = await open();
    await submit(await greeted(sound));
    const [{ start } = {}] = stage.submission.submitted;
    const [{ start: usual } = {}] = sound.submission.submitted;
    const parameters = (of: object | undefined): string[] => Object.keys(of ?? {}).filter((key) => !/session|queue|peer|at$/i.test(key));
    expect(parameters(start)).toEqual(parameters(usual));
    expect(JSON.stringify(start)).not.toMatch(/first|8BITMIME|HDRS|77/);
  });
});

describe('C21 commands that lead nowhere', () => {
  it.each([
    ['do nothing', 'NOOP', 100],
    ['are wrong', 'FOO', 20],
  ])('and %s are counted anew behind a message that was accepted', async (_what, command, most) => {
    const talk = await greeted(await open());
    for (const round of [1, 2, 3]) {
      for (let count = 0; count < most - 2; count += 1)
        expect([round, count, await talk.ask(command)]).toEqual([round, count, expect.stringMatching(/^(?:250|500) /)]);
      expect(await submit(talk)).toMatch(/^250 /);
    }
    let served = 0;
    while (/^(?:250|500) /.test(await talk.ask(command))) served += 1;
    expect(served).toBe(most);
    expect(await talk.reply()).toBe('closed');
  });

  it('among 150 of which nothing is accepted end in 421', async () => {
    const talk = await greeted(await open());
    const answers: string[] = [];
    for (let count = 0; count < 150 && answers.at(-1) !== 'closed'; count += 1)
      answers.push(await talk.ask(['NOOP', 'RSET', 'VRFY x'][count % 3] ?? ''));
    expect(answers.at(-2)).toMatch(/^421 4\.7\.0 /);
    expect(answers.length).toBeLessThan(105);
  });
});

describe('C18 a client that does not wait for the greeting', () => {
  it('is served, and its message delivered once', async () => {
    const stage = await open();
    const talk = SmtpTalk.plain(stage.port);
    talks.push(talk);
    talk.send('HELO app\r\nMAIL FROM:<scan@postern.test>\r\nRCPT TO:<a@example.test>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n');
    await talk.closed();
    expect(talk.unread.split('\r\n').map((line) => line.slice(0, 3))).toEqual(['220', '250', '250', '250', '354', '250', '221', '']);
    expect(stage.submission.submitted).toHaveLength(1);
  });
});

describe('C13 a name that a client gives itself', () => {
  it('never comes back with a control character', async () => {
    const talk = await greeted(await open());
    const replies = [];
    for (const name of ['a\x1b[31m', 'a\0b', 'a\tb', 'x'.repeat(900), 'a\u0085b', '\x07', 'ü\u2028y'])
      for (const verb of ['EHLO', 'HELO']) replies.push(await talk.ask(`${verb} ${name}`));
    expect(replies.join('').replaceAll('\r\n', '')).not.toMatch(/[^\u0020-\u007e]/);
    expect(replies.filter((reply) => reply.startsWith('501')).length).toBeGreaterThanOrEqual(8);
  });
});

describe('T03 what was said in clear text', () => {
  it('counts for nothing inside TLS: neither EHLO, nor a login, nor its failures', async () => {
    const stage = await open({ peer: '127.0.0.1', settings: { tls: 'starttls' } });
    const talk = await greeted(stage);
    expect(await talk.ask(plain('erp', 'local-password'))).toMatch(/^235 /);
    expect(await talk.ask('STARTTLS')).toMatch(/^220 /);
    const secure = await talk.upgrade(stageCertificate().caPem);
    talks.push(secure);
    expect(await secure.ask(plain('erp', 'local-password'))).toMatch(/^503 5\.5\.1 /);
    expect(await secure.ask('EHLO app')).not.toContain('STARTTLS');
    expect(await secure.ask('STARTTLS')).toMatch(/^503 5\.5\.1 /);
    expect(await secure.ask('MAIL FROM:<billing@postern.test>')).toMatch(/^530 5\.7\.0 /);
    expect(await secure.ask(plain('erp', 'local-password'))).toMatch(/^235 /);
    expect(await secure.ask('MAIL FROM:<billing@postern.test>')).toMatch(/^250 /);
    expect(await secure.ask('STARTTLS')).toMatch(/^503 5\.5\.1 /);
  });
});

describe('A06 300 wrong passwords on one connection', () => {
  it('are five, and then nobody listens', async () => {
    const talk = await greeted(await open());
    const replies: string[] = [];
    for (let count = 0; count < 300 && replies.at(-1) !== 'closed'; count += 1)
      replies.push(await talk.ask(plain('erp', `guess-${count}`)));
    expect(replies.map((reply) => reply.slice(0, 3))).toEqual(['535', '535', '535', '535', '535', '421', 'clo']);
  });
});

describe('A10 a local password', () => {
  const odd = ' \t:"\\%€ \u00fc\u0075\u0308 \u{1f511} end ';
  it.each([
    ['of 4 KB', 'p'.repeat(4096)],
    ['with blanks, separators, quotes and letters of several octets', odd],
  ])('%s matches as it is, and in no other form', async (_what, password) => {
    const clients = [...STAGE_CLIENTS, testClient({ name: 'odd', login: { username: 'odd', secret: { kind: 'password', password } } })];
    const stage = await open({ clients });
    const others = [
      password.trim(),
      password.normalize('NFC'),
      password.normalize('NFD'),
      `${password}x`,
      password.slice(0, -1),
      `${password}\n`,
    ];
    for (const other of new Set(others.filter((each) => each !== password))) {
      expect([other, await (await greeted(stage)).ask(plain('odd', other))]).toEqual([other, expect.stringMatching(/^535 /)]);
    }
    expect(await (await greeted(stage)).ask(plain('odd', password))).toMatch(/^235 /);
    const talk = await greeted(stage);
    await talk.ask('AUTH LOGIN');
    await talk.ask(Buffer.from('odd').toString('base64'));
    expect(await talk.ask(Buffer.from(password).toString('base64'))).toMatch(/^235 /);
  });
});

describe('A08 2,000 tries of each kind', () => {
  it('take no time that tells them apart: unknown user, wrong password, wrong first and last octet', async () => {
    const check = new PasswordCheck({ clock: systemClock, random: systemRandom });
    const secret: ClientSecret = { kind: 'password', password: 'local-password-of-some-length' };
    const kinds: readonly (readonly [ClientSecret | undefined, string])[] = [
      [undefined, 'local-password-of-some-length'],
      [secret, 'wrong'],
      [secret, 'xocal-password-of-some-length'],
      [secret, 'local-password-of-some-lengtx'],
    ];
    const took = kinds.map((): number[] => []);
    for (let round = 0; round < 2000; round += 1) {
      for (const [index, [known, password]] of kinds.entries()) {
        const began = performance.now();
        expect(await check.check(known, password, false)).toBe('wrong');
        took[index]?.push(performance.now() - began);
      }
    }
    const medians = took.map((times) => times.sort((one, other) => one - other)[1000] ?? 0);
    expect(Math.max(...medians) - Math.min(...medians)).toBeLessThan(1);
  }, 60_000);
});

describe('L02 what a peer sends', () => {
  const HOSTILE = 'x\r\n{"level":"error"}\x1b[31m\0\u2028\u2029\u0085end';

  it('is one JSON line each in the log, without a control character', async () => {
    const stage = await open();
    const talk = await greeted(stage);
    for (const command of [
      `EHLO ${HOSTILE.replace(/[\r\n]/g, '')}`,
      `MAIL FROM:<${HOSTILE.replace(/[\r\n]/g, '')}@postern.test>`,
      plain(HOSTILE, 'local-password'),
      plain('nobody\u2028\u0085', 'local-password'),
      'MAIL FROM:<scan@postern.test>',
      `RCPT TO:<"${HOSTILE.replace(/[\r\n]/g, '')}"@example.test>`,
      'RCPT TO:<a@example.test>',
      'DATA',
    ])
      expect(await talk.ask(command)).toMatch(/^[2345]\d\d[ -]/);
    await talk.ask(`Message-ID: <\x1b[31m\u2028{}>\r\nSubject: ${HOSTILE.replaceAll('\0', '')}\r\n\r\nx\r\n.`);
    const written: string[] = [];
    const log = createLog({ level: 'trace', format: 'json' }, new Scrubber(), { write: (line) => void written.push(line) });
    const { lines } = stage.log;
    expect(lines.length).toBeGreaterThan(10);
    for (const { level, message, ...fields } of lines) log[level](fields, message);
    expect(written).toHaveLength(lines.length);
    for (const line of written) {
      expect(line).toMatch(/^[^\u0000-\u001f\u007f\u0085\u2028\u2029]*\n$/);
      expect(() => JSON.parse(line) as unknown).not.toThrow();
    }
  });
});

describe('N05 a client that vanishes in the middle of content', () => {
  it('and is never heard of again ends at the limit, without a message', async () => {
    const clock = new FakeClock();
    const stage = await open({ clock });
    const talk = await greeted(stage);
    for (const command of ['MAIL FROM:<scan@postern.test>', 'RCPT TO:<a@example.test>', 'DATA']) await talk.ask(command);
    talk.send('Subject: half\r\n\r\nhalf');
    while (stage.submission.transactions[0]?.messageId === undefined) await nextTurn();
    await clock.advance(minutes(4));
    while (stage.submission.transactions[0].outcome === 'open') await nextTurn();
    expect(stage.submission.transactions.map(({ outcome }) => outcome)).toEqual(['abandoned']);
  });
});
