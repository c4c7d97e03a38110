/**
 * What IMAP sessions cost: memory of many that idle, memory of one whose reader stalls, and the way of a notice.
 *
 * `postern serve` from dist (npm run build) as one process, the mail server (bench/idle-upstream.ts) as another, readers in this one; TLS on both sides. Beside
 * it, socat with TLS on both sides, which starts a process for each session. Memory is RSS; for socat also PSS, in which pages that its processes share count
 * once. What each takes before its first session is subtracted.
 *
 *     node --import tsx bench/mailboxes.ts [--client tls|plain] [--sessions 2000] [--socat 200] [--stall 60] [--megabytes 150]
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect as connectPlain, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createTestAuthority } from '../test/support/test-ca.ts';
import { postern } from '../test/support/process.ts';
import { lowPort } from '../test/support/real/ports.ts';

const KILO = 1024;
const MEGA = KILO * KILO;
/** Connections that are being opened at a time. */
const TOGETHER = 50;
const PASSWORD = 'bench-Passw0rd.of-the-lab';
const NOTICES = 500;

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '2000' },
    /** How readers connect: `tls`, or `plain` as most legacy applications on the same machine do. */
    client: { type: 'string', default: 'tls' },
    socat: { type: 'string', default: '200' },
    stall: { type: 'string', default: '60' },
    megabytes: { type: 'string', default: '150' },
  },
});
const sessions = Number(values.sessions);
const isPlain = values.client === 'plain';
const socatSessions = Number(values.socat);
const stall = Number(values.stall) * 1000;
const messageSize = Number(values.megabytes) * MEGA;

const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'));
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
};
const authority = createTestAuthority();
const { certPem, keyPem } = authority.issue({ hosts: ['localhost', '127.0.0.1'] });
const [certFile, keyFile, caFile] = [file('cert.pem', certPem), file('key.pem', keyPem), file('ca.pem', authority.caPem)];

/** A field of /proc/PID/FILE in octets. */
const memory = (pid: number | undefined, source: 'status' | 'smaps_rollup', field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${source}`, 'utf8'))?.[1]) * KILO;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const median = (numbers: readonly number[]): number => numbers.toSorted((one, other) => one - other)[numbers.length >> 1] ?? Number.NaN;
const show = (octets: number, unit: number): string => (octets / unit).toFixed(1);

/** A reader, line by line. */
class Reader {
  readonly socket: Socket;
  #waiting = '';
  #wake: () => void = () => undefined;

  constructor(port: number, isInClear = isPlain) {
    this.socket = isInClear
      ? connectPlain(port, '127.0.0.1')
      : connect({ port, host: '127.0.0.1', servername: 'localhost', ca: authority.caPem });
    this.socket.on('error', (error) => this.socket.destroy(error));
    this.socket.on('close', () => this.#wake());
    this.socket.on('data', (chunk: Buffer) => {
      this.#waiting += chunk.toString('latin1');
      this.#wake();
    });
  }

  /** Waits for a line that matches; lines before it are dropped. @throws Error where the connection ends first. */
  async until(pattern: RegExp): Promise<void> {
    for (;;) {
      const end = this.#waiting.indexOf('\r\n');
      if (end === -1) {
        if (this.socket.destroyed) throw new Error(`the connection has ended before ${pattern}`);
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      const line = this.#waiting.slice(0, end);
      this.#waiting = this.#waiting.slice(end + 2);
      if (pattern.test(line)) return;
    }
  }

  async command(text: string, answer: RegExp): Promise<void> {
    this.socket.write(`a ${text}\r\n`);
    await this.until(answer);
  }
}

/** `count` readers in IDLE. @param login - What brings a session to where it may say IDLE. */
async function openReaders(count: number, port: number, login: string, isInClear = isPlain): Promise<Reader[]> {
  const readers: Reader[] = [];
  const open = async (): Promise<void> => {
    while (readers.length < count) {
      const reader = new Reader(port, isInClear);
      readers.push(reader);
      await reader.until(/^\* OK/);
      await reader.command(login, /^a OK/);
      await reader.command('IDLE', /^\+/);
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, open));
  return readers;
}

async function startUpstream(): Promise<{ child: ChildProcess; port: number }> {
  const script = fileURLToPath(new URL('idle-upstream.ts', import.meta.url));
  const child = fork(script, [certPem, keyPem, String(messageSize)], { execArgv: ['--import', 'tsx'] });
  const port = await new Promise<number>((resolve) => child.once('message', (said: { port: number }) => resolve(said.port)));
  return { child, port };
}

/** A token endpoint that gives everybody a token. */
async function startTokens(): Promise<{ url: string; stop(): void }> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ access_token: 'bench'.repeat(400), token_type: 'Bearer', expires_in: 86_400 }));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, stop: () => void server.close() };
}

function configuration(port: number, upstreamPort: number, tokenUrl: string): string {
  const config = {
    listeners: { imap: [{ host: '127.0.0.1', port, ...(isPlain ? {} : { tls: 'implicit', cert: certFile, key: keyFile }) }] },
    state: { dir: join(folder, 'state') },
    providers: {
      bench: {
        extends: 'microsoft365',
        tokenUrl,
        imap: { host: 'localhost', port: upstreamPort, tls: 'implicit' },
        caFile,
        limits: { mailboxSessions: 10_000 },
      },
    },
    accounts: [
      {
        name: 'bench',
        provider: 'bench',
        mailbox: 'bench@postern.test',
        auth: { grant: 'client_credentials', tenant: 'bench.test', clientId: 'bench', clientSecret: '${env:BENCH_SECRET}' },
      },
    ],
    clients: [{ name: 'bench', username: 'bench', password: PASSWORD, account: 'bench' }],
    log: { level: 'warn', format: 'json' },
  };
  return file('postern.yaml', JSON.stringify(config));
}

async function waitForPort(port: number): Promise<void> {
  for (;;) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connectPlain(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (isOpen) return;
    await pause(50);
  }
}

async function measureIdle(pid: number | undefined, port: number): Promise<Reader[]> {
  const before = memory(pid, 'status', 'VmRSS');
  const began = performance.now();
  const readers = await openReaders(sessions, port, `LOGIN bench ${PASSWORD}`);
  const took = (performance.now() - began) / 1000;
  await pause(5_000);
  const served = readers.filter(({ socket }) => !socket.destroyed).length;
  const after = memory(pid, 'status', 'VmRSS');
  const each = show((after - before) / sessions, KILO);
  console.log(`idle: ${served} of ${sessions} sessions served, open after ${took.toFixed(1)} s`);
  console.log(`postern: ${show(before, MEGA)} MB before, ${show(after, MEGA)} MB with ${sessions} sessions: ${each} KB a session`);
  return readers;
}

/** From the parent's word to the upstream until the reader has the line. Each notice goes to another session. */
async function measureNotices(upstream: ChildProcess, readers: readonly Reader[]): Promise<void> {
  const waits: number[] = [];
  const arrivals = readers.map(async (reader, index) => {
    await reader.until(/^\* \d+ EXISTS/);
    return { index, at: performance.now() };
  });
  const anyArrival = new Set(arrivals);
  for (let number = 0; number < Math.min(NOTICES, readers.length); number += 1) {
    const began = performance.now();
    upstream.send({ notify: number });
    const { index, at } = await Promise.race(anyArrival);
    const arrived = arrivals[index];
    if (arrived !== undefined) anyArrival.delete(arrived);
    waits.push(at - began);
  }
  console.log(`notice: ${waits.length} told, median ${median(waits).toFixed(2)} ms, worst ${Math.max(...waits).toFixed(2)} ms`);
  for (const { socket } of readers) socket.destroy();
  await Promise.allSettled(arrivals);
}

async function measureStall(pid: number | undefined, port: number): Promise<void> {
  const reader = new Reader(port);
  await reader.until(/^\* OK/);
  await reader.command(`LOGIN bench ${PASSWORD}`, /^a OK/);
  const before = memory(pid, 'status', 'VmRSS');
  writeFileSync(`/proc/${pid}/clear_refs`, '5'); // proc(5): the high-water mark goes back to the present size.
  let got = 0;
  reader.socket.removeAllListeners('data');
  reader.socket.pause();
  reader.socket.write('a FETCH 1 BODY[]\r\n');
  await pause(stall);
  const stalled = memory(pid, 'status', 'VmHWM') - before;
  const began = performance.now();
  await new Promise<void>((resolve, reject) => {
    reader.socket.once('close', () => reject(new Error('the connection has ended inside the message')));
    reader.socket.on('data', (chunk: Buffer) => {
      got += chunk.length;
      if (got >= messageSize && chunk.subarray(-2).toString('latin1') === '\r\n' && chunk.includes('a OK')) resolve();
    });
    reader.socket.resume();
  });
  const rate = got / MEGA / ((performance.now() - began) / 1000);
  const whole = memory(pid, 'status', 'VmHWM') - before;
  console.log(
    `stall: FETCH of ${show(messageSize, MEGA)} MB, reader stalled for ${stall / 1000} s: RSS grew by ${show(stalled, MEGA)} MB at most`,
  );
  console.log(`  then read at ${rate.toFixed(0)} MB/s, RSS grew by ${show(whole, MEGA)} MB at most, all in all`);
  reader.socket.destroy();
}

/** The process and its children. */
function family(pid: number): number[] {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid);
  return [pid, ...children.map(Number)];
}

/** Undefined where the process has ended meanwhile. */
function parentOf(pid: string): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return undefined;
    throw error;
  }
}

async function measureSocat(upstreamPort: number): Promise<void> {
  const port = await lowPort();
  const near = `OPENSSL-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,backlog=256,cert=${certFile},key=${keyFile},verify=0`;
  const child = spawn('socat', [near, `OPENSSL:localhost:${upstreamPort},cafile=${caFile}`], { stdio: 'ignore' });
  const isMissing = await new Promise<boolean>(
    (resolve) => void child.once('error', () => resolve(true)).once('spawn', () => resolve(false)),
  );
  if (isMissing) {
    console.log('socat: not measured, it is not installed; apt-get install socat');
    return;
  }
  const { pid = 0 } = child;
  await waitForPort(port);
  await pause(500);
  const sum = (source: 'status' | 'smaps_rollup', field: string): number =>
    family(pid).reduce((total, each) => total + memory(each, source, field), 0);
  const before = { rss: sum('status', 'VmRSS'), pss: sum('smaps_rollup', 'Pss') };
  const readers = await openReaders(socatSessions, port, 'AUTHENTICATE XOAUTH2 bench', false);
  await pause(2_000);
  const each = (after: number, start: number): string => show((after - start) / socatSessions, KILO);
  const rss = each(sum('status', 'VmRSS'), before.rss);
  const pss = each(sum('smaps_rollup', 'Pss'), before.pss);
  console.log(`socat: ${socatSessions} sessions, a process each: RSS ${rss} KB, PSS ${pss} KB a session`);
  for (const { socket } of readers) socket.destroy();
  child.kill();
}

const tokens = await startTokens();
const upstream = await startUpstream();

/** A relay of its own for each measurement, so that none finds memory that another has left. */
async function withRelay(measure: (pid: number | undefined, port: number) => Promise<void>): Promise<void> {
  const port = await lowPort();
  const relay = postern(['serve', '--config', configuration(port, upstream.port, tokens.url)], {
    env: { BENCH_SECRET: 'bench-secret-of-the-lab' },
  });
  try {
    await Promise.race([waitForPort(port), relay.end().then(({ stdout, stderr }) => Promise.reject(new Error(stdout + stderr)))]);
    // Code and tables that the first session brings are part of the start.
    const first = new Reader(port);
    await first.until(/^\* OK/);
    await first.command(`LOGIN bench ${PASSWORD}`, /^a OK/);
    first.socket.destroy();
    await pause(1_000);
    await measure(relay.child.pid, port);
  } finally {
    await relay.end('SIGKILL');
  }
}

try {
  await withRelay(async (pid, port) => measureNotices(upstream.child, await measureIdle(pid, port)));
  await withRelay(measureStall);
  await measureSocat(upstream.port);
} finally {
  upstream.child.disconnect();
  tokens.stop();
  rmSync(folder, { recursive: true });
}
process.exit();
