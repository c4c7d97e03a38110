/** `postern login`, `accounts` and `token` as processes, beside a relay on the same state that is never restarted. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadOrCreateKey } from '../../src/platform/key-file.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { FileTokenStore } from '../../src/token/file-token-store.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { type Finished, postern, type ProcessOptions, RunningProcess } from '../support/process.ts';
import { secretsIn } from '../support/real/secrets.ts';
import { decide, enterDeviceCode, visit } from '../support/sandbox-person.ts';
import { submit } from '../support/submit.ts';

const MAILBOX = 'billing@sandbox.test';
let folder: string;
let sandbox: Sandbox;
let relay: RunningProcess;
let port: number;

/** What no output may hold: gathered while the tests run. */
const secrets = new Set<string>();
const challenges = new Set<string>();
const outputs: string[] = [];

function command(args: readonly string[], options: ProcessOptions = {}): RunningProcess {
  return postern([...args, '--config', join(folder, 'postern.yaml')], options);
}

async function finish(running: RunningProcess): Promise<Finished> {
  const finished = await running.end();
  outputs.push(finished.stdout, finished.stderr);
  return finished;
}

const run = async (args: readonly string[], options?: ProcessOptions): Promise<Finished> => finish(command(args, options));

const stateDir = (): string => join(folder, 'var');

async function storedGrant() {
  const masterKey = await loadOrCreateKey(join(stateDir(), 'master.key'));
  const grant = await new FileTokenStore({ directory: join(stateDir(), 'tokens'), masterKey, log: new MemoryLog() }).load('billing');
  for (const secret of [grant?.refreshToken, grant?.previousRefreshToken, grant?.accessToken?.value]) if (secret) secrets.add(secret);
  secrets.add(Buffer.from(masterKey).toString('base64'));
  return grant;
}

/** The address that a login shows. */
async function shownUrl(running: RunningProcess): Promise<string> {
  const [url] = await running.until(/http:\S+\/authorize\?\S+/);
  challenges.add(new URL(url).searchParams.get('code_challenge') ?? '');
  return url;
}

async function answerOf(url: string, mailbox = MAILBOX): Promise<URL> {
  const answer = await decide(url, mailbox);
  secrets.add(answer.searchParams.get('code') ?? '');
  return answer;
}

const submitted = async (): Promise<number | undefined> => (await submit({ port, login: { user: 'erp', pass: 'erp-password-1' } })).code;

/** The relay needs a token for its next session: those it has are cut off, and no token issued so far is good any more. */
async function endSessions(): Promise<void> {
  sandbox.mint.revokeAccessTokens();
  sandbox.faults.submission.next.push({ stage: 'mail', kind: 'drop' });
  await submitted();
}

/** A line of the relay's log that comes after now. */
async function nextLine(event: string, act: () => Promise<unknown>): Promise<void> {
  const seen = relay.stdout.length;
  await act();
  await relay.until(new RegExp(`^[^]{${seen}}[^]*"event":"${event}"`));
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-login-'));
  sandbox = await startSandbox({ clock: systemClock, random: systemRandom, log: new MemoryLog(), ports: { http: 0, smtp: 0 } });
  sandbox.faults.submission.messagesPerMinute = 0;
  sandbox.faults.token.devicePollSeconds = 1;
  // As hard as a provider can be: a refresh token that is sent twice ends the grant.
  sandbox.faults.token.reuseDetection = true;
  port = await freePort();
  writeFileSync(join(folder, 'ca.pem'), sandbox.caPem);
  secrets.add(sandbox.clientSecret);
  const { authorizeUrl, tokenUrl, deviceUrl, smtp, tenant, publicClientId, clientId, clientSecret } = sandbox;
  const document = {
    listeners: { smtp: [{ host: '127.0.0.1', port }] },
    state: { dir: './var' },
    providers: { lab: { extends: 'sandbox', authorizeUrl, tokenUrl, deviceUrl, smtp: { ...smtp, tls: 'starttls' }, caFile: './ca.pem' } },
    accounts: [
      {
        name: 'billing',
        provider: 'lab',
        mailbox: MAILBOX,
        auth: { grant: 'refresh_token', tenant, clientId: publicClientId },
        delivery: 'direct',
      },
      {
        name: 'batch',
        provider: 'lab',
        mailbox: 'noreply@sandbox.test',
        auth: { grant: 'client_credentials', tenant, clientId, clientSecret },
      },
    ],
    clients: [{ name: 'erp', username: 'erp', password: 'erp-password-1', account: 'billing' }],
    log: { level: 'trace', format: 'json' },
  };
  writeFileSync(join(folder, 'postern.yaml'), stringify(document), { mode: 0o600 });
});

afterAll(async () => {
  await sandbox?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('before anybody has signed in', () => {
  it('the list of accounts says so, and looking makes no files', async () => {
    const { code, stdout } = await run(['accounts']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^billing\n {2}mailbox {8}billing@sandbox\.test\n.*\n {2}token {10}none: sign in with postern login\n/m);
    expect(stdout).toMatch(/^batch\n(.*\n){2} {2}token {10}new access token at the next use\n/m);
    expect((await run(['token', 'show', 'billing'])).stdout).toBe('Nothing is stored for billing.\n');
    expect(() => rmSync(join(stateDir(), 'master.key'))).toThrow('ENOENT');
  });

  it('a refresh names the remedy', async () => {
    const { code, stderr } = await run(['token', 'refresh', 'billing']);
    expect(code).toBe(1);
    expect(stderr).toContain('[TOKEN_MISSING]');
    expect(stderr).toContain('postern login billing');
  });

  it('the relay defers', async () => {
    relay = command(['serve']);
    await relay.until(/"event":"ready"/);
    await relay.until(/TOKEN_MISSING/);
    expect(await submitted()).toBeGreaterThanOrEqual(400);
  });
});

describe('a sign-in beside the running relay', () => {
  it('in a browser is used by it without a restart', async () => {
    const login = command(['login', 'billing', '--no-browser']);
    const url = await shownUrl(login);
    let page = '';
    await nextLine('token-recovered', async () => {
      page = (await visit(await answerOf(url))).text;
    });
    const { code, stdout } = await finish(login);
    expect(code).toBe(0);
    expect(stdout).toContain(`Signed in as ${MAILBOX}.`);
    expect(page).toContain(`${MAILBOX} is signed in`);
    await storedGrant();
    expect(await submitted()).toBe(250);
    expect(sandbox.messages.list().at(-1)).toMatchObject({ user: MAILBOX });
  });

  it('of somebody else changes nothing', async () => {
    const before = await storedGrant();
    const login = command(['login', 'billing', '--no-browser', '--json']);
    await visit(await answerOf(await shownUrl(login), 'relay@sandbox.test'));
    const { code, stdout } = await finish(login);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: false,
      problem: { code: 'SIGN_IN_WRONG_MAILBOX', cause: expect.stringContaining('relay@') },
    });
    expect(await storedGrant()).toEqual(before);
  });

  it('on another device revives a grant that has died', async () => {
    sandbox.mint.revokeRefreshTokens(MAILBOX);
    await endSessions();
    expect(await submitted()).toBeGreaterThanOrEqual(400);
    await relay.until(/"event":"token-failed"[^\n]*TOKEN_REAUTH_REQUIRED/);
    const login = command(['login', 'billing', '--device', '--json']);
    const [, uri = '', userCode = ''] = await login.until(/open\n\n {2}(\S+)\n\nenter the code\n\n {2}(\S+)\n/);
    await nextLine('token-recovered', async () => enterDeviceCode(uri, userCode, MAILBOX));
    const { code, stdout } = await finish(login);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      account: 'billing',
      user: MAILBOX,
      expiresAt: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    await storedGrant();
    expect(await submitted()).toBe(250);
  });

  it('with a browser elsewhere takes the pasted address, and does not show it', async () => {
    const login = command(['login', 'billing', '--paste'], { keepsInput: true });
    const answer = await answerOf(await shownUrl(login));
    await login.until(/Address: /);
    login.child.stdin?.write('http://localhost/oauth/callback?code=none\n');
    await login.until(/That cannot be used: it has no state/);
    login.child.stdin?.end(`${answer.href}\n`);
    const { code, stdout } = await finish(login);
    expect(code).toBe(0);
    expect(stdout).toContain(`Signed in as ${MAILBOX}.`);
    await storedGrant();
  });

  it('W05 two at once are told apart', async () => {
    const logins = [command(['login', 'billing', '--no-browser']), command(['login', 'billing', '--no-browser'])];
    const answers = await Promise.all(logins.map(async (login) => answerOf(await shownUrl(login))));
    expect(new Set(answers.map(({ port: one }) => one)).size).toBe(2);
    for (const answer of answers) expect((await visit(answer)).status).toBe(200);
    expect(await Promise.all(logins.map(async (login) => (await finish(login)).code))).toEqual([0, 0]);
    await storedGrant();
  });

  it('is called off by Ctrl-C, and nobody listens any more', async () => {
    const login = command(['login', 'billing', '--no-browser']);
    const answer = await answerOf(await shownUrl(login));
    await login.end('SIGINT');
    outputs.push(login.stdout, login.stderr);
    await expect(visit(answer)).rejects.toThrow('fetch failed');
  });

  it('whose port is taken says so', async () => {
    const other = createServer();
    const taken = await freePort();
    await new Promise<void>((resolve) => other.listen(taken, '127.0.0.1', resolve));
    const { code, stderr } = await run(['login', 'billing', '--redirect-uri', `http://localhost:${taken}/oauth/callback`]);
    await new Promise((resolve) => other.close(resolve));
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot listen on 127.0.0.1 port ${taken}: the port is in use`);
    expect(stderr).toContain('[SIGN_IN_LISTENER_FAILED]');
  });
});

describe('stored tokens', () => {
  it('are shown as facts', async () => {
    const grant = await storedGrant();
    const digest = (token = ''): string => createHash('sha256').update(token).digest('hex').slice(0, 8);
    const { code, stdout } = await run(['token', 'show', 'billing', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      account: 'billing',
      stored: {
        generation: grant?.generation,
        savedAt: new Date(grant?.savedAt ?? 0).toISOString(),
        refreshToken: { digest: digest(grant?.refreshToken), since: expect.any(String) },
        isOvertakenBySeed: false,
        accessToken: {
          digest: digest(grant?.accessToken?.value),
          isForTheseSettings: true,
          claims: { audiences: ['https://outlook.office.com'], scopes: ['SMTP.Send'], user: MAILBOX, tenantId: sandbox.tenantId },
        },
      },
    });
    const { stdout: text } = await run(['token', 'show', 'billing']);
    expect(text).toContain(`refresh token  sha256 ${digest(grant?.refreshToken)}…, since `);
    expect(text).toContain(`  user         ${MAILBOX}`);
  });

  it('are renewed on demand while the relay works with them', async () => {
    const { refused } = sandbox.statistics.token;
    for (let round = 0; round < 3; round += 1) {
      const [refreshed, status] = await Promise.all([run(['token', 'refresh', 'billing', '--json']), submitted()]);
      expect(refreshed.code).toBe(0);
      expect(JSON.parse(refreshed.stdout)).toMatchObject({ ok: true, refreshed: { isRotated: true, claims: { user: MAILBOX } } });
      expect(status).toBe(250);
      await storedGrant();
      // The relay has to refresh, too: with the token that the command has stored.
      await endSessions();
      expect(await submitted()).toBe(250);
      await storedGrant();
    }
    expect(sandbox.statistics.token.refused).toBe(refused);
  });

  it('say in the list of accounts how long they live', async () => {
    const { code, stdout } = await run(['accounts', '--json']);
    expect(code).toBe(0);
    const { accounts } = JSON.parse(stdout) as { accounts: readonly object[] };
    expect(accounts[0]).toMatchObject({
      name: 'billing',
      provider: 'lab',
      grant: 'refresh_token',
      token: 'active',
      expiresAt: expect.stringMatching(/Z$/),
      refreshTokenSince: expect.stringMatching(/Z$/),
    });
  });

  it('can be set from standard input', async () => {
    const refreshToken = sandbox.mint.refreshToken(MAILBOX, { clientId: sandbox.publicClientId });
    secrets.add(refreshToken);
    expect(await run(['token', 'set', 'billing'], { input: `${refreshToken}\r\n` })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Stored.'),
    });
    expect((await storedGrant())?.refreshToken).toBe(refreshToken);
    expect((await run(['token', 'refresh', 'billing'])).stdout).toContain('a new access token came and a new refresh token');
    await storedGrant();
  });

  it.each([
    ['nothing', ''],
    ['an empty line', '\n'],
    ['two words', 'not a token\n'],
    ['a page', `<html>${'x'.repeat(100)}\n<body>\n`.replace('x', ' ')],
  ])('are not replaced by %s', async (_what, input) => {
    const before = await storedGrant();
    expect(await run(['token', 'set', 'billing'], { input })).toMatchObject({ code: 2 });
    expect(await storedGrant()).toEqual(before);
  });
});

describe('what cannot be done', () => {
  it.each([
    [['login'], 2, 'too few arguments'],
    [['login', 'billing', '--device', '--paste'], 2, 'exclude each other'],
    [['login', 'billing', '--device', '--redirect-uri', 'http://localhost/x'], 2, 'no redirect URI'],
    [['login', 'billing', '--bogus'], 2, "Unknown option '--bogus'"],
    [['login', 'bilding'], 2, 'no account named bilding'],
    [['login', 'batch'], 1, 'account batch has grant client_credentials: nobody signs in for it'],
    [['login', 'billing', '--redirect-uri', 'nonsense'], 1, 'nonsense cannot be a redirect URI'],
    [['login', 'billing', '--redirect-uri', 'nonsense'], 1, 'Give an absolute address without # or blanks'],
    [['login', 'billing', '--bogus'], 2, 'All commands and their options: postern help'],
    [['token', 'steal', 'billing'], 2, 'there is show, refresh and set'],
    [['token', 'set', 'batch'], 1, 'nobody signs in for it'],
    [['accounts', '--device'], 2, "Unknown option '--device'"],
  ])('%j is said', async (args, code, text) => {
    const finished = await run(args, { input: 'a-refresh-token\n' });
    expect(finished.code).toBe(code);
    expect(finished.stderr).toContain(text);
  });
});

it('the relay was never restarted, and no secret was written by anybody', async () => {
  const { code, stdout, stderr } = await relay.end('SIGTERM');
  expect(code).toBe(0);
  expect(stdout.match(/"event":"ready"/g)).toHaveLength(1);
  outputs.push(stdout, stderr);
  const text = outputs.join('\n');
  expect(secrets.size).toBeGreaterThan(10);
  expect(secretsIn(text, [...secrets])).toEqual([]);
  expect(challenges.size).toBeGreaterThan(5);
  expect(verifiersIn(text)).toEqual([]);
});

/** Texts that are the verifier of a challenge (RFC 7636 §4.6). */
function verifiersIn(text: string): string[] {
  const words = new Set(text.match(/[A-Za-z0-9_~.-]{43,}/g) ?? []);
  const candidates = [...words].flatMap((word) => Array.from({ length: word.length - 42 }, (_, start) => word.slice(start, start + 43)));
  return candidates.filter((candidate) => challenges.has(createHash('sha256').update(candidate).digest('base64url')));
}
