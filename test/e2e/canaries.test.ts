/**
 * Secrets that stand in every place that a secret can stand in, and a search for them in everything that Postern says: the log at trace level, replies, what
 * commands print, the API, the metrics, the process list, what it writes to disk, and the end of a process that crashes.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { secretTraces } from '../../src/core/secret-traces.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { freePort } from '../support/free-port.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { type Finished, postern, type RunningProcess } from '../support/process.ts';
import { applicationCertificate, encryptedKey } from '../support/signing.ts';
import { submit } from '../support/submit.ts';

/** With every kind of character that some encoding writes differently. */
const canary = (name: string): string => `canary-${name}/ä"\\&%+=?~ok`;

const CANARIES = {
  client: canary('client-password'),
  wrong: canary('wrong-password'),
  passphrase: canary('passphrase'),
  upstream: canary('upstream-password'),
  wrongSecret: 'canary~wrong-client.secret-0123456789',
  seed: `1.sandbox.${'canary'.repeat(12)}`,
  command: `command-token-${'canary'.repeat(8)}`,
  hook: canary('webhook-secret'),
  hookPath: 'canary-webhook-path-0123456789',
  admin: canary('admin-password'),
  collector: 'canary-collector-key/"\\&%+=?~ok',
};

/** What the sandbox gives out, known by its form: access tokens, refresh tokens, and the SASL string of XOAUTH2 in base64. */
const FORMS: readonly RegExp[] = [
  /eyJ[\w-]{20,}\.[\w-]{20,}/,
  /1\.sandbox\.[\w-]{40,}/,
  /dXNlcj[0-9A-Za-z+/]{20,}/,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
];

let folder: string;
let sandbox: Sandbox;
let collector: OtlpReceiver;
let relay: RunningProcess;
let hook: ReturnType<typeof createServer>;
let ports: { readonly smtp: number; readonly admin: number };
const secrets: string[] = [];
/** Everything that was said, by where. */
const said: [string, string][] = [];

const note = (where: string, text: string): void => void said.push([where, text]);

/** Places at which a secret can be read, with the first characters of what was found. */
function leaksIn(texts: readonly (readonly [string, string])[]): string[] {
  const traces = secrets.flatMap((secret) => secretTraces(secret).map((trace) => [secret, trace] as const));
  return texts.flatMap(([where, text]) => [
    ...traces
      .filter(([, trace]) => text.includes(trace))
      .map(([secret, trace]) => `${where}: ${secret.slice(0, 22)} as ${trace.slice(0, 22)}`),
    ...FORMS.filter((form) => form.test(text)).map((form) => `${where}: ${form.source}: ${form.exec(text)?.[0].slice(0, 40)}`),
  ]);
}

const file = (name: string): string => join(folder, name);

async function command(...args: string[]): Promise<Finished> {
  const finished = await postern([...args, '--config', file('postern.yaml')], { env: { CANARY_COMMAND: CANARIES.command } }).end();
  note(args.join(' '), finished.stdout + finished.stderr);
  return finished;
}

const send = async (client: string, pass = CANARIES.client): Promise<number> => {
  const { code, response } = await submit({ port: ports.smtp, login: { user: client, pass }, from: 'billing@sandbox.test' });
  note(`reply to ${client}`, response);
  return code;
};

function write(name: string, text: string, mode = 0o600): string {
  writeFileSync(file(name), text, { mode });
  return `./${name}`;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-canaries-'));
  mkdirSync(file('sandbox'));
  sandbox = await startSandbox({
    clock: systemClock,
    random: systemRandom,
    log: new MemoryLog(),
    stateDir: file('sandbox'),
    ports: { http: 0, smtp: 0 },
  });
  hook = createServer((_, response) => response.writeHead(500, 'no').end(CANARIES.hook));
  await new Promise<void>((resolve) => void hook.listen(0, '127.0.0.1', resolve));
  ports = { smtp: await freePort(), admin: await freePort() };
  const certificate = applicationCertificate();
  const key = encryptedKey(certificate.key, CANARIES.passphrase);
  const good = sandbox.mint.refreshToken('billing@sandbox.test');
  secrets.push(...Object.values(CANARIES), good, sandbox.clientSecret, certificate.key, key);
  write('ca.pem', sandbox.caPem);
  write('print-token', '#!/bin/sh\nprintf "%s" "$CANARY_COMMAND"\n', 0o700);
  chmodSync(file('print-token'), 0o700);
  const { tenant, clientId, clientSecret } = sandbox;
  const delegated = { grant: 'refresh_token', tenant, clientId, clientSecret, refreshToken: good };
  const auths: Record<string, object> = {
    good: delegated,
    revoked: { ...delegated, refreshToken: CANARIES.seed },
    wrong: { ...delegated, clientSecret: CANARIES.wrongSecret },
    certificate: {
      grant: 'client_credentials',
      tenant,
      clientId,
      certificate: { cert: write('app.pem', certificate.cert), key: write('app.key', key), passphrase: CANARIES.passphrase },
    },
    command: { grant: 'command', command: [file('print-token')], passEnvironment: ['CANARY_COMMAND'] },
    basic: { grant: 'basic', password: CANARIES.upstream },
  };
  const names = Object.keys(auths);
  write(
    'postern.yaml',
    JSON.stringify({
      listeners: { smtp: [{ host: '127.0.0.1', port: ports.smtp }] },
      admin: { host: '127.0.0.1', port: ports.admin, password: CANARIES.admin },
      state: { dir: './var' },
      providers: {
        lab: { extends: 'sandbox', tokenUrl: sandbox.tokenUrl, smtp: { ...sandbox.smtp, tls: 'starttls' }, caFile: './ca.pem' },
      },
      accounts: names.map((name) => ({
        name,
        provider: 'lab',
        mailbox: 'billing@sandbox.test',
        delivery: name === 'good' ? 'auto' : 'queue',
        auth: auths[name],
      })),
      clients: names.map((name) => ({ name, username: name, password: CANARIES.client, account: name })),
      alerts: [
        {
          webhook: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/${CANARIES.hookPath}`,
          secret: CANARIES.hook,
          events: ['reauth_required', 'account_blocked', 'account_misconfigured'],
        },
      ],
      log: { level: 'trace', format: 'json' },
    }),
  );
  collector = await startOtlpReceiver();
  const traces = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: `api-key=${encodeURIComponent(CANARIES.collector)}`,
  };
  relay = postern(['serve', '--config', file('postern.yaml')], { env: { CANARY_COMMAND: CANARIES.command, ...traces } });
  await relay.until(/"event":"ready"/);
  for (const name of names) expect(await send(name)).toBe(250);
  expect(await send('good', CANARIES.wrong)).toBe(535);
  for (const name of names.filter((each) => each !== 'good'))
    await relay.until(new RegExp(`"event":"(?:account-held|account-backing-off|message-relayed|token-failed)"[^\\n]*"account":"${name}"`));
});

afterAll(async () => {
  relay.child.kill('SIGKILL');
  await sandbox.close();
  hook.close();
  await collector.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('L01 no secret is seen', () => {
  it('by the search, unless there is one', () => {
    const hidden = Buffer.from(`xx${CANARIES.upstream}`).toString('base64');
    expect(leaksIn([['a log', `before ${hidden} after`]])).toHaveLength(1);
    expect(leaksIn([['a page', encodeURIComponent(CANARIES.admin)]]).length).toBeGreaterThan(0);
    expect(leaksIn([['a log', sandbox.mint.refreshToken('billing@sandbox.test')]]).length).toBeGreaterThan(0);
  });

  it('in what commands print', async () => {
    await command('check');
    await command('doctor', '--json');
    await command('accounts', '--json');
    for (const name of ['good', 'revoked', 'wrong', 'certificate', 'command']) {
      await command('token', 'show', name, '--json');
      await command('token', 'refresh', name);
    }
    const { stdout } = await command('queue', 'list', '--json');
    const [, id = ''] = /"queueId": "(\w+)"/.exec(stdout) ?? [];
    expect(id).not.toBe('');
    await command('queue', 'show', id, '--json');
    await command('send-test', 'revoked', 'someone@example.test');
    expect(leaksIn(said)).toEqual([]);
  }, 180_000);

  it('in replies, in the log at trace level, and in the API', async () => {
    const authorization = `Basic ${Buffer.from(`admin:${CANARIES.admin}`).toString('base64')}`;
    const get = async (path: string, headers: Record<string, string> = { authorization }): Promise<number> => {
      const response = await fetch(`http://127.0.0.1:${ports.admin}${path}`, { headers });
      note(path, `${JSON.stringify([...response.headers])}${await response.text()}`);
      return response.status;
    };
    for (const path of ['/metrics', '/healthz', '/readyz', '/api/v1/status', '/api/v1/accounts', '/api/v1/clients', '/api/v1/queue']) {
      expect(`${path} ${await get(path)}`).toBe(`${path} 200`);
    }
    expect(await get('/api/v1/status', { authorization: `Basic ${Buffer.from(`admin:${CANARIES.wrong}`).toString('base64')}` })).toBe(401);
    expect(relay.stdout).toContain('"level":"trace"');
    note('log', relay.stdout);
    note('errors', relay.stderr);
    expect(leaksIn(said)).toEqual([]);
  });

  it('in what goes to the collector of traces, but for the header that is meant for it', async () => {
    await vi.waitUntil(() => collector.spans.length > 0, { timeout: 20_000 });
    expect(collector.faults).toEqual([]);
    expect(collector.headers[0]?.['api-key']).toBe(CANARIES.collector);
    expect(leaksIn(collector.bodies.map((body) => ['spans', body]))).toEqual([]);
  });

  it('in the list of processes, and in clear on the disk', () => {
    const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    // What other tests on this machine write into command lines is not ours.
    const isOurs = (pid: string, text: string): boolean => text.includes(folder) || pid === String(relay.child.pid);
    const lists = all.flatMap((pid): [string, string][] => {
      try {
        const text = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return isOurs(pid, text) ? [[`process ${pid}`, text]] : [];
      } catch {
        return []; // It has ended meanwhile.
      }
    });
    expect(lists.some(([, text]) => text.includes('postern.yaml'))).toBe(true);
    const state = readdirSync(file('var'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const files = state.map((entry): [string, string] => [entry.name, readFileSync(join(entry.parentPath, entry.name), 'latin1')]);
    expect(files.map(([name]) => name)).toContain('alerts.json');
    expect(leaksIn([...lists, ...files])).toEqual([]);
  });

  it('at the end of a process that crashes', async () => {
    relay.child.kill('SIGABRT');
    const { stdout, stderr } = await relay.end();
    const left = readdirSync(folder).filter((name) => /core|report/.test(name));
    expect(left).toEqual([]);
    expect(
      leaksIn([
        ['last words', stderr],
        ['log', stdout],
      ]),
    ).toEqual([]);
  });
});
