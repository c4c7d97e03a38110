/** From email-oauth2-proxy to Postern: import, check, and the application logs in with the password that it always had. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Document, parse, parseDocument } from 'yaml';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { sealWith } from '../support/fernet.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { type Finished, postern, type RunningProcess } from '../support/process.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import { submit } from '../support/submit.ts';

const MAILBOX = 'billing@sandbox.test';
const seal = sealWith('old pässword', 1_200_000);
let folder: string;
let sandbox: Sandbox;
let relay: RunningProcess;
let port: number;
let refreshToken: string;
let imported: Finished;

const path = (name: string): string => join(folder, name);
const run = async (args: readonly string[]): Promise<Finished> => postern(args, { cwd: folder }).end();

/** As the old proxy leaves it after some use. Its own sample is the model. */
function oldConfig(): string {
  const { tenant, clientId, clientSecret, tokenUrl, smtp } = sandbox;
  const url = tokenUrl.replace('{tenant}', tenant);
  const sealedLines = `token_salt = ${seal.salt}\ntoken_iterations = ${seal.iterations}\naccess_token_expiry = 1760000000\nlast_activity = 1760000000\n`;
  return `[Email OAuth 2.0 Proxy configuration file]
documentation = A sample.
\tSee [Server setup].

[Server setup]
documentation = \${not a reference}

[SMTP-${port}]
server_address = ${smtp.host}
server_port = ${smtp.port}
server_starttls = True
local_address = localhost

[IMAP-1993]
server_address = outlook.office365.com
server_port = 993

[${MAILBOX}]
permission_url = ${url.replace('/token', '/devicecode')}
token_url = ${url}
oauth2_scope = https://outlook.office.com/SMTP.Send offline_access
oauth2_flow = device
client_id = ${clientId}
client_secret = ${clientSecret}
${sealedLines}access_token = ${seal.seal('expired')}
refresh_token = ${seal.seal(refreshToken)}

# The catch-all, and a mailbox that was used through it.
[@contoso.com]
token_url = https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/oauth2/v2.0/token
oauth2_scope = https://outlook.office365.com/.default
oauth2_flow = client_credentials
client_id = 66666666-7777-4888-8999-aaaaaaaaaaaa
client_secret = a$\{b~secret-of-the-catch-all

[orders@contoso.com]
${sealedLines}access_token = ${seal.seal('expired too')}

[certified@fabrikam.com]
token_url = https://login.microsoftonline.com/11111111-2222-4333-8444-555555555555/oauth2/v2.0/token
oauth2_scope = https://outlook.office365.com/.default
oauth2_flow = client_credentials
client_id = 66666666-7777-4888-8999-bbbbbbbbbbbb
jwt_certificate_path = client.crt
jwt_key_path = client.key
${sealedLines}access_token = ${seal.seal('expired as well')}

[ropc@contoso.com]
oauth2_flow = password
documentation = cannot be carried

[never@fabrikam.com]
permission_url = https://login.microsoftonline.com/fabrikam.com/oauth2/v2.0/authorize
token_url = https://login.microsoftonline.com/fabrikam.com/oauth2/v2.0/token
oauth2_scope = https://outlook.office.com/SMTP.Send offline_access
redirect_uri = http://localhost
client_id = 66666666-7777-4888-8999-cccccccccccc

[emailproxy]
delete_account_token_on_password_error = False
allow_catch_all_accounts = True
`;
}

/** What the operator adds: the sandbox's certificate authority is known to nobody, and ports of other tests may be taken. */
function addLab(): void {
  const document = parseDocument(readFileSync(path('postern.yaml'), 'utf8'));
  document.setIn(['providers', 'imported', 'caFile'], './ca.pem');
  document.deleteIn(['listeners', 'imap']);
  writeFileSync(path('postern.yaml'), document.toString());
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-import-'));
  sandbox = await startSandbox({ clock: systemClock, random: systemRandom, log: new MemoryLog(), ports: { http: 0, smtp: 0 } });
  port = await freePort();
  refreshToken = sandbox.mint.refreshToken(MAILBOX);
  writeFileSync(path('ca.pem'), sandbox.caPem);
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      '/CN=test',
      '-days',
      '400',
      '-keyout',
      path('client.key'),
      '-out',
      path('client.crt'),
    ],
    { stdio: 'ignore' },
  );
  writeFileSync(path('emailproxy.config'), oldConfig());
  imported = await run(['import', 'emailproxy.config']);
});

afterAll(async () => {
  await relay?.end('SIGTERM');
  await sandbox.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('postern import', () => {
  it('writes a file for its user alone, which says where things came from', () => {
    expect(imported.stdout).not.toMatch(/To be put right[^]*/);
    expect(imported).toMatchObject({ code: 0, stderr: '' });
    expect(statSync(path('postern.yaml')).mode & 0o777).toBe(0o600);
    const text = readFileSync(path('postern.yaml'), 'utf8');
    expect(text).toContain(`# [${MAILBOX}]; to sign in anew: postern login billing --device`);
    const { accounts, clients, listeners } = parse(text);
    expect(listeners.smtp).toEqual([{ host: '127.0.0.1', port }]);
    expect(
      accounts.map(({ name, provider, auth }: { name: string; provider: string; auth: { grant: string } }) => [name, provider, auth.grant]),
    ).toEqual(
      [
        ['billing', 'imported', 'refresh_token'],
        ['orders', 'microsoft365', 'client_credentials'],
        ['certified', 'microsoft365', 'client_credentials'],
        ['ropc', 'microsoft365', 'client_credentials'],
        ['never', 'microsoft365', 'refresh_token'],
      ].filter(([name]) => name !== 'ropc'),
    );
    expect(accounts[1].auth).toMatchObject({
      tenant: '11111111-2222-4333-8444-555555555555',
      clientSecret: 'a$${b~secret-of-the-catch-all',
    });
    expect(accounts[2].auth.certificate).toEqual({ cert: path('client.crt'), key: path('client.key') });
    expect(clients.map(({ username }: { username: string }) => username)).toEqual([
      MAILBOX,
      'orders@contoso.com',
      'certified@fabrikam.com',
    ]);
  });

  it('lists what it could not carry, with what to do, and no secret', () => {
    for (const pattern of [
      /\[@contoso\.com\] \(line \d+\): a catch-all/,
      /\[ropc@contoso\.com\] oauth2_flow .*password grant/,
      /\[never@fabrikam\.com\].*never used/,
      /\[IMAP-1993\] local_address/,
      /delete_account_token_on_password_error/,
    ]) {
      expect(imported.stdout).toMatch(pattern);
    }
    expect(imported.stdout).not.toContain(sandbox.clientSecret);
    expect(imported.stdout).not.toContain('secret-of-the-catch-all');
  });

  it('leaves a file that is there alone, unless told', async () => {
    writeFileSync(path('mine.yaml'), 'mine');
    expect((await run(['import', 'emailproxy.config', '--output', 'mine.yaml'])).code).toBe(1);
    expect(readFileSync(path('mine.yaml'), 'utf8')).toBe('mine');
    expect((await run(['import', 'emailproxy.config', '--output', 'mine.yaml', '--overwrite'])).code).toBe(0);
    expect(readFileSync(path('mine.yaml'), 'utf8')).toContain(MAILBOX);
  });

  it('makes a configuration that postern check accepts and an old client logs in to', async () => {
    addLab();
    const before = readFileSync(path('postern.yaml'), 'utf8');
    expect(await run(['check', '--config', 'postern.yaml'])).toMatchObject({ code: 0 });
    relay = postern(['serve', '--config', 'postern.yaml'], { cwd: folder });
    await relay.until(/"event":"ready"/);
    const login = (pass: string) => submit({ port, login: { user: MAILBOX, pass }, from: MAILBOX });
    expect((await login('wrong')).code).toBe(535);
    expect((await login('old pässword')).code).toBe(250);
    expect((await login('old pässword')).code).toBe(250);
    expect(readFileSync(path('postern.yaml'), 'utf8')).toBe(before);
    expect(relay.stdout).toContain('"event":"import-taken-over"');
    for (const secret of [refreshToken, 'old pässword']) expect(relay.stdout + relay.stderr).not.toContain(secret);
    await relay.end('SIGTERM');
    relay = postern(['serve', '--config', 'postern.yaml'], { cwd: folder });
    await relay.until(/"event":"ready"/);
    expect((await login('wrong')).code).toBe(535);
    expect((await login('old pässword')).code).toBe(250);
  });

  it('a changed configuration changes nothing for imported clients, and one that was imported anew logs in', async () => {
    const login = (pass: string) => submit({ port, login: { user: MAILBOX, pass }, from: MAILBOX });
    const kept = SmtpTalk.plain(port);
    expect(await kept.reply()).toMatch(/^220 /);
    await kept.ask('EHLO app');
    expect(await kept.ask(`AUTH PLAIN ${Buffer.from(`\0${MAILBOX}\0old pässword`).toString('base64')}`)).toMatch(/^235 /);
    const reload = async (change: (document: Document) => void): Promise<void> => {
      const document = parseDocument(readFileSync(path('postern.yaml'), 'utf8'));
      change(document);
      const size = relay.stdout.length;
      writeFileSync(path('postern.yaml'), document.toString());
      relay.child.kill('SIGHUP');
      await expect.poll(() => relay.stdout.slice(size), { timeout: 20_000 }).toContain('"event":"config-reloaded"');
    };
    const clientAt = (document: Document): number =>
      (document.toJS() as { clients: { username: string }[] }).clients.findIndex(({ username }) => username === MAILBOX);
    // Something else of the client, and a client beside it.
    await reload((document) => {
      document.setIn(['clients', clientAt(document), 'rate'], { messagesPerMinute: 1_000 });
      document.addIn(
        ['clients'],
        document.createNode({ name: 'fresh', username: 'fresh', password: 'fresh-password', account: 'billing' }),
      );
    });
    expect(await kept.ask(`MAIL FROM:<${MAILBOX}>`)).toMatch(/^250 /);
    await kept.ask('RSET');
    expect([(await login('wrong')).code, (await login('old pässword')).code]).toEqual([535, 250]);
    expect((await submit({ port, login: { user: 'fresh', pass: 'fresh-password' }, from: MAILBOX })).code).toBe(250);
    expect(relay.stdout).not.toContain('"event":"import-taken-over"');
    // Sealed with another password, as after another import: the old one is no longer good, and a session that logged in with it ends.
    const again = sealWith('newer pässword', 1_000);
    await reload((document) => {
      const sealed = document.getIn(['clients', clientAt(document), 'imported'], true);
      expect(sealed).toBeDefined();
      const values = { salt: again.salt, iterations: again.iterations, refreshToken: again.seal(sandbox.mint.refreshToken(MAILBOX)) };
      for (const [key, value] of Object.entries(values)) document.setIn(['clients', clientAt(document), 'imported', key], value);
    });
    expect(await kept.ask(`MAIL FROM:<${MAILBOX}>`)).toMatch(/^421 /);
    expect([(await login('old pässword')).code, (await login('newer pässword')).code]).toEqual([535, 250]);
    expect(relay.stdout).toContain('"event":"import-taken-over"');
  });
});

describe('postern import of SMTP2Graph', () => {
  it('carries the application, the listener, users as hashes and networks, and says which permission is missing', async () => {
    writeFileSync(
      path('config.yml'),
      `mode: full
send:
  appReg: { tenant: contoso, id: 66666666-7777-4888-8999-aaaaaaaaaaaa, secret: s3cret~of-the-old-one }
  forceMailbox: noreply@contoso.com
  retryLimit: 10
receive:
  port: ${await freePort()}
  listenAddress: 127.0.0.1
  maxSize: 25m
  requireAuth: true
  users: [{ username: scanner, password: "P@ss \${x}!", allowedFrom: [noreply@contoso.com] }]
`,
    );
    const result = await run(['import', 'config.yml', '--output', 'graph.yaml', '--json']);
    expect(result.code).toBe(0);
    expect(JSON.parse(result.stdout)).toMatchObject({ ok: true, accounts: 1, clients: 1, problems: [] });
    expect(result.stdout).toMatch(/SMTP\.SendAsApp/);
    expect(result.stdout).not.toContain('s3cret');
    const { accounts, clients, listeners } = parse(readFileSync(path('graph.yaml'), 'utf8'));
    expect(accounts[0]).toMatchObject({
      mailbox: 'noreply@contoso.com',
      auth: { grant: 'client_credentials', tenant: 'contoso.onmicrosoft.com' },
    });
    expect(clients[0]).toMatchObject({
      username: 'scanner',
      senders: ['noreply@contoso.com'],
      passwordHash: expect.stringMatching(/^\$scrypt\$/),
    });
    expect(listeners.smtp[0]).toMatchObject({ requireAuth: true, maxSize: '25MB' });
    expect(await run(['check', '--config', 'graph.yaml'])).toMatchObject({ code: 0 });
  });
});

describe('a file that is neither', () => {
  it.each([
    ['no INI', '[a]\nnonsense\n', /:2: is neither a \[section\] nor key = value/],
    ['no YAML', '{{{', /neither a configuration of/],
    ['another YAML', 'a: 1\n', /neither send nor receive/],
    ['aliases without end', `a: &a [x]\nb: &b [${'*a,'.repeat(99)}]\nc: &c [${'*b,'.repeat(99)}]\nsend: [${'*c,'.repeat(99)}]\n`, /alias/],
  ])('%s: exit 1, nothing written', async (_, text, expected) => {
    writeFileSync(path('bad'), text);
    const result = await run(['import', 'bad', '--output', 'none.yaml']);
    expect(result).toMatchObject({ code: 1, stderr: expect.stringMatching(expected) });
    expect(() => statSync(path('none.yaml'))).toThrow(/ENOENT/);
  });
});
