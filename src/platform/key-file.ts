/**
 * The key that everything secret in the state directory is encrypted with: 32 random octets, as one line of base64 in a file of its own.
 * While a key is being replaced there are several lines, the newest first.
 *
 * Created at the first start, whole and once, even where two processes start together. Refused where others may read it: a key that leaked
 * must be noticed, not repaired in silence.
 *
 * @packageDocumentation
 */
import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ProblemError, problem } from '../core/problem.ts';
import { createFile, type FileOperations, isErrno, replaceFile } from './atomic-file.ts';

const KEY_LENGTH = 32;
/** 32 octets in base64: 43 characters and one of padding. */
const KEY_LINE = /^[A-Za-z0-9+/]{43}=$/;
const LONGEST_FILE = 1024;

/** The newest key first; data may still be encrypted with the others. */
export type KeyList = readonly [newest: Uint8Array, ...older: Uint8Array[]];

/** The keys of a file that another process may change. */
export interface StateKeys {
  /** As last read. */
  readonly keys: KeyList;
  /** Look again: `postern rotate-key` may have put a new one in front. @throws ProblemError `STATE_KEY_UNUSABLE` */
  reread(): Promise<KeyList>;
}

/**
 * Read the newest key, or make one where there is no file.
 *
 * @throws ProblemError `STATE_KEY_UNUSABLE`. A file that is there is never replaced: without its key the state cannot be read.
 */
export async function loadOrCreateKey(path: string): Promise<Uint8Array> {
  return (await openStateKeys(path)).keys[0];
}

/**
 * Read all keys, or make one where there is no file.
 *
 * @throws ProblemError `STATE_KEY_UNUSABLE`, as {@link loadOrCreateKey}.
 */
export async function openStateKeys(path: string): Promise<StateKeys> {
  return explained(path, async () => new KeyFile(path, (await readKeys(path)) ?? (await createKey(path))));
}

/**
 * Replace the keys of a file, newest first; whole, and durable once this resolves.
 *
 * @throws ProblemError `STATE_KEY_UNUSABLE`; the old keys are still there, or, where only the last step failed, the new ones.
 */
export async function replaceKeys(path: string, keys: KeyList, operations?: FileOperations): Promise<void> {
  await explained(path, async () => {
    await replaceFile(path, Buffer.from(keys.map(toLine).join('')), { mode: 0o600, ...(operations === undefined ? {} : { operations }) });
  });
}

/**
 * Look whether {@link openStateKeys} could read the file; nothing is made.
 *
 * @returns False where there is no file yet.
 * @throws ProblemError `STATE_KEY_UNUSABLE`, as {@link openStateKeys}.
 */
export async function isKeyFileThere(path: string): Promise<boolean> {
  return explained(path, async () => (await readKeys(path)) !== undefined);
}

/** A key as it stands in the file, without its line end. */
export const keyText = (key: Uint8Array): string => Buffer.from(key).toString('base64');

const toLine = (key: Uint8Array): string => `${keyText(key)}\n`;

/** A key fit for {@link replaceKeys}. */
export const newKey = (): Uint8Array => randomBytes(KEY_LENGTH);

class KeyFile implements StateKeys {
  readonly #path: string;
  keys: KeyList;

  constructor(path: string, keys: KeyList) {
    this.#path = path;
    this.keys = keys;
  }

  async reread(): Promise<KeyList> {
    const found = await explained(this.#path, () => readKeys(this.#path));
    if (found === undefined) throw unusable(this.#path, 'it has vanished');
    this.keys = found;
    return found;
  }
}

async function createKey(path: string): Promise<KeyList> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await createFile(path, Buffer.from(toLine(newKey())), { mode: 0o600 });
  const keys = await readKeys(path); // Ours, or that of a process which was faster.
  if (keys === undefined) throw unusable(path, 'it vanished while it was being created');
  return keys;
}

async function explained<Result>(path: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw unusable(path, error instanceof Error ? error.message : String(error), {}, { cause: error });
  }
}

async function readKeys(path: string): Promise<KeyList | undefined> {
  let file: FileHandle;
  try {
    // A FIFO must not block the start. Symbolic links are followed: Kubernetes mounts secrets as such.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    checkPermissions(path, await file.stat());
    return parseKeys(path, (await file.readFile('latin1')).trim());
  } finally {
    await file.close();
  }
}

function parseKeys(path: string, text: string): KeyList {
  const [newest, ...older] = text.split(/\s*\n\s*/).map((line) => (KEY_LINE.test(line) ? Buffer.from(line, 'base64') : undefined));
  if (newest !== undefined && older.every((key) => key !== undefined)) return [newest, ...older];
  throw unusable(path, `it does not hold ${KEY_LENGTH} octets in base64 on each line`, {
    remedy: `Put the original key file back. If there is no state to keep, remove ${path}: a new key is made at the next start.`,
  });
}

function checkPermissions(path: string, stats: Stats): void {
  if (!stats.isFile()) throw unusable(path, 'it is not a file');
  if (stats.size > LONGEST_FILE) throw unusable(path, `it has ${stats.size} octets, which no key file has`);
  const user = process.getuid?.();
  if (user === undefined) return; // No such permissions on this system.
  if (stats.uid !== user && stats.uid !== 0) {
    const remedy = `Run Postern as that user (sudo -u '#${stats.uid}' postern …), or make ${path} a file of the user that runs Postern, with mode 0600.`;
    throw unusable(path, `it belongs to user ${stats.uid}, who could change it`, { remedy });
  }
  // A file of root's that we may read at all was opened to our group on purpose (a Kubernetes secret with fsGroup).
  const forbidden = stats.uid === user ? 0o077 : 0o037;
  if ((stats.mode & forbidden) === 0) return;
  throw unusable(path, `others may read or write it (mode ${(stats.mode & 0o777).toString(8).padStart(4, '0')})`, {
    remedy: `chmod 600 ${path} (in Kubernetes: defaultMode: 0400). If somebody may have read it, renew the secrets of the accounts too.`,
  });
}

function unusable(path: string, why: string, finer: { remedy?: string } = {}, options?: ErrorOptions): ProblemError {
  return new ProblemError(problem('STATE_KEY_UNUSABLE', `${path}: ${why}`, finer), options);
}
