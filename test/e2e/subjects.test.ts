/**
 * Subjects of messages, and a search for them in everything that Postern says and writes: the API's list of messages is the only place where they stand, and they do
 * not stand there either where they are not wanted.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SeenMessage } from '../../src/core/ports/activity.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { postern, type RunningProcess } from '../support/process.ts';
import { submit } from '../support/submit.ts';

const PASSWORD = 'local-pässword 1';
const MODES = ['direct', 'auto', 'queue'] as const;
const SOON = { timeout: 20_000 };

let folder: string;
let sandbox: Sandbox;
let collector: OtlpReceiver;
let hook: Server;
const alerts: string[] = [];
let relay: RunningProcess;
let ports: { readonly smtp: number; readonly admin: number };

const file = (name: string): string => join(folder, name);
const url = (path: string): string => `http://127.0.0.1:${ports.admin}/api/v1${path}`;
const read = async (path: string): Promise<string> => (await fetch(url(path))).text();

/** What stands in the field, and what a person reads there; in the file of a queued message there is the former only. */
const subjectOf = (name: string): string => `Kündigung canary-subject ${name}`;
const encodedWord = (subject: string): string => `=?utf-8?B?${Buffer.from(subject).toString('base64')}?=`;

async function send(mode: string, name: string, from = 'billing@sandbox.test', author = 'billing@sandbox.test'): Promise<number> {
  const content = `From: ${author}\r\nSubject: ${encodedWord(subjectOf(name))}\r\n\r\nbody\r\n`;
  return (await submit({ port: ports.smtp, login: { user: mode, pass: PASSWORD }, from, content })).code;
}

async function messages(query: Readonly<Record<string, string>> = {}): Promise<readonly SeenMessage[]> {
  const text = await read(`/messages?${new URLSearchParams(query).toString()}`);
  return (JSON.parse(text) as { items: SeenMessage[] }).items;
}

const subjects = async (query: Readonly<Record<string, string>> = {}): Promise<string[]> =>
  (await messages(query)).flatMap(({ subject }) => (subject === undefined ? [] : [subject])).sort();

function configure(admin: object = {}): void {
  const { tenant, clientId, clientSecret } = sandbox;
  const grant = { grant: 'refresh_token', tenant, clientId, clientSecret };
  const document = {
    listeners: { smtp: [{ host: '127.0.0.1', port: ports.smtp }] },
    admin: { host: '127.0.0.1', port: ports.admin, ...admin },
    state: { dir: './var' },
    providers: { lab: { extends: 'sandbox', tokenUrl: sandbox.tokenUrl, smtp: { ...sandbox.smtp, tls: 'starttls' }, caFile: './ca.pem' } },
    accounts: MODES.map((name) => ({
      name,
      provider: 'lab',
      mailbox: 'billing@sandbox.test',
      delivery: name,
      auth: { ...grant, refreshToken: '${file:./seed}' },
    })),
    clients: MODES.map((name) => ({ name, username: name, password: PASSWORD, account: name })),
    alerts: [{ webhook: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`, events: ['dead_letter'] }],
    log: { level: 'trace', format: 'json' },
  };
  writeFileSync(file('postern.yaml'), JSON.stringify(document), { mode: 0o600 });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-subjects-'));
  mkdirSync(file('sandbox'));
  sandbox = await startSandbox({
    clock: systemClock,
    random: systemRandom,
    log: new MemoryLog(),
    stateDir: file('sandbox'),
    ports: { http: 0, smtp: 0 },
  });
  sandbox.faults.submission.messagesPerMinute = 0;
  hook = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (part: string) => (body += part));
    request.on('end', () => {
      alerts.push(body);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => void hook.listen(0, '127.0.0.1', resolve));
  collector = await startOtlpReceiver();
  ports = { smtp: await freePort(), admin: await freePort() };
  writeFileSync(file('ca.pem'), sandbox.caPem);
  writeFileSync(file('seed'), sandbox.mint.refreshToken('billing@sandbox.test'), { mode: 0o600 });
  configure();
  relay = postern(['serve', '--config', file('postern.yaml')], { env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint } });
  await relay.until(/"event":"ready"/);
});

afterAll(async () => {
  relay.child.kill('SIGKILL');
  await relay.end();
  await sandbox.close();
  await collector.close();
  hook.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('subjects', () => {
  it('are in the list of messages, whatever became of those, and are searched for', async () => {
    for (const client of MODES) {
      const asked = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ client }) };
      expect((await fetch(url('/traces'), asked)).status).toBe(200);
    }
    for (const mode of MODES) expect(await send(mode, mode)).toBe(250);
    await expect.poll(async () => (await messages({ outcome: 'relayed' })).length, SOON).toBe(3);
    expect(await send('direct', 'of a stranger', 'billing@sandbox.test', 'stranger@sandbox.test')).toBe(550);
    sandbox.faults.submission.next = [{ stage: 'content', kind: 'reply', reply: '554 5.7.1 No', times: 1 }];
    expect(await send('direct', 'refused')).toBe(554);
    sandbox.faults.submission.next = [{ stage: 'rcpt', kind: 'reply', reply: '550 5.1.1 No such user', times: 1 }];
    expect(await send('queue', 'dead', '')).toBe(250);
    await expect.poll(async () => (await messages({ outcome: 'dead-letter' })).length, SOON).toBe(1);

    expect(await subjects()).toEqual(['auto', 'dead', 'direct', 'of a stranger', 'queue', 'refused'].map(subjectOf));
    expect(await subjects({ outcome: 'refused' })).toEqual(['of a stranger', 'refused'].map(subjectOf));
    expect(await subjects({ subject: 'CANARY-SUBJECT AUTO' })).toEqual([subjectOf('auto')]);
    expect(await subjects({ text: 'kündigung', outcome: 'relayed' })).toEqual(MODES.map(subjectOf).sort());
    expect(await subjects({ subject: 'queue', client: 'auto' })).toEqual([]);
    const [dead] = await messages({ subject: 'dead' });
    expect(JSON.parse(await read(`/messages/${dead?.queueId}`))).toMatchObject({ outcome: 'dead-letter', subject: subjectOf('dead') });
    expect((await fetch(url(`/messages?subject=${'x'.repeat(201)}`))).status).toBe(400);
  }, 60_000);

  it('are nowhere else: log at trace level, traces, spans, metrics, alerts, other answers, files', async () => {
    await expect.poll(() => alerts.length, SOON).toBe(1);
    await expect.poll(() => collector.spans.filter(({ name }) => name === 'relay').length, SOON).toBeGreaterThan(3);
    const traces = (JSON.parse(await read('/traces')) as { items: { id: string }[] }).items;
    const paths = ['/status', '/accounts', '/clients', '/queue', '/callers', '/rates', '/log?level=debug&limit=1000', '/traces'];
    const said: [string, string][] = [
      ['log', relay.stdout + relay.stderr],
      ['alerts', alerts.join('\n')],
      ['spans', collector.bodies.join('\n')],
      ['metrics', await (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text()],
    ];
    for (const path of [...paths, ...traces.map(({ id }) => `/traces/${id}`)]) said.push([path, await read(path)]);
    const state = readdirSync(file('var'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const files = state.map((entry): [string, string] => [entry.name, readFileSync(join(entry.parentPath, entry.name), 'latin1')]);

    const holding = (texts: readonly (readonly [string, string])[], wanted: string): string[] =>
      texts.filter(([, text]) => text.includes(wanted)).map(([where]) => where);
    // The search would find them: as a text where they may be, encoded where their message is.
    expect(holding([['messages', await read('/messages')]], 'canary-subject')).toEqual(['messages']);
    expect(holding(files, encodedWord(subjectOf('dead')))).toHaveLength(1);
    expect(traces).toHaveLength(3);
    for (const [where, text] of said) expect(text.length, where).toBeGreaterThan(50);
    expect(relay.stdout).toContain('"level":"trace"');

    expect([...holding(said, 'canary-subject'), ...holding(files, 'canary-subject')]).toEqual([]);
    for (const name of [...MODES, 'of a stranger', 'refused', 'dead']) expect(holding(said, encodedWord(subjectOf(name)))).toEqual([]);
    for (const name of ['direct', 'auto', 'of a stranger', 'refused']) expect(holding(files, encodedWord(subjectOf(name)))).toEqual([]);
  });

  it('are forgotten where they are not wanted, and no new ones are kept', async () => {
    configure({ subjects: false });
    await relay.until(/"event":"config-reloaded"/);
    expect(await subjects()).toEqual([]);
    expect(await send('auto', 'unwanted')).toBe(250);
    await expect.poll(async () => (await messages({ outcome: 'relayed' })).length, SOON).toBe(4);
    expect(await subjects()).toEqual([]);
    expect(await messages({ subject: 'canary' })).toEqual([]);
  });
});
