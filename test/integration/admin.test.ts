/** The whole relay behind its admin port: what it says is what happens, and never a secret. */
import { execFile } from 'node:child_process';
import { unlinkSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { fetch } from 'undici';
import { METRICS } from '../../src/core/metric.ts';
import { freePort } from '../support/free-port.ts';
import { postern } from '../support/process.ts';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import { submit } from '../support/submit.ts';

const run = promisify(execFile);
const LOGIN = { user: 'erp', pass: 'local-pässword 1' };
const PASSWORD = 'canary-admin-password-0123456789';
const AUTHORIZED = { authorization: `Bearer ${PASSWORD}` };

let started: RelayOnSandbox | undefined;

afterEach(async () => {
  await started?.close();
  started = undefined;
});

interface Site {
  readonly relay: RelayOnSandbox;
  readonly url: string;
  readonly get: (path: string) => Promise<{ status: number; text: string }>;
}

async function site(changes: Parameters<typeof startRelayOnSandbox>[0] = {}): Promise<Site> {
  const port = await freePort();
  started = await startRelayOnSandbox({ ...changes, admin: { port, password: PASSWORD, ...changes.admin } });
  const url = `http://127.0.0.1:${port}`;
  const get = async (path: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(url + path, { headers: AUTHORIZED });
    return { status: response.status, text: await response.text() };
  };
  return { relay: started, url, get };
}

async function metricsOf({ get }: Site): Promise<ReadonlyMap<string, number>> {
  const { text } = await get('/metrics');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]));
}

/** A GET on the control socket. */
function askSocket({ relay }: Site, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ socketPath: join(relay.stateDir, 'control.sock'), path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve(text));
    });
    outgoing.on('error', reject).end();
  });
}

describe('the metrics', () => {
  it('count what happens, in direct mode', async () => {
    const here = await site();
    await submit({ port: here.relay.port, login: LOGIN });
    await submit({ port: here.relay.port, login: LOGIN, from: 'stranger@example.com' });
    await submit({ port: here.relay.port, login: { user: 'erp', pass: 'wrong' } }).catch(() => undefined);
    await submit({ port: here.relay.port, login: { user: 'nobody', pass: 'wrong' } }).catch(() => undefined);
    await expect.poll(async () => (await metricsOf(here)).get(`postern_sessions_total{listener="127.0.0.1:${here.relay.port}"}`)).toBe(4);
    const metrics = await metricsOf(here);
    const listener = `listener="127.0.0.1:${here.relay.port}"`;
    expect(metrics.get('postern_messages_total{account="billing",outcome="relayed"}')).toBe(1);
    expect(metrics.get('postern_recipients_relayed_total{account="billing"}')).toBe(1);
    expect(metrics.get('postern_answers_total{client="erp",answer="accepted"}')).toBe(1);
    expect(metrics.get('postern_accept_seconds_count{client="erp"}')).toBe(1);
    expect(metrics.get('postern_relay_seconds_count{account="billing"}')).toBe(1);
    expect(metrics.get('postern_token_requests_total{account="billing",result="obtained"}')).toBe(1);
    expect(metrics.get('postern_upstream_sign_in_seconds_count{account="billing"}')).toBe(1);
    expect(metrics.get(`postern_refusals_total{${listener},code="SENDER_NOT_ALLOWED"}`)).toBe(1);
    expect(metrics.get(`postern_auth_failures_total{${listener},reason="password"}`)).toBe(1);
    expect(metrics.get(`postern_auth_failures_total{${listener},reason="unknown"}`)).toBe(1);
    expect(metrics.get('postern_upstream_connections{account="billing"}')).toBe(1);
    expect(metrics.get('postern_token_state{account="billing",state="active"}')).toBe(1);
    expect(metrics.get('postern_account_state{account="billing",state="open"}')).toBe(1);
    expect(metrics.get('postern_pace_recipients_left{account="billing"}')).toBe(9999);
    expect(metrics.get('postern_secret_expires_seconds{account="billing",secret="refresh-token"}')).toBeGreaterThan(80 * 86_400);
  });

  it('show what waits while the provider is away', async () => {
    const here = await site({ mode: 'queue', smtp: { port: await freePort() } });
    await submit({ port: here.relay.port, login: LOGIN });
    await expect.poll(async () => (await metricsOf(here)).get('postern_messages_total{account="billing",outcome="deferred"}')).toBe(1);
    const metrics = await metricsOf(here);
    expect(metrics.get('postern_messages_total{account="billing",outcome="queued"}')).toBe(1);
    expect(metrics.get('postern_queue_messages{account="billing",state="waiting"}')).toBe(1);
    expect(metrics.get('postern_queue_oldest_seconds{account="billing"}')).toBeGreaterThan(0);
    expect(metrics.get('postern_queue_bytes')).toBeGreaterThan(0);
    expect(metrics.get('postern_queue_limit_bytes')).toBe(10 * 1024 ** 3);
    expect(metrics.get('postern_account_state{account="billing",state="backing-off"}')).toBe(1);
  });

  it('are all fed', async () => {
    const rule = { account: 'billing', from: 'all', to: { maildir: './mail' } };
    const here = await site({ fetch: [rule, { ...rule, name: 'nowhere', mailbox: 'Nowhere' }] });
    await submit({ port: here.relay.port, login: LOGIN });
    await submit({ port: here.relay.port, login: LOGIN, from: 'stranger@example.com' });
    await submit({ port: here.relay.port, login: LOGIN, to: 'billing@sandbox.test' });
    for (const event of ['message-fetched', 'fetch-failed']) {
      await expect.poll(() => here.relay.log.of(event).length, { timeout: 20_000 }).toBeGreaterThan(0);
    }
    const { text } = await here.get('/metrics');
    const fed = new Set([...text.matchAll(/^([a-z_]+)(?:\{[^}]*\})? /gm)].map(([, name = '']) => name.replace(/_(bucket|sum|count)$/, '')));
    // Nothing opens mailbox sessions yet; nothing has been refused upstream.
    const notYet = ['postern_mailbox_sessions'];
    expect(Object.keys(METRICS).filter((name) => !fed.has(name) && !notYet.includes(name))).toEqual([]);
  });
});

describe('the API', () => {
  it('says how accounts, clients and listeners are', async () => {
    const here = await site();
    await submit({ port: here.relay.port, login: LOGIN });
    expect(JSON.parse((await here.get('/api/v1/status')).text)).toMatchObject({
      isReady: true,
      reasons: [],
      listeners: [{ name: `127.0.0.1:${here.relay.port}`, protocol: 'smtp', isOpen: true }],
      accounts: { total: 1, open: 1 },
      queue: { messages: 0, held: 0 },
    });
    expect(JSON.parse((await here.get('/api/v1/accounts/billing')).text)).toMatchObject({
      name: 'billing',
      mailbox: 'billing@sandbox.test',
      grant: 'refresh_token',
      delivery: 'direct',
      state: 'open',
      token: { state: 'active', expiresAt: expect.stringMatching(/^20.*Z$/) },
      connections: { open: 1 },
      secrets: [{ secret: 'refresh-token' }],
    });
    const clients = JSON.parse((await here.get('/api/v1/clients')).text) as { items: unknown[] };
    expect(clients.items).toMatchObject([
      { name: 'erp', username: 'erp', hasPassword: true, account: 'billing' },
      { name: 'printers', hasPassword: false, networks: ['127.0.0.2/32'] },
      { name: 'scanners', onOtherSender: 'rewrite' },
    ]);
    const before = (JSON.parse((await here.get('/api/v1/accounts/billing')).text) as { token: { obtainedAt: string } }).token.obtainedAt;
    const refreshed = await fetch(`${here.url}/api/v1/accounts/billing/refresh`, { method: 'POST', headers: AUTHORIZED });
    expect([refreshed.status, Object.keys((await refreshed.json()) as object)]).toEqual([200, ['expiresAt']]);
    const after = (JSON.parse((await here.get('/api/v1/accounts/billing')).text) as { token: { obtainedAt: string } }).token.obtainedAt;
    expect(after > before).toBe(true);
  });

  it('shows what keeps an account from its tokens, with the remedy', async () => {
    const here = await site({ auth: { refreshToken: 'a-refresh-token-of-nobody' } });
    await expect
      .poll(async () => JSON.parse((await here.get('/api/v1/accounts/billing')).text) as object, { timeout: 5000 })
      .toMatchObject({ token: { problem: { code: expect.stringMatching(/^TOKEN_/), remedy: expect.stringMatching(/\w/) } } });
  });

  it('is the same on the control socket', async () => {
    const here = await site();
    // The first token is on its way: what is asked twice must be the same both times.
    await expect.poll(async () => (await here.get('/api/v1/accounts')).text, { timeout: 20_000 }).toContain('"active"');
    for (const path of ['/readyz', '/api/v1/accounts', '/api/v1/clients', '/api/v1/queue']) {
      expect(JSON.parse(await askSocket(here, path))).toEqual(JSON.parse((await here.get(path)).text));
    }
    expect(await askSocket(here, '/metrics')).toContain('postern_build_info');
  });

  it('is not there without an admin section', async () => {
    started = await startRelayOnSandbox();
    expect(started.log.lines.filter(({ message }) => message.includes('admin port'))).toEqual([]);
  });
});

describe('postern health', () => {
  it('asks listeners and the relay itself, and goes by the listeners where there is no control socket', async () => {
    const here = await site();
    const health = () => postern(['health', '--json', '--config', join(here.relay.folder, 'postern.yaml')]).end();
    const listener = `127.0.0.1:${here.relay.port}`;
    const well = await health();
    expect([well.code, JSON.parse(well.stdout)]).toEqual([0, { ok: true, listeners: [{ listener }], reasons: [] }]);
    unlinkSync(join(here.relay.stateDir, 'control.sock'));
    expect((await health()).code).toBe(0);
  });

  it('fails while the relay stops, and says why', async () => {
    const here = await site();
    const talk = new SmtpTalk(connect({ host: '127.0.0.1', port: here.relay.port, localAddress: '127.0.0.2' }));
    await talk.reply();
    await talk.ask('EHLO printer');
    await talk.ask('MAIL FROM:<billing@sandbox.test>');
    const restarted = here.relay.restart();
    await expect.poll(async () => (await here.get('/readyz').catch(() => undefined))?.status).toBe(503);
    const ill = await postern(['health', '--config', join(here.relay.folder, 'postern.yaml')]).end();
    await talk.ask('QUIT');
    await restarted;
    expect([ill.code, ill.stdout]).toEqual([1, expect.stringContaining('not ready: Postern is stopping')]);
  });
});

describe('curl', () => {
  const curl = async (...args: string[]): Promise<string> => (await run('curl', ['-sS', '-m', '10', ...args])).stdout;

  it('reads status and metrics with a password, and is refused without', async () => {
    const { url } = await site();
    expect(JSON.parse(await curl('--user', `admin:${PASSWORD}`, `${url}/api/v1/status`))).toMatchObject({ isReady: true });
    expect(await curl('--user', `prometheus:${PASSWORD}`, `${url}/metrics`)).toMatch(/^# HELP postern_/);
    expect(await curl('-o', '/dev/null', '-w', '%{http_code} %{content_type}', `${url}/metrics`)).toBe('401 application/problem+json');
    expect(await curl(`${url}/readyz`)).toBe('{"status":"ready","reasons":[]}\n');
  });

  it('is refused for another name, another site and a form', async () => {
    const { url } = await site();
    const status = ['-o', '/dev/null', '-w', '%{http_code}', '--user', `admin:${PASSWORD}`];
    expect(await curl(...status, '-H', 'Host: evil.example', `${url}/api/v1/status`)).toBe('421');
    expect(await curl(...status, '-H', 'Origin: http://evil.example', `${url}/api/v1/status`)).toBe('403');
    expect(await curl(...status, '-d', 'ids=1', `${url}/api/v1/queue/drop`)).toBe('415');
    expect(await curl(...status, '--path-as-is', `${url}/api/v1/../../etc/passwd`)).toBe('404');
    expect(await curl(...status, '--json', '{"ids":["Q000000000000001"]}', `${url}/api/v1/queue/drop`)).toBe('200');
  });
});

describe('secrets', () => {
  const encodings = (secret: string): string[] => {
    const octets = Buffer.from(secret);
    return [
      secret,
      octets.toString('base64').slice(0, 20),
      octets.toString('hex'),
      encodeURIComponent(secret),
      JSON.stringify(secret).slice(1, -1),
    ];
  };

  it('are in no answer, whatever is asked, and in no line of the log about it', async () => {
    const here = await site();
    await submit({ port: here.relay.port, login: LOGIN });
    const paths = ['/metrics', '/healthz', '/readyz', '/api/v1/status', '/api/v1/accounts', '/api/v1/accounts/billing', '/api/v1/clients'];
    const answers = await Promise.all(
      [...paths, '/api/v1/queue', '/api/v1/openapi.json', '/api/v1/session', `/api/v1/${PASSWORD}`].map(async (path) => here.get(path)),
    );
    await fetch(`${here.url}/metrics`, { headers: { authorization: 'Bearer canary-wrong-password' } });
    const text = answers.map((answer) => answer.text).join('\n') + JSON.stringify(here.relay.log.of('admin-login-refused'));
    expect(answers.map(({ status }) => status).slice(0, -1)).toEqual(answers.slice(0, -1).map(() => 200));
    const secrets = [...here.relay.secrets, PASSWORD, 'canary-wrong-password'];
    for (const secret of secrets) for (const form of encodings(secret)) expect(text).not.toContain(form);
  });
});

it('is not ready once it stops, and says so while a transaction comes to its end', async () => {
  const here = await site();
  const talk = new SmtpTalk(connect({ host: '127.0.0.1', port: here.relay.port, localAddress: '127.0.0.2' }));
  await talk.reply();
  await talk.ask('EHLO printer');
  expect(await talk.ask('MAIL FROM:<billing@sandbox.test>')).toMatch(/^250 /);
  const restarted = here.relay.restart();
  await expect
    .poll(async () => here.get('/readyz').catch(() => undefined))
    .toMatchObject({
      status: 503,
      text: expect.stringContaining('Postern is stopping'),
    });
  expect((await here.get('/healthz')).status).toBe(200);
  await talk.ask('QUIT');
  await restarted;
  expect((await here.get('/readyz')).status).toBe(200);
});
