/**
 * A lock on a directory that only one process holds, and that a killed process does not keep.
 *
 * Node has neither flock nor fcntl locks, so the lock is a file, made by link(2), which is atomic and fails where the name is taken. It names its
 * holder: process id, the moment that process started (pids are used again), the boot, and the pid namespace. Where boot and namespace are
 * ours, /proc tells at once whether the holder lives. A holder elsewhere, in another container or on another machine that shares the volume,
 * cannot be looked up: every holder renews the file's modification time every second, and one that does not change for five seconds is dead. So
 * a container that was killed starts again within that time, and a second one that is started beside a living one does not.
 *
 * A dead holder's lock is never removed: whoever did that might remove the lock that another contender has taken in its place since. It is succeeded.
 * The heir makes a file whose name says whom it succeeds, which only one can; looks whether that holder's lock is still the one in force, which it
 * is for the last time; and renames its file onto it. So the lock never vanishes on the way, and never turns back into one that was succeeded. An
 * heir that is killed in the middle is itself succeeded.
 *
 * @packageDocumentation
 */
import { createHash, randomBytes } from 'node:crypto';
import { link, lstat, readFile, readlink, rename, unlink, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What came of trying to lock. */
export type LockOutcome =
  | { readonly kind: 'locked'; readonly release: () => Promise<void> }
  /** `holder` names the process that has it, for a message to the operator. */
  | { readonly kind: 'held'; readonly holder: string };

interface Holder {
  readonly pid: number;
  /** Clock ticks after boot, field 22 of /proc/PID/stat; `''` where there is no /proc. */
  readonly startedAt: string;
  readonly boot: string;
  readonly namespace: string;
  /** Tells two locks of one process apart. */
  readonly nonce: string;
}

const HEARTBEAT = 1_000;
const DEAD_AFTER = 5_000;

/**
 * Take the lock `path`, waiting at most some seconds to see whether a holder that cannot be looked up still lives.
 *
 * @throws Error of node:fs.
 */
export async function lockFile(path: string): Promise<LockOutcome> {
  const text = JSON.stringify(await describeOurselves());
  for (;;) {
    if (await create(path, text)) return { kind: 'locked', release: keep(path, text) };
    const line = await readLine(path);
    const last = line.at(-1);
    if (last === undefined) continue;
    if (await isAlive(last.file, last.text)) return { kind: 'held', holder: nameOf(last.text) };
    if (await succeed(path, line, text)) return { kind: 'locked', release: keep(path, text) };
  }
}

/** A lock as found. */
interface Found {
  readonly file: string;
  readonly text: string;
  /** Of this lock and no other, ever. */
  readonly mark: string;
}

/** The lock in force and, where heirs were killed before they had succeeded, those; empty where there is none. */
async function readLine(path: string): Promise<readonly Found[]> {
  const line: Found[] = [];
  for (let file = path; ; file = heirOf(path, line)) {
    const found = await find(file);
    if (found === undefined) return line;
    line.push(found);
  }
}

const heirOf = (path: string, line: readonly Found[]): string => `${path}.after-${line.at(-1)?.mark ?? ''}`;

async function find(file: string): Promise<Found | undefined> {
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  // Text of ours has a nonce. Other text, as after a power cut, may be there more than once.
  const which = parse(text) === undefined ? await identityOf(file) : '';
  return { file, text, mark: createHash('sha256').update(`${which}:${text}`).digest('hex').slice(0, 32) };
}

/** @param line - Of which the last is dead. @returns False where somebody else was faster. */
async function succeed(path: string, line: readonly Found[], text: string): Promise<boolean> {
  const own = heirOf(path, line);
  if (!(await create(own, text))) return false;
  try {
    // What we succeed may be over already: then nobody looks at our file any more.
    if ((await find(path))?.mark !== line[0]?.mark) {
      await removeIfThere(own);
      return false;
    }
    await rename(own, path);
  } catch (error) {
    await removeIfThere(own).catch(() => undefined); // The first failure is the one to report; as ours, it would be in everybody's way.
    throw error;
  }
  for (const { file } of line.slice(1)) await removeIfThere(file);
  return true;
}

/** False where the name is taken. */
async function create(path: string, text: string): Promise<boolean> {
  const own = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`);
  await writeFile(own, text, { mode: 0o600, flag: 'wx' });
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    if (!NO_HARD_LINKS.has(codeOf(error))) throw error;
    return await createInPlace(path, text);
  } finally {
    await unlink(own);
  }
}

/** What `link` says on file systems without hard links, many network shares among them. */
const NO_HARD_LINKS: ReadonlySet<unknown> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** Still only one wins, but for a moment the lock is empty, and whoever reads it then watches it for a while. */
async function createInPlace(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { mode: 0o600, flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Renews the lock until it is released. */
function keep(path: string, text: string): () => Promise<void> {
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined); // Worse than a failed renewal would be to stop for one.
  }, HEARTBEAT).unref();
  return async () => {
    clearInterval(heartbeat);
    if ((await readIfThere(path)) === text) await unlink(path);
  };
}

async function isAlive(path: string, text: string): Promise<boolean> {
  const ours = await describeOurselves();
  const holder = parse(text);
  if (holder === undefined || holder.boot !== ours.boot || holder.namespace !== ours.namespace) return isRenewed(path);
  if (holder.startedAt === '') return isRunning(holder.pid);
  return (await startOf(holder.pid)) === holder.startedAt;
}

/** Watches whether the lock is renewed. */
async function isRenewed(path: string): Promise<boolean> {
  const before = await modifiedAt(path);
  for (let waited = 0; waited < DEAD_AFTER; waited += HEARTBEAT / 2) {
    await new Promise((resolve) => setTimeout(resolve, HEARTBEAT / 2));
    if ((await modifiedAt(path)) !== before) return true;
  }
  return false;
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** The file behind a name. */
async function identityOf(path: string): Promise<string> {
  try {
    const { ino, mtimeNs } = await lstat(path, { bigint: true });
    return `${ino}.${mtimeNs}`;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return '';
    throw error;
  }
}

async function modifiedAt(path: string): Promise<number | undefined> {
  try {
    return (await lstat(path)).mtimeMs;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

async function describeOurselves(): Promise<Holder> {
  return {
    pid: process.pid,
    startedAt: (await startOf(process.pid)) ?? '',
    boot: ((await readIfThere('/proc/sys/kernel/random/boot_id')) ?? '').trim(),
    namespace: await readlink('/proc/self/ns/pid').catch(() => ''), // No /proc: one machine, one namespace.
    nonce: randomBytes(8).toString('hex'),
  };
}

/** Undefined where there is no such process, or no /proc. */
async function startOf(pid: number): Promise<string | undefined> {
  const stat = await readIfThere(`/proc/${pid}/stat`);
  // The second field is the command in parentheses and may hold anything, so count from its end: the next field is the third.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

function parse(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isHolder(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isHolder(value: unknown): value is Holder {
  if (typeof value !== 'object' || value === null || !('pid' in value) || typeof value.pid !== 'number') return false;
  return ['startedAt', 'boot', 'namespace', 'nonce'].every((name) => typeof Reflect.get(value, name) === 'string');
}

function nameOf(text: string): string {
  const holder = parse(text);
  return holder === undefined ? 'another process' : `process ${holder.pid}`;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
