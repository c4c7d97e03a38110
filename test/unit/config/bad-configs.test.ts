/** Every mistake of the table is refused, in its line, alone, with the key named and the right value suggested. */
import { afterAll, describe, expect, it } from 'vitest';
import { describeFinding } from '../../../src/config/config.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { ConfigFolder, problemsOf } from '../../support/config-folder.ts';
import { BAD_LOCAL_CONFIGS, GOOD_ACCOUNT, GOOD_CLIENT } from './bad-configs.ts';
import { BAD_UPSTREAM_CONFIGS } from './bad-upstream-configs.ts';

const BAD_CONFIGS = [...BAD_LOCAL_CONFIGS, ...BAD_UPSTREAM_CONFIGS];

const folder = new ConfigFolder();
afterAll(() => folder.remove());

describe('a configuration with one mistake', () => {
  it.each(BAD_CONFIGS)('$name', async ({ yaml, line, path, message, suggestion }) => {
    const problems = problemsOf(await folder.load(yaml, { EMPTY: '' }));
    const found = problems.find((problem) => problem.path === path && problem.message.includes(message));
    if (found === undefined) throw new Error(`told instead:\n${problems.map(describeFinding).join('\n')}`);
    expect(found.line).toBe(line);
    expect(found.suggestion).toBe(suggestion);
  });
});

/** Mistakes that are told twice, since two rules are broken at once or a file and its partner are both missing. */
const TOLD_MORE_THAN_ONCE = new Set([
  'unclosed quote',
  'tab indentation',
  'TLS with a certificate that is not there',
  'T17 TLS without a certificate',
  'T17 admin with TLS and no certificate',
  'providers in a circle',
]);

describe('one mistake', () => {
  it.each(BAD_CONFIGS.filter(({ name }) => !TOLD_MORE_THAN_ONCE.has(name)))('$name is told once', async ({ yaml }) => {
    const problems = problemsOf(await folder.load(yaml, { EMPTY: '' }));
    expect(problems.map(describeFinding)).toHaveLength(1);
  });
});

describe('many mistakes', () => {
  it('are told all at once, in the order of the file', async () => {
    const yaml = `log: { level: loud }
acounts: []
listeners:
  smtp:
    - { host: 0.0.0.0, port: 2525, requireTls: true }
    - { port: 99999 }
accounts:
  - name: one
    provider: microsoft365
    mailbox: nobody
    auth: { grant: refresh_token, tenant: t, clientId: x, scopes: [SMTP.Send] }
  - name: two
    mailbox: two@contoso.com
    smtpuser: x@contoso.com
    auth: { grant: client_credentials, clientId: x }
clients:
  - { name: a, username: x, password: "\${env:NOPE}", account: tow, rate: {} }
  - { name: a, username: x, passwordHash: nonsense, networks: [10.0.0.1/8] }
`;
    const problems = problemsOf(await folder.load(yaml));
    expect(problems.map(({ line, path }) => `${line} ${path}`)).toEqual([
      '1 log.level',
      '2 acounts',
      '5 listeners.smtp[0].requireTls',
      '6 listeners.smtp[1].port',
      '10 accounts[0].mailbox',
      '14 accounts[1].smtpuser',
      '15 accounts[1].auth.tenant',
      '15 accounts[1].auth.clientSecret',
      '17 clients[0].password',
      '17 clients[0].account',
      '17 clients[0].rate.messagesPerMinute',
      '18 clients[1].account',
      '18 clients[1].name',
      '18 clients[1].username',
      '18 clients[1].passwordHash',
      '18 clients[1].networks[0]',
    ]);
  });

  it('do not hide that a provider or an account is unknown, nor what is told of auth without the provider', async () => {
    const yaml = `providers:
  mine: { extends: microsfot365, mechanism: MAGIC }
accounts:
  - { name: one, mailbox: a@contoso.com, provider: gmial }
  - { name: two, mailbox: b@contoso.com, provider: gmial, auth: { grant: client_credentials } }
  - { name: three, mailbox: c@contoso.com, auth: { grant: client_credentials, scopes: 7 } }
  - { name: four, mailbox: d@contoso.com, auth: { grant: client_credentials, clientId: x, tenant: contoso.com, clientSecret: 12345678 } }
clients:
  - { networks: [127.0.0.1], account: tow }
`;
    const problems = problemsOf(await folder.load(yaml));
    expect(problems.map(({ line, path }) => `${line} ${path}`)).toEqual([
      '2 providers.mine.extends',
      '2 providers.mine.mechanism',
      '4 accounts[0].auth',
      '4 accounts[0].provider',
      '5 accounts[1].provider',
      '5 accounts[1].auth.clientId',
      '5 accounts[1].auth.clientSecret',
      '6 accounts[2].auth.tenant',
      '6 accounts[2].auth.clientId',
      '6 accounts[2].auth.clientSecret',
      '6 accounts[2].auth.scopes',
      '7 accounts[3].auth.clientSecret',
      '9 clients[0].name',
      '9 clients[0].account',
    ]);
  });

  it('do not make a reference to a broken account another mistake', async () => {
    const yaml = `${GOOD_ACCOUNT.replace('grant: refresh_token', 'grant: nonsense')}clients: [{ name: a, networks: ["::1"], account: main }]\n`;
    expect(problemsOf(await folder.load(yaml)).map(({ path }) => path)).toEqual(['accounts[0].auth.grant']);
  });

  it('do not hide the place of a value behind an alias', async () => {
    const yaml = `x: &auth { grant: basic }\n${GOOD_CLIENT}accounts:\n  - { name: main, mailbox: a@b.c, auth: *auth }\n`;
    expect(problemsOf(await folder.load(yaml)).map(({ path, line }) => `${line} ${path}`)).toEqual(['1 x', '4 accounts[0].auth.password']);
  });
});

describe('hostile YAML', () => {
  it('is refused where aliases multiply', async () => {
    const levels = Array.from(
      { length: 12 },
      (_, index) =>
        `l${index}: &l${index} [${Array(10)
          .fill(index === 0 ? 'x' : `*l${index - 1}`)
          .join(', ')}]`,
    );
    expect(problemsOf(await folder.load(levels.join('\n')))[0]?.message).toContain('too many aliases');
  });

  it('is refused where an anchor holds itself', async () => {
    expect(problemsOf(await folder.load('log: &log [*log]')).map(({ message }) => message)).toContain('is nested too deeply');
  });

  it.each(['['.repeat(20_000), '{a: '.repeat(20_000), `${'- '.repeat(20_000)}x`])('is refused where it is too deep', async (yaml) => {
    expect(problemsOf(await folder.load(yaml)).length).toBeGreaterThan(0);
  });

  it('is refused where it is not text', async () => {
    const file = folder.write('binary.yaml', new Uint8Array([0xff, 0xfe, 0x00]));
    expect(problemsOf(await loadConfig({ file, env: {}, cwd: folder.path }))[0]?.message).toContain('not UTF-8');
  });

  it('cannot reach the prototype of anything', async () => {
    const result = await folder.load('__proto__: { polluted: 1 }\nproviders: { __proto__: { polluted: 1 }, constructor: { x: 1 } }\n');
    expect(problemsOf(result).map(({ path }) => path)).toEqual(
      expect.arrayContaining(['__proto__', 'providers.__proto__', 'providers.constructor.x']),
    );
    expect('polluted' in {}).toBe(false);
  });
});
