/** A running relay whose configuration changes under it. */
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ConfigurationView, StatusView } from '../../src/core/ports/relay-view.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { ask } from '../support/admin-stage.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { postern, type RunningProcess } from '../support/process.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import { submit } from '../support/submit.ts';
import { createTestAuthority } from '../support/test-ca.ts';

const LOGIN = { user: 'erp', pass: 'local-password' };
const authority = createTestAuthority();

let folder: string;
let sandbox: Sandbox;
let relay: RunningProcess;
let ports: { readonly plain: number; readonly tls: number; readonly third: number; readonly admin: number };

type Document = Record<string, unknown>;

const file = (name: string): string => join(folder, name);

/** Written as careful programs do: a new file, renamed into place. */
function put(name: string, text: string): void {
  writeFileSync(file(`${name}.new`), text, { mode: 0o600 });
  renameSync(file(`${name}.new`), file(name));
}

function account(name: string, changes: object = {}) {
  const auth = {
    grant: 'refresh_token',
    tenant: sandbox.tenant,
    clientId: sandbox.clientId,
    clientSecret: '${file:secrets/client-secret}',
    refreshToken: `\${file:${name}.seed}`,
  };
  return { name, provider: 'lab', mailbox: `${name}@sandbox.test`, delivery: 'direct', auth, ...changes };
}

function documentWith(changes: Document = {}): Document {
  return {
    listeners: {
      smtp: [
        { host: '127.0.0.1', port: ports.plain },
        { host: '127.0.0.1', port: ports.tls, tls: 'implicit', cert: 'server.pem', key: 'server.key' },
      ],
    },
    state: { dir: './var' },
    providers: {
      lab: {
        extends: 'sandbox',
        tokenUrl: sandbox.tokenUrl,
        smtp: { ...sandbox.smtp, tls: 'starttls' },
        caFile: './ca.pem',
        limits: { messagesPerMinute: 100_000 },
      },
    },
    accounts: [account('billing')],
    clients: [{ name: 'erp', username: LOGIN.user, password: LOGIN.pass, account: 'billing' }],
    log: { level: 'info', format: 'json' },
    admin: { port: ports.admin },
    ...changes,
  };
}

const configure = (changes: Document = {}): void => put('postern.yaml', JSON.stringify(documentWith(changes)));

function publishCertificate(): void {
  const { certPem, keyPem } = authority.issue({ hosts: ['127.0.0.1', 'localhost'] });
  // One after the other, as a certificate manager does: for a moment they do not belong together.
  put('server.key', keyPem);
  put('server.pem', certPem);
}

/** Of the certificate at a port. */
const serial = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, ca: authority.caPem }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });

/** What the API answers: 200, 401. */
async function statusOf(port: number, password?: string, cookie?: string): Promise<number> {
  const headers = {
    ...(password === undefined ? {} : { authorization: `Bearer ${password}` }),
    ...(cookie === undefined ? {} : { cookie }),
  };
  return (await ask({ port }, 'GET', '/api/v1/status', headers)).status;
}

async function signIn(port: number, password: string): Promise<string> {
  const type = { 'content-type': 'application/json' };
  const { headers } = await ask({ port }, 'POST', '/api/v1/session', type, JSON.stringify({ password }));
  return (headers['set-cookie']?.[0] ?? '').split(';')[0] ?? '';
}

/** As Kubernetes mounts a Secret. */
let mounted = 0;
function mountSecret(clientSecret: string): void {
  mounted += 1;
  mkdirSync(file(`secrets/..v${mounted}`), { recursive: true });
  writeFileSync(file(`secrets/..v${mounted}/client-secret`), clientSecret, { mode: 0o600 });
  symlinkSync(`..v${mounted}`, file('secrets/..next'));
  renameSync(file('secrets/..next'), file('secrets/..data'));
  if (mounted === 1) symlinkSync('..data/client-secret', file('secrets/client-secret'));
}

/** How often something has been logged so far. */
const times = (event: string): number => relay.stdout.split(`"event":"${event}"`).length - 1;

async function logged(event: string, count: number): Promise<void> {
  while (times(event) < count) {
    if (relay.child.exitCode !== null) throw new Error(`ended:\n${relay.stdout}${relay.stderr}`);
    await sleep(10);
  }
}

/** Do something, and wait for what it leads to. */
async function until(event: string, action: () => void): Promise<void> {
  const before = times(event);
  action();
  await logged(event, before + 1);
}

const seed = (name: string): string => sandbox.mint.refreshToken(`${name}@sandbox.test`);

const send = (changes: Partial<Parameters<typeof submit>[0]> = {}) => submit({ port: ports.plain, login: LOGIN, ...changes });

const admin = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${ports.admin}${path}`);

async function configuration(): Promise<ConfigurationView> {
  return ((await (await admin('/api/v1/status')).json()) as StatusView).configuration;
}

async function metric(name: string): Promise<number> {
  const text = await (await admin('/metrics')).text();
  return Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1]);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-reload-'));
  sandbox = await startSandbox({
    clock: systemClock,
    random: systemRandom,
    log: new MemoryLog(),
    stateDir: file('sandbox'),
    ports: { http: 0, smtp: 0 },
  });
  sandbox.faults.submission.messagesPerMinute = 0;
  ports = { plain: await freePort(), tls: await freePort(), third: await freePort(), admin: await freePort() };
  writeFileSync(file('ca.pem'), sandbox.caPem);
  mountSecret(sandbox.clientSecret);
  put('billing.seed', seed('billing'));
  put('relay.seed', seed('relay'));
  publishCertificate();
  configure();
  relay = postern(['serve', '--config', file('postern.yaml')]);
  await relay.until(/"event":"ready"/);
});

afterAll(async () => {
  expect((await relay.end('SIGTERM')).code).toBe(0);
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('what can be used is used', () => {
  beforeEach(async () => {
    configure();
    await sleep(0);
  });

  it('an account and its client are added, change and go', async () => {
    const sales = { accounts: [account('billing'), account('relay')] };
    const client = { name: 'crm', username: 'crm', password: 'secret-1', account: 'relay' };
    const erp = { name: 'erp', username: LOGIN.user, password: LOGIN.pass, account: 'billing' };
    const login = { user: 'crm', pass: 'secret-1' };
    await until('config-reloaded', () => configure({ ...sales, clients: [erp, client] }));
    expect(await send({ login, from: 'relay@sandbox.test' })).toMatchObject({ code: 250 });
    await until('config-reloaded', () => configure({ ...sales, clients: [erp, { ...client, password: 'secret-2' }] }));
    expect(await send({ login, from: 'relay@sandbox.test' })).toMatchObject({ code: 535 });
    expect(await send({ login: { ...login, pass: 'secret-2' }, from: 'relay@sandbox.test' })).toMatchObject({ code: 250 });
    await until('config-reloaded', () => configure());
    expect(await send({ login: { ...login, pass: 'secret-2' } })).toMatchObject({ code: 535 });
    expect(await send()).toMatchObject({ code: 250 });
  });

  it('a session that is open goes on, until its login is no longer good', async () => {
    const talk = SmtpTalk.plain(ports.plain);
    expect(await talk.reply()).toMatch(/^220 /);
    await talk.ask('EHLO app');
    expect(await talk.ask(`AUTH PLAIN ${Buffer.from(`\0${LOGIN.user}\0${LOGIN.pass}`).toString('base64')}`)).toMatch(/^235 /);
    expect(await talk.ask('MAIL FROM:<billing@sandbox.test>')).toMatch(/^250 /);
    const erp = { name: 'erp', username: LOGIN.user, account: 'billing' };
    await until('config-reloaded', () => configure({ clients: [{ ...erp, password: LOGIN.pass, rate: { messagesPerMinute: 1000 } }] }));
    expect(await talk.ask('RSET')).toMatch(/^250 /);
    expect(await talk.ask('MAIL FROM:<billing@sandbox.test>')).toMatch(/^250 /);
    await talk.ask('RSET');
    await until('config-reloaded', () => configure({ clients: [{ ...erp, password: 'another' }] }));
    expect(await talk.ask('MAIL FROM:<billing@sandbox.test>')).toMatch(/^421 4\.7\.0 .*log in again/);
    expect(await talk.reply()).toBe('closed');
    await until('config-reloaded', () => configure());
  });

  it('a refresh token that was rotated elsewhere, and a client secret, are used at once', async () => {
    sandbox.mint.revokeRefreshTokens('billing@sandbox.test');
    sandbox.mint.revokeAccessTokens();
    await until('token-failed', () => put('billing.seed', 'no-such-token'));
    await until('token-obtained', () => put('billing.seed', seed('billing')));
    expect(await send()).toMatchObject({ code: 250 });
    await until('token-failed', () => mountSecret('wrong-secret'));
    await until('token-obtained', () => mountSecret(sandbox.clientSecret));
    expect(await send()).toMatchObject({ code: 250 });
  });

  it('a port is opened and closed, and the others stay', async () => {
    const smtp = [
      { host: '127.0.0.1', port: ports.plain },
      { host: '127.0.0.1', port: ports.third },
    ];
    const idle = SmtpTalk.plain(ports.plain);
    expect(await idle.reply()).toMatch(/^220 /);
    await until('config-reloaded', () => configure({ listeners: { smtp } }));
    expect(await send({ port: ports.third })).toMatchObject({ code: 250 });
    await expect(send({ port: ports.tls })).rejects.toThrow(/ECONNREFUSED/);
    await until('config-reloaded', () => configure());
    await expect(send({ port: ports.third })).rejects.toThrow(/ECONNREFUSED/);
    expect(await idle.ask('NOOP')).toMatch(/^250 /);
    idle.socket.destroy();
  });

  it('a renewed certificate serves new connections', async () => {
    const before = await serial(ports.tls);
    await until('certificate-renewed', publishCertificate);
    expect(await serial(ports.tls)).not.toBe(before);
  });

  it('the admin port closes, opens, asks for a password, moves, speaks TLS, and renews its certificate', async () => {
    const place = { host: '127.0.0.1', port: ports.admin };
    await until('config-reloaded', () => configure({ admin: undefined }));
    await expect(statusOf(place.port)).rejects.toThrow(/ECONNREFUSED/);
    await until('config-reloaded', () => configure({ admin: { ...place, password: 'first-password' } }));
    expect([await statusOf(place.port), await statusOf(place.port, 'first-password')]).toEqual([401, 200]);
    const cookie = await signIn(place.port, 'first-password');
    expect(await statusOf(place.port, undefined, cookie)).toBe(200);
    await until('config-reloaded', () => configure({ admin: { ...place, password: 'second-password' } }));
    expect(await statusOf(place.port, 'second-password')).toBe(200);
    expect([await statusOf(place.port, 'first-password'), await statusOf(place.port, undefined, cookie)]).toEqual([401, 401]);
    await until('config-reloaded', () => configure({ admin: { ...place, port: ports.third } }));
    expect(await statusOf(ports.third)).toBe(200);
    await expect(statusOf(place.port)).rejects.toThrow(/ECONNREFUSED/);
    await until('config-reloaded', () => configure({ admin: { ...place, tls: 'implicit', cert: 'server.pem', key: 'server.key' } }));
    const before = await serial(place.port);
    await until('config-reloaded', publishCertificate);
    expect(await serial(place.port)).not.toBe(before);
    await until('config-reloaded', () => configure());
    expect(await statusOf(place.port)).toBe(200);
    expect(times('config-needs-restart')).toBe(0);
  });

  it('an admin port that cannot be opened leaves the one that is there, until it can', async () => {
    const other = await openPort();
    await until('listener-failed', () => configure({ admin: { host: '127.0.0.1', port: other.port } }));
    expect(await statusOf(ports.admin)).toBe(200);
    await other.close();
    relay.child.kill('SIGHUP');
    await expect.poll(() => statusOf(other.port).catch(() => 'closed'), { timeout: 20_000 }).toBe(200);
    await expect(statusOf(ports.admin)).rejects.toThrow(/ECONNREFUSED/);
    await until('config-reloaded', () => configure());
    expect(await statusOf(ports.admin)).toBe(200);
  });

  it('the level of the log follows', async () => {
    await until('config-reloaded', () => configure({ log: { level: 'debug', format: 'json' } }));
    const before = times('command-refused');
    const talk = SmtpTalk.plain(ports.plain);
    await talk.reply();
    await talk.ask('NONSENSE');
    talk.socket.destroy();
    await logged('command-refused', before + 1);
    await until('config-reloaded', () => configure());
  });
});

describe('X03 what cannot be used changes nothing', () => {
  const good = (): void => configure();

  it.each<[string, () => void, RegExp]>([
    ['half written', () => put('postern.yaml', '{"accounts": [{"name": "bil'), /postern\.yaml: /],
    ['with an unknown key', () => configure({ acounts: [] }), /did you mean accounts/],
    ['empty', () => put('postern.yaml', ''), /none is left/],
    ['gone', () => unlinkSync(file('postern.yaml')), /there is no such file/],
    [
      'a link that leads nowhere',
      () => {
        rmSync(file('postern.yaml'));
        symlinkSync('nowhere', file('postern.yaml'));
      },
      /there is no such file/,
    ],
    ['writable by everybody', () => chmodSync(file('postern.yaml'), 0o666), /may be written by everybody/],
    ['with a secret file that is empty', () => put('billing.seed', ''), /billing\.seed is empty/],
    ['with a secret file that is gone', () => unlinkSync(file('billing.seed')), /cannot read .*billing\.seed/],
    [
      'with a key that does not belong to its certificate',
      () => put('server.key', authority.issue({ hosts: ['x'] }).keyPem),
      /do not belong/,
    ],
  ])('%s', async (_, spoil, why) => {
    const seedText = seed('billing');
    const size = relay.stdout.length;
    await until('config-rejected', spoil);
    const line = relay.stdout
      .slice(size)
      .split('\n')
      .find((text) => text.includes('"event":"config-rejected"'));
    const { problem: code, cause, remedy } = JSON.parse(line ?? '{}') as Record<string, string>;
    expect(code).toBe('CONFIG_REJECTED');
    expect(cause).toMatch(why);
    expect(remedy).toMatch(/postern check/);
    expect(await send()).toMatchObject({ code: 250 });
    const { reloads, problem } = await configuration();
    expect(problem).toMatchObject({ code: 'CONFIG_REJECTED', cause });
    expect(await metric('postern_config_in_use')).toBe(0);
    // And it heals without a restart.
    const before = times('config-restored') + times('config-reloaded');
    rmSync(file('postern.yaml'), { force: true });
    put('billing.seed', seedText);
    publishCertificate();
    good();
    while (times('config-restored') + times('config-reloaded') === before) await sleep(10);
    expect(await send()).toMatchObject({ code: 250 });
    const healed = await configuration();
    expect(healed.problem).toBeUndefined();
    expect(healed.reloads).toBeGreaterThanOrEqual(reloads);
    expect(await metric('postern_config_in_use')).toBe(1);
  });

  it('a port that somebody else has, until it is free', async () => {
    const other = await openPort();
    const smtp = [
      { host: '127.0.0.1', port: ports.plain },
      { host: '127.0.0.1', port: other.port },
    ];
    await until('listener-failed', () => configure({ listeners: { smtp } }));
    expect(await send()).toMatchObject({ code: 250 });
    await other.close();
    await until('listener-opened', () => void relay.child.kill('SIGHUP'));
    expect(await send({ port: other.port })).toMatchObject({ code: 250 });
    await until('config-reloaded', good);
  });

  it('says what waits for a restart', async () => {
    await until('config-needs-restart', () => configure({ state: { dir: './elsewhere' } }));
    expect(relay.stdout).toMatch(/"problem":"CONFIG_NEEDS_RESTART","cause":"changed, and not in use before a restart: state\.dir/);
    await until('config-reloaded', good);
  });
});

async function openPort(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const { createServer } = await import('node:net');
  const server = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
  return { port, close: () => new Promise((resolve) => void server.close(() => resolve())) };
}
