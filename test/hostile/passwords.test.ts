/** Local passwords: of any form they match exactly, over every protocol, and nothing about a wrong one can be told by the time that its refusal takes. */
import { afterEach, describe, expect, it } from 'vitest';
import type { ClientSecret } from '../../src/core/client.ts';
import { PasswordCheck } from '../../src/platform/password-check.ts';
import { verifyPassword } from '../../src/platform/password.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { testClient } from '../support/accounts.ts';
import { openMailboxStage } from '../support/mailbox-stage.ts';
import { openSmtpStage } from '../support/smtp-stage.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const clientWith = (password: string) => testClient({ login: { username: 'app', secret: { kind: 'password', password } } });
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const plain = (password: string): string => base64(`\0app\0${password}`);
const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, '\\$&')}"`;

/** A connection to a port that has greeted; lines are asked one after another. */
async function talkTo(port: number): Promise<(line: string) => Promise<string>> {
  const talk = SmtpTalk.plain(port);
  closers.push(() => talk.destroy());
  let read = 0;
  let received = '';
  talk.socket.on('data', (octets: Buffer) => (received += octets.toString()));
  const line = async (): Promise<string> => {
    for (;;) {
      const end = received.indexOf('\r\n', read);
      if (end !== -1) {
        const text = received.slice(read, end);
        read = end + 2;
        return text;
      }
      await new Promise(setImmediate);
    }
  };
  await line();
  return async (words) => {
    talk.socket.write(`${words}\r\n`);
    return line();
  };
}

type Login = (port: number, password: string) => Promise<boolean>;

const SMTP: Readonly<Record<string, Login>> = {
  'AUTH PLAIN': async (port, password) => {
    const ask = await talkTo(port);
    await ask('HELO app.test');
    return (await ask(`AUTH PLAIN ${plain(password)}`)).startsWith('235');
  },
  'AUTH LOGIN': async (port, password) => {
    const ask = await talkTo(port);
    await ask('HELO app.test');
    await ask('AUTH LOGIN');
    await ask(base64('app'));
    return (await ask(base64(password))).startsWith('235');
  },
};

const IMAP: Readonly<Record<string, Login>> = {
  'AUTHENTICATE PLAIN': async (port, password) => {
    const ask = await talkTo(port);
    await ask('a AUTHENTICATE PLAIN');
    return (await ask(plain(password))).startsWith('a OK');
  },
  'LOGIN, quoted': async (port, password) => (await (await talkTo(port))(`a LOGIN app ${quoted(password)}`)).startsWith('a OK'),
  'LOGIN, literal': async (port, password) => {
    const ask = await talkTo(port);
    await ask(`a LOGIN app {${Buffer.byteLength(password)}}`);
    return (await ask(password)).startsWith('a OK');
  },
};

const POP3: Readonly<Record<string, Login>> = {
  'AUTH PLAIN': async (port, password) => {
    const ask = await talkTo(port);
    await ask('AUTH PLAIN');
    return (await ask(plain(password))).startsWith('+OK');
  },
  'USER and PASS': async (port, password) => {
    const ask = await talkTo(port);
    await ask('USER app');
    return (await ask(`PASS ${password}`)).startsWith('+OK');
  },
};

const LONG = `${'0123456789abcdef'.repeat(255)}-the end-`;

/** A password, and what is not it. */
const PASSWORDS: readonly (readonly [string, string, readonly string[]])[] = [
  ['blanks around it', ' two words ', ['two words', ' two words', 'two words ', ' two  words ']],
  ['a colon', 'user:pass:word', ['user', 'pass:word', 'user:pass']],
  ['quotes', '"quoted"', ['quoted', '\\"quoted\\"']],
  ['backslashes', 'C:\\new\\table\\', ['C:\\new\\table', 'C:new\\table', 'C:\\\\new\\\\table\\\\']],
  ['composed letters', 'caf\u00e9', ['cafe\u0301', 'cafe']],
  ['decomposed letters', 'cafe\u0301', ['caf\u00e9', 'cafe']],
  ['braces and percent signs', '{5}%s$1', ['{5}', '%s']],
  ['4 KB', LONG, [LONG.slice(0, -1), LONG.slice(0, 72), LONG.slice(0, 255), `${LONG}x`]],
];

describe.each(PASSWORDS)('A10 a password with %s', (_what, password, others) => {
  const isShort = password.length < 1_000;

  async function expectExact(ways: Readonly<Record<string, Login>>, port: number): Promise<void> {
    for (const [way, login] of Object.entries(ways)) {
      // A line of POP3 or IMAP is shorter than 4 KB; there AUTH and literals are for those.
      if (!isShort && /quoted|PASS/.test(way)) continue;
      expect([way, await login(port, password)]).toEqual([way, true]);
      for (const other of others) expect([way, other, await login(port, other)]).toEqual([way, other, false]);
    }
  }

  it('is matched exactly by SMTP', async () => {
    const stage = await openSmtpStage({ clients: [clientWith(password)] });
    closers.push(() => stage.close());
    await expectExact(SMTP, stage.port);
  });

  it.each(['imap', 'pop3'] as const)('is matched exactly by %s', async (protocol) => {
    const stage = await openMailboxStage({ protocol, clients: [clientWith(password)] });
    closers.push(() => stage.close());
    await expectExact(protocol === 'imap' ? IMAP : POP3, stage.port);
    expect(stage.upstreamText()).toBe('');
  });
});

describe('A08 the time that a refusal takes', () => {
  const RIGHT = 'correct horse battery staple';
  const HASH = `$scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`;
  const WRONG: Readonly<Record<string, string>> = {
    'all wrong': 'X'.repeat(RIGHT.length),
    'the first character wrong': `X${RIGHT.slice(1)}`,
    'the last character wrong': `${RIGHT.slice(0, -1)}X`,
    'too short': RIGHT.slice(0, 3),
  };

  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

  /** Medians in ms over so many tries of each kind, taken in turns so that a busy moment meets all. */
  async function medians(kinds: Readonly<Record<string, () => Promise<unknown>>>, tries: number): Promise<Record<string, number>> {
    const times = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, [] as number[]]));
    for (let round = 0; round < tries; round += 1) {
      for (const [kind, attempt] of Object.entries(kinds)) {
        const began = performance.now();
        await attempt();
        times[kind]?.push(performance.now() - began);
      }
    }
    return Object.fromEntries(Object.entries(times).map(([kind, values]) => [kind, median(values)]));
  }

  /** Within 5 % of each other, or within a millisecond. */
  function expectAlike(found: Readonly<Record<string, number>>): void {
    const [least, most] = [Math.min(...Object.values(found)), Math.max(...Object.values(found))];
    expect({ ...found, isAlike: most - least <= 1 || most <= least * 1.05 }).toEqual({ ...found, isAlike: true });
  }

  const checksOf = (secret: ClientSecret, hasHashes: boolean, verify = verifyPassword): Record<string, () => Promise<unknown>> => {
    const passwords = new PasswordCheck({ clock: systemClock, random: systemRandom }, verify);
    return {
      'no such user': () => passwords.check(undefined, RIGHT, hasHashes),
      ...Object.fromEntries(Object.entries(WRONG).map(([kind, wrong]) => [kind, () => passwords.check(secret, wrong, hasHashes)])),
    };
  };

  it('is the same for 2,000 tries of each kind at a password', async () => {
    expectAlike(await medians(checksOf({ kind: 'password', password: RIGHT }, false), 2_000));
  });

  it('is that of one derivation for each kind, where there are hashes', async () => {
    const derived: string[] = [];
    const verify = (_password: string, hash: string): Promise<boolean> => {
      derived.push(hash);
      return Promise.resolve(false);
    };
    const checks = checksOf({ kind: 'hash', hash: HASH }, true, verify);
    for (const [kind, check] of Object.entries(checks)) {
      derived.length = 0;
      await check();
      expect([kind, derived.length]).toEqual([kind, 1]);
      // Of the same price, for whomever.
      expect(derived[0]).toMatch(/^\$scrypt\$ln=15,r=8,p=1\$/);
    }
  });

  it('does not depend on what was wrong at the port either, since refusals come at a fixed moment', { timeout: 60_000 }, async () => {
    const tryAs = async (port: number, username: string, password: string): Promise<number> => {
      const ask = await talkTo(port);
      await ask('HELO app.test');
      const began = performance.now();
      expect(await ask(`AUTH PLAIN ${base64(`\0${username}\0${password}`)}`)).toMatch(/^535 /);
      return performance.now() - began;
    };
    const kinds: readonly (readonly [string, string])[] = [
      ['nobody', RIGHT],
      ...Object.values(WRONG).map((wrong) => ['app', wrong] as const),
    ];
    const found: Record<string, number> = {};
    for (const [username, password] of kinds) {
      const stage = await openSmtpStage({ clients: [clientWith(RIGHT)], clock: systemClock }); // Each kind its own: beyond ten failures, there is another answer.
      closers.push(() => stage.close());
      const times = await Promise.all(Array.from({ length: 9 }, () => tryAs(stage.port, username, password)));
      found[`${username}, ${password}`] = Math.min(...times); // A busy machine makes some later, and none earlier.
    }
    expectAlike(found);
    expect(Math.min(...Object.values(found))).toBeGreaterThan(990);
  });
});
