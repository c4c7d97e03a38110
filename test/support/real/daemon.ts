/**
 * Servers as child processes that never outlive the tests: each is ended by its recorded pid, and should this process be killed, a
 * guard ends them in its place and removes their folder.
 *
 * @packageDocumentation
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

/** A running server. */
export interface Daemon {
  readonly pid: number;
  readonly isRunning: boolean;
  /** Resolves once the process has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Where everything of one set of servers lives. */
export interface WorkFolder {
  readonly path: string;
  /** Absolute path of `name` inside; its folder exists. */
  file(name: string): string;
  write(name: string, text: string, mode?: number): string;
  read(name: string): string;
  /** Have the guard end the process, should this one be killed. Returns what takes that back. */
  guard(pid: number): () => void;
  remove(): void;
}

/** Short, since UNIX socket paths end at 107 octets, and open for the accounts that the servers change to. */
export function createWorkFolder(): WorkFolder {
  const path = mkdtempSync('/tmp/postern-real-');
  chmodSync(path, 0o755);
  mkdirSync(join(path, 'pids'));
  const guard = spawn('/bin/sh', ['-c', GUARD, 'guard', String(process.pid), path], { detached: true, stdio: 'ignore' });
  guard.unref();
  const file = (name: string): string => {
    const full = join(path, name);
    mkdirSync(join(full, '..'), { recursive: true });
    return full;
  };
  return {
    path,
    file,
    write(name, text, mode = 0o644) {
      const full = file(name);
      writeFileSync(full, text, { mode });
      return full;
    },
    read: (name) => readFileSync(join(path, name), 'utf8'),
    guard(pid) {
      const record = file(`pids/${pid}`);
      writeFileSync(record, '');
      return () => rmSync(record, { force: true });
    },
    remove() {
      guard.kill();
      rmSync(path, { recursive: true, force: true });
    },
  };
}

const GUARD = `
trap 'exit 0' TERM
while kill -0 "$1" 2>/dev/null; do sleep 1; done
for file in "$2"/pids/*; do
  pid=$(basename "$file")
  kill -s TERM -- "-$pid" || kill "$pid"
done
sleep 2
rm -rf "$2"
`;

/**
 * Start a server that stays in the foreground, as leader of a process group of its own, with an environment of its own.
 *
 * @param output - File for its standard output and error; no pipe of ours is handed down.
 */
export function startDaemon(folder: WorkFolder, command: string, args: readonly string[], output: string): Daemon {
  const log = openSync(folder.file(output), 'a');
  const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C', HOME: folder.path };
  const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log], env: environment, cwd: '/' });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) throw new Error(`could not start ${command}`);
  const release = folder.guard(pid);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    pid,
    get isRunning() {
      return isAlive(child);
    },
    async stop(signal = 'SIGTERM') {
      if (isAlive(child)) child.kill(signal);
      await ended;
      await endGroup(pid);
      release();
    },
  };
}

/**
 * Wait for what the process left behind. Postfix's servers hold the listening socket for a moment after their master: a new master started
 * meanwhile would find the port taken and end, while a look at the port would find it answered.
 */
async function endGroup(leader: number): Promise<void> {
  if (await eventually(() => !signalGroup(leader, 'SIGTERM'), 5_000)) return;
  signalGroup(leader, 'SIGKILL');
  if (!(await eventually(() => !signalGroup(leader, 0), 5_000))) throw new Error(`process group ${leader} does not end`);
}

/** False where the group has no process any more. */
function signalGroup(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

function isAlive(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

/** Wait until something listens on the port of 127.0.0.1; the tail of its output goes into the error where nothing does. */
export async function waitForPort(port: number, daemon: Pick<Daemon, 'isRunning'>, output: () => string): Promise<void> {
  const arrived = await eventually(async () => (await accepts(port)) || !daemon.isRunning, 20_000);
  if (!arrived || !daemon.isRunning) throw new Error(`nothing listens on port ${port}:\n${output().slice(-3000)}`);
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

/** Ask again and again until the answer is true or the time is over. */
export async function eventually(isTrue: () => boolean | Promise<boolean>, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    if (await isTrue()) return true;
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
