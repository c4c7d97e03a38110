/**
 * From start to the first message that the upstream has, and the memory of a relay that does nothing, all listeners and the admin port on; beside a process of Node
 * that only waits, and the plain relay.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { createWorkFolder } from '../../test/support/real/daemon.ts';
import { lowPort } from '../../test/support/real/ports.ts';
import { type BenchCase, inTurns } from '../kit/case.ts';
import { type Measured, verdict } from '../kit/figures.ts';
import { runLoad } from '../kit/load.ts';
import { memory, processorTime } from '../kit/processes.ts';
import { environment, MAILBOX, POSTERN_PROGRAM, posternConfiguration, startPlainRelay } from '../kit/systems.ts';
import { BenchUpstream } from '../kit/upstream.ts';

const MEGA = 1024 * 1024;
/** Of this machine, but for a list of certificates that every Node on it would have to read first (30 to 60 ms). */
/** Long enough for what a start leaves to be collected. */
const IDLE_MS = 3_000;

export const start: BenchCase = {
  name: 'start',
  summary: 'start to the first message relayed; memory of a relay that is idle',
  async run(rounds) {
    const upstream = await BenchUpstream.start();
    const subjects = [
      { name: 'postern', measure: () => measurePostern(upstream) },
      { name: 'plain relay', measure: () => measurePlainRelay(upstream) },
      { name: 'bare Node', measure: measureBareNode },
    ];
    try {
      const figures = await inTurns(subjects, rounds, ({ measure }) => measure());
      figures.print();
      verdict('start to first accepted message, ms', figures.of('postern', 'first message ms'), { atMost: 130 });
      const bare = figures.of('bare Node', 'idle RSS MB');
      const above = figures.of('postern', 'idle RSS MB').map((value, round) => value - (bare[round] ?? Number.NaN));
      verdict('idle RSS above bare Node, MB', above, { atMost: 15 });
    } finally {
      await upstream.stop();
    }
  },
};

async function measurePostern(upstream: BenchUpstream): Promise<Measured> {
  const folder = createWorkFolder();
  const [port, imap, pop3, admin] = [await lowPort(), await lowPort(), await lowPort(), await lowPort()];
  const host = '127.0.0.1';
  const listeners = { smtp: [{ host, port }], imap: [{ host, port: imap }], pop3: [{ host, port: pop3 }] };
  const reader = { name: 'reader', username: 'reader', password: 'bench-Passw0rd.of-the-lab', account: 'bench' };
  const clients = [{ name: 'bench', networks: ['127.0.0.0/8'], account: 'bench' }, reader];
  const more = { listeners, clients, admin: { host, port: admin } };
  const file = posternConfiguration(folder, port, { upstream, delivery: 'auto', connections: 3, more });
  const began = performance.now();
  const child = spawn(process.execPath, [POSTERN_PROGRAM, 'serve', '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...environment, BENCH_SECRET: 'bench-secret-of-the-lab' },
  });
  try {
    const measured = await untilFirstMessage(upstream, child, port, began);
    await pause(IDLE_MS);
    return { ...measured, 'idle RSS MB': memory(child.pid ?? 0, 'status', 'VmRSS') / MEGA };
  } finally {
    await end(child);
    folder.remove();
  }
}

async function measurePlainRelay(upstream: BenchUpstream): Promise<Measured> {
  const began = performance.now();
  const relay = await startPlainRelay(upstream, 3);
  try {
    const outcome = await runLoad({ ...ONE_MESSAGE, port: relay.port });
    const first = performance.now() - began;
    await upstream.settle(outcome);
    await upstream.audit(outcome);
    const used = processorTime(relay.pid);
    await pause(IDLE_MS);
    return { 'first message ms': first, 'CPU ms': used, 'idle RSS MB': memory(relay.pid, 'status', 'VmRSS') / MEGA };
  } finally {
    await relay.stop();
  }
}

async function measureBareNode(): Promise<Measured> {
  const child = spawn(process.execPath, ['-e', 'setTimeout(() => undefined, 60_000)'], { stdio: 'ignore', env: environment });
  try {
    await pause(IDLE_MS);
    return { 'CPU ms': processorTime(child.pid ?? 0), 'idle RSS MB': memory(child.pid ?? 0, 'status', 'VmRSS') / MEGA };
  } finally {
    await end(child);
  }
}

const ONE_MESSAGE = {
  connections: 1,
  milliseconds: 10_000,
  messages: 1,
  octets: 2048,
  keepsConnection: false,
  from: MAILBOX,
  to: 'to@bench.test',
};

async function untilFirstMessage(upstream: BenchUpstream, child: ChildProcess, port: number, began: number): Promise<Measured> {
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`postern has ended with ${child.exitCode}`);
    await pause(2);
  }
  const open = performance.now() - began;
  const outcome = await runLoad({ ...ONE_MESSAGE, port });
  const first = performance.now() - began;
  await upstream.settle(outcome);
  await upstream.audit(outcome);
  return { 'port open ms': open, 'first message ms': first, 'CPU ms': processorTime(child.pid ?? 0) };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function end(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
