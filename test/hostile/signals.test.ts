/** The relay as a process: as process 1 of a container, with signals, stopped for a while, and with little memory. */
import { readdirSync, readFileSync, writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { mailboxOf, PASSWORD, RelayLab } from '../campaign/relay-lab.ts';
import { freePort } from '../support/free-port.ts';
import { postern, projectRoot, RunningProcess } from '../support/process.ts';
import { submit, type Submitted } from '../support/submit.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** A relay on the sandbox that it brings along. */
async function configured(): Promise<{ readonly file: string; readonly port: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-process-'));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  const port = await freePort();
  const file = join(folder, 'postern.yaml');
  const clients = [{ name: 'a', networks: ['127.0.0.1/32'] }];
  writeFileSync(file, JSON.stringify({ listeners: { smtp: [{ port }] }, state: { dir: './var' }, clients, log: { format: 'json' } }), {
    mode: 0o600,
  });
  return { file, port };
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((word) => word !== '')
    .map(Number);

/** Why process 1 of a namespace cannot be had here. */
async function whyNoNamespace(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'namespaces are Linux';
  const { code, stderr } = await new RunningProcess('unshare', ['--fork', '--pid', '--mount-proc', 'true']).end();
  return code === 0 ? undefined : `unshare may not make a namespace here: ${stderr.trim()}`;
}

describe('X07 signals', () => {
  it('SIGTERM as process 1: ends with 0, and nobody is left', { timeout: 60_000 }, async (context) => {
    const reason = await whyNoNamespace();
    if (reason !== undefined) context.skip(`not run: ${reason}`);
    const { file } = await configured();
    const args = ['--fork', '--pid', '--mount-proc', process.execPath, `${projectRoot}dist/main.js`, 'serve', '--config', file];
    const outer = new RunningProcess('unshare', args);
    await outer.until(/"event":"listener-opened"/);
    const [inner = 0] = childrenOf(outer.child.pid ?? 0);
    expect(readFileSync(`/proc/${inner}/status`, 'utf8')).toMatch(/^NSpid:\s+\d+\s+1$/m);
    const began = performance.now();
    process.kill(inner, 'SIGTERM');
    const { code, stdout } = await outer.end();
    expect(code).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(stdout).toContain('"event":"stopped"');
    expect(readdirSync('/proc')).not.toContain(String(inner));
  });

  it('SIGHUP reads the configuration again, and nothing ends', { timeout: 60_000 }, async () => {
    const { file } = await configured();
    const relay = postern(['serve', '--config', file]);
    closers.push(async () => void (await relay.end('SIGKILL')));
    await relay.until(/"event":"listener-opened"/);
    writeFileSync(file, readFileSync(file, 'utf8').replace('"a"', '"b"'));
    relay.child.kill('SIGHUP');
    await relay.until(/"event":"reload-asked"[\s\S]*"event":"config-/);
    expect(relay.child.exitCode).toBeNull();
    expect((await relay.end('SIGTERM')).code).toBe(0);
  });

  it('SIGINT twice ends at once, with 1', { timeout: 60_000 }, async () => {
    const { file, port } = await configured();
    const relay = postern(['serve', '--config', file]);
    await relay.until(/"event":"listener-opened"/);
    // A transaction that is open keeps the first one waiting.
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    socket.write('EHLO a\r\nMAIL FROM:<relay@sandbox.test>\r\nRCPT TO:<a@example.test>\r\nDATA\r\n');
    await new Promise((resolve) => socket.on('data', (octets: Buffer) => octets.includes('354') && resolve(undefined)));
    relay.child.kill('SIGINT');
    await relay.until(/"event":"stopping"/);
    const { code, stdout } = await relay.end('SIGINT');
    socket.destroy();
    expect(code).toBe(1);
    expect(stdout).toContain('SIGINT again: ending at once');
  });
});

/** A port that leads to another one, and the connections through it that are open. */
async function openPassage(target: number): Promise<{ readonly port: number; readonly sockets: Set<Socket>; readonly close: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    sockets.add(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => undefined).on('close', () => other.destroy());
      one.pipe(other);
    }
    near.on('close', () => sockets.delete(near));
  });
  const port = await freePort();
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port, sockets, close };
}

const send = (port: number, account: string, content: string): Promise<Submitted> =>
  submit({ port, login: { user: account, pass: PASSWORD }, from: mailboxOf(account), content });

describe('N09 a relay that is stopped and goes on (a few seconds stand for ten minutes)', () => {
  it('recovers, without a storm, though every connection has been cut meanwhile', { timeout: 120_000 }, async () => {
    const lab = await RelayLab.open({ accounts: 1, mode: 'direct' });
    closers.push(() => lab.close());
    const passage = await openPassage(lab.sandbox.smtp.port);
    closers.push(passage.close);
    const { port } = await lab.start({ smtpPort: passage.port });
    expect((await send(port, 'a0', 'Subject: before\r\n\r\nx\r\n')).code).toBe(250);
    expect(passage.sockets.size).toBe(1);
    process.kill(lab.pid, 'SIGSTOP');
    for (const socket of passage.sockets) socket.destroy();
    await pause(4_000);
    process.kill(lab.pid, 'SIGCONT');
    const began = performance.now();
    const outcomes = await Promise.all(Array.from({ length: 5 }, (_, index) => send(port, 'a0', `Subject: after ${index}\r\n\r\nx\r\n`)));
    expect(outcomes.map(({ code }) => code)).toEqual([250, 250, 250, 250, 250]);
    expect(performance.now() - began).toBeLessThan(30_000);
    const subjects = lab.sandbox.messages.list().map(({ subject }) => subject);
    expect([...subjects].sort()).toEqual(['after 0', 'after 1', 'after 2', 'after 3', 'after 4', 'before']);
    // The account may have three.
    expect(passage.sockets.size).toBeLessThanOrEqual(3);
  });
});

describe('R08 a heap of 96 MB', () => {
  it('is enough for twenty messages of 25 MB at once: all are delivered', { timeout: 240_000 }, async () => {
    const lab = await RelayLab.open({ accounts: 7, mode: 'direct' });
    closers.push(() => lab.close());
    const before = process.env['NODE_OPTIONS'];
    process.env['NODE_OPTIONS'] = '--max-old-space-size=96';
    const { port } = await lab.start();
    if (before === undefined) delete process.env['NODE_OPTIONS'];
    else process.env['NODE_OPTIONS'] = before;
    const line = `${'x'.repeat(998)}\r\n`;
    const body = line.repeat(25 * 1024);
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => send(port, `a${index % 7}`, `Subject: large ${index}\r\n\r\n${body}`)),
    );
    expect(outcomes.map(({ code }) => code)).toEqual(Array(20).fill(250));
    const arrived = lab.sandbox.messages.list().filter(({ size }) => size > body.length);
    expect(new Set(arrived.map(({ subject }) => subject)).size).toBe(20);
    expect(lab.logged('crashed')).toBe(0);
    process.stderr.write(`R08: peak of resident memory ${Math.round(lab.peakMemory() / 1024 / 1024)} MB\n`);
    await lab.stop();
  });
});
