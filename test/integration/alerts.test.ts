/** The whole relay with a webhook: who is told what, how often, and what is never said. */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createLog } from '../../src/observability/log.ts';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { submit } from '../support/submit.ts';

const LOGIN = { user: 'erp', pass: 'local-pässword 1' };
const TOKEN = 'T0canary0B0canary0webhook0token';
const SIGNING = 'canary-signing-secret-0123456789';

interface Told {
  readonly event: string;
  readonly account: string;
  readonly problem?: { readonly code: string; readonly remedy: string };
  readonly was?: { readonly event: string };
}

let servers: Server[] = [];
let running: RelayOnSandbox[] = [];

afterEach(async () => {
  for (const started of running) await started.close();
  for (const server of servers) server.close();
  [servers, running] = [[], []];
});

/** A receiver that checks signatures. */
async function receive(status = 200): Promise<{ url: string; told: Told[]; requests: () => number }> {
  const told: Told[] = [];
  let requests = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      requests += 1;
      const { 'x-postern-timestamp': timestamp, 'x-postern-signature': signature } = request.headers;
      const digest = createHmac('sha256', SIGNING)
        .update(`${String(timestamp)}.${body}`)
        .digest('hex');
      const isGood = request.url === `/services/${TOKEN}` && signature === `sha256=${digest}`;
      if (isGood && status < 300) told.push(JSON.parse(body) as Told);
      response.writeHead(isGood ? status : 403).end(`received at ${request.url}`);
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/services/${TOKEN}`, told, requests: () => requests };
}

async function relay(webhook: string): Promise<RelayOnSandbox> {
  const started = await startRelayOnSandbox({ alerts: [{ webhook, secret: SIGNING }] });
  running.push(started);
  return started;
}

const submitMany = (port: number, count: number) =>
  Promise.all(Array.from({ length: count }, (_, index) => submit({ port, login: LOGIN, content: `Subject: ${index}\r\n\r\nx\r\n` })));

const eventsOf = (told: readonly Told[]): string[] => told.map(({ account, event }) => `${account} ${event}`);

describe('a refresh token that was revoked', () => {
  it('is told once, over fifty messages and two restarts; the recovery too', async () => {
    const { url, told } = await receive();
    const started = await relay(url);
    started.sandbox.mint.revokeAccessTokens();
    started.sandbox.mint.revokeRefreshTokens();
    const answers = await submitMany(started.port, 50);
    expect(new Set(answers.map(({ code }) => code))).not.toContain(250);
    await started.restart();
    expect(eventsOf(told)).toEqual(['billing reauth_required']);
    expect(told[0]).toMatchObject({ problem: { code: 'TOKEN_REAUTH_REQUIRED', heals: 'after-repair' } });
    expect(told[0]?.problem?.remedy).toContain('postern login');

    await submitMany(started.port, 5);
    await started.restart({ refreshToken: started.sandbox.mint.refreshToken('billing@sandbox.test') });
    expect(eventsOf(told)).toEqual(['billing reauth_required']);

    expect((await submitMany(started.port, 5)).map(({ code }) => code)).toEqual([250, 250, 250, 250, 250]);
    await started.restart();
    expect(eventsOf(told)).toEqual(['billing reauth_required', 'billing recovered']);
    expect(told[1]).toMatchObject({ was: { event: 'reauth_required' } });
    await submitMany(started.port, 5);
    await started.restart();
    expect(told).toHaveLength(2);
    const lines = started.log.of('alert');
    expect(lines.map(({ level, alert, account }) => `${level} ${alert} ${account}`)).toEqual([
      'warn reauth_required billing',
      'warn recovered billing',
    ]);
  });
});

describe('a mailbox that is blocked', () => {
  it('is told once, and once more when a message gets through', async () => {
    const { url, told } = await receive();
    const started = await relay(url);
    started.sandbox.faults.submission.next.push({
      stage: 'mail',
      kind: 'reply',
      reply: '550 5.1.8 Access denied, bad outbound sender',
      times: 10,
    });
    for (let count = 0; count < 10; count += 1) expect(await submit({ port: started.port, login: LOGIN })).toMatchObject({ code: 550 });
    for (let count = 0; count < 3; count += 1) expect(await submit({ port: started.port, login: LOGIN })).toMatchObject({ code: 250 });
    await started.restart();
    expect(eventsOf(told)).toEqual(['billing account_blocked', 'billing recovered']);
    expect(told[0]).toMatchObject({ problem: { code: 'UPSTREAM_BLOCKED' } });
  });
});

describe('an account in order', () => {
  it('is not talked about', async () => {
    const { url, told } = await receive();
    const started = await relay(url);
    await submit({ port: started.port, login: LOGIN });
    await started.restart();
    expect(told).toEqual([]);
    expect(readdirSync(started.stateDir)).not.toContain('alerts.json');
  });
});

describe('the token in the URL of a webhook, and its secret', () => {
  const forms = [TOKEN, SIGNING].flatMap((secret) => [
    secret,
    Buffer.from(secret).toString('base64').slice(0, 20),
    Buffer.from(secret).toString('hex'),
    encodeURIComponent(secret),
  ]);

  it.each([200, 307, 500])('are in no log line and in no file when it answers %d', async (status) => {
    const { url, requests } = await receive(status);
    const started = await relay(url);
    started.sandbox.mint.revokeAccessTokens();
    started.sandbox.mint.revokeRefreshTokens();
    await submitMany(started.port, 3);
    await started.restart();
    expect(requests()).toBeGreaterThan(0);
    const failures = started.log.of('alert-not-delivered').map(({ upstream, problem }) => `${problem?.code} ${upstream}`);
    expect(failures).toEqual(status === 200 ? [] : [`ALERT_UNDELIVERED ${new URL(url).host}`]);
    const text = JSON.stringify(started.log.lines);
    for (const form of forms) expect(text).not.toContain(form);
    const record = readFileSync(join(started.stateDir, 'alerts.json'), 'utf8');
    for (const form of forms) expect(record).not.toContain(form);
  });

  it('are cut out of whatever gets into the log otherwise, at every level', async () => {
    const { url } = await receive();
    const { scrubber } = await relay(url);
    const lines: string[] = [];
    const log = createLog({ level: 'trace', format: 'json' }, scrubber, { write: (line) => void lines.push(line) });
    for (const secret of [url, `/services/${TOKEN}`, TOKEN, SIGNING]) {
      const error = new Error(`request to ${secret} failed: ${Buffer.from(secret).toString('base64')} ${encodeURIComponent(secret)}`);
      for (const level of ['error', 'warn', 'info', 'debug', 'trace'] as const) log[level]({ event: 'x', error, file: secret }, secret);
    }
    expect(lines).toHaveLength(20);
    for (const form of forms) expect(lines.join('')).not.toContain(form);
  });
});
