/**
 * What the image holds runs locked in: nothing to write to but 64 MB, user 10001, no capability, no shell, no network but its own.
 *
 * bubblewrap takes the place of a container engine; where a machine has none, or forbids it, the test is skipped and says so.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { copiedNames, productionPackages, stageImage } from '../../scripts/image-content.mjs';
import { RunningProcess } from '../support/process.ts';

const image = mkdtempSync(join(tmpdir(), 'postern-image-'));
const app = join(image, 'app');

/** Runs inside: looks around, starts Postern on its sandbox, submits, and waits for `message relayed`. */
const SELF_TEST = `
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
const status = readFileSync('/proc/self/status', 'utf8');
const refused = (path) => { try { writeFileSync(path, 'x'); return ''; } catch (error) { return error.code; } };
console.log(JSON.stringify({
  uid: process.getuid(),
  capabilities: /^CapEff:\\t(\\w+)$/m.exec(status)[1],
  bounding: /^CapBnd:\\t(\\w+)$/m.exec(status)[1],
  root: [refused('/x'), refused('/app/x'), refused('/config/x')],
  shells: ['/bin/sh', '/usr/bin/bash', '/usr/bin/env'].filter(existsSync),
}));
const relay = spawn(process.execPath, ['/app/dist/main.js', 'serve', '--config', '/config/postern.yaml'], { stdio: ['ignore', 'pipe', 'inherit'] });
let output = '';
let isSent = false;
let isEnding = false; // A second signal would end it at once.
relay.stdout.on('data', (chunk) => {
  output += chunk;
  if (!isSent && output.includes('"event":"ready"')) { isSent = true; submit(); }
  if (!isEnding && output.includes('"event":"message-relayed"')) { isEnding = true; relay.kill('SIGTERM'); }
});
relay.on('exit', (code) => { console.log(output); console.log(JSON.stringify({ exit: code })); });
function submit() {
  const health = spawn(process.execPath, ['/app/dist/main.js', 'health', '--config', '/config/postern.yaml'], { stdio: 'inherit' });
  health.on('exit', (code) => { console.log(JSON.stringify({ health: code })); send(); });
}
function send() {
  const lines = ['EHLO app', 'MAIL FROM:<relay@sandbox.test>', 'RCPT TO:<someone@example.com>', 'DATA', 'Subject: hello\\r\\n\\r\\nhello\\r\\n.', 'QUIT'];
  const socket = connect(2525, '127.0.0.1');
  socket.setEncoding('latin1').on('data', (text) => {
    for (const line of text.split('\\r\\n')) if (/^\\d{3}( |$)/.test(line)) { const next = lines.shift(); if (next !== undefined) socket.write(next + '\\r\\n'); }
  });
}
setTimeout(() => { console.log(output); process.exit(9); }, 20_000).unref();
`;

beforeAll(async () => {
  await stageImage(app);
  mkdirSync(join(image, 'config'));
  mkdirSync(join(image, 'var/lib/postern'), { recursive: true });
  for (const name of ['proc', 'dev', 'tmp']) mkdirSync(join(image, name));
  writeFileSync(
    join(image, 'config/postern.yaml'),
    'listeners: { smtp: [{ port: 2525 }] }\nclients: [{ name: a, networks: [127.0.0.1/32] }]\nlog: { format: json }\n',
  );
  writeFileSync(join(image, 'self-test.mjs'), SELF_TEST);
  copyProgram(realpathSync(process.execPath), '/node');
});
afterAll(() => rmSync(image, { recursive: true, force: true }));

/** A program and the libraries that it is linked with, and nothing else of this machine. */
function copyProgram(program: string, target: string): void {
  cpSync(program, join(image, target));
  for (const [, path = ''] of execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)) {
    mkdirSync(dirname(join(image, path)), { recursive: true });
    cpSync(realpathSync(path), join(image, path));
  }
}

it('holds the program and the packages that it needs, and no others', () => {
  expect(copiedNames()).toEqual(['node_modules', 'dist', 'package.json', 'LICENSE']);
  expect(readdirSync(app).sort()).toEqual(['LICENSE', 'dist', 'node_modules', 'package.json']);
  const packages = productionPackages();
  for (const path of packages) expect(existsSync(join(app, path, 'package.json'))).toBe(true);
  const shipped = readdirSync(join(app, 'node_modules'), { recursive: true, withFileTypes: true });
  const names = new Set(packages.map((path) => join(app, path)));
  const strangers = shipped
    .filter((entry) => entry.name === 'node_modules')
    .flatMap((entry) => readdirSync(join(entry.parentPath, entry.name)).map((name) => join(entry.parentPath, entry.name, name)));
  expect(strangers.filter((path) => !names.has(path) && !path.includes('@'))).toEqual([]);
  // A package may have a folder of its own of that name.
  const tools = shipped.filter(
    ({ name, parentPath }) => ['vitest', 'typescript', 'esbuild'].includes(name) && parentPath.endsWith('node_modules'),
  );
  expect(tools.map(({ name }) => name)).toEqual([]);
});

/** Why nothing can be locked in here; undefined where it can. */
function reasonNotToRun(): string | undefined {
  const { error, status, stderr } = spawnSync('bwrap', ['--unshare-all', '--ro-bind', '/', '/', 'true'], { encoding: 'utf8' });
  if (error !== undefined) return 'there is no bubblewrap on this machine (Debian package bubblewrap)';
  return status === 0 ? undefined : `bubblewrap may not lock anything in on this machine: ${stderr.trim()}`;
}

it('X01 relays a message with a read-only root, as user 10001, without a capability or a shell, on 64 MB', async (context) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) context.skip(`not run: ${reason}`);
  const args = ['--unshare-all', '--uid', '10001', '--gid', '10001', '--cap-drop', 'ALL', '--die-with-parent', '--clearenv'];
  const mounts = [
    '--ro-bind',
    image,
    '/',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--size',
    String(64 * 1024 * 1024),
    '--tmpfs',
    '/var/lib/postern',
    '--remount-ro',
    '/',
  ];
  const environment = ['--setenv', 'POSTERN_STATE_DIR', '/var/lib/postern', '--setenv', 'NODE_ENV', 'production'];
  const { code, stdout, stderr } = await new RunningProcess('bwrap', [...args, ...mounts, ...environment, '/node', '/self-test.mjs']).end();
  expect(stderr).toBe('');
  expect(JSON.parse(stdout.split('\n')[0] ?? '')).toEqual({
    uid: 10001,
    capabilities: '0000000000000000',
    bounding: '0000000000000000',
    root: ['EROFS', 'EROFS', 'EROFS'],
    shells: [],
  });
  expect(stdout).toContain('"event":"message-relayed"');
  expect(stdout).toContain('{"health":0}');
  expect(stdout).toContain('{"exit":0}');
  expect(code).toBe(0);
});
