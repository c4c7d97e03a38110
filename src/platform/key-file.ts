/**
 * The key that everything secret in the state directory is encrypted with: 32 random octets, as one line of base64 in a file of its own.
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
import { createFile, isErrno } from './atomic-file.ts';

const KEY_LENGTH = 32;
/** 32 octets in base64: 43 characters and one of padding. */
const KEY_LINE = /^[A-Za-z0-9+/]{43}=$/;
const LONGEST_FILE = 1024;

/**
 * Read the key, or make one where there is no file.
 *
 * @throws ProblemError `STATE_KEY_UNUSABLE`. A file that is there is never replaced: without its key the state cannot be read.
 */
export async function loadOrCreateKey(path: string): Promise<Uint8Array> {
  try {
    const known = await readKey(path);
    if (known !== undefined) return known;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await createFile(path, Buffer.from(`${randomBytes(KEY_LENGTH).toString('base64')}\n`), { mode: 0o600 });
    const key = await readKey(path); // Ours, or that of a process which was faster.
    if (key === undefined) throw unusable(path, 'it vanished while it was being created');
    return key;
  } catch (error) {
    if (error instanceof ProblemError) throw error;
    throw unusable(path, error instanceof Error ? error.message : String(error), {}, { cause: error });
  }
}

async function readKey(path: string): Promise<Uint8Array | undefined> {
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
    const text = (await file.readFile('latin1')).trim();
    if (!KEY_LINE.test(text)) {
      throw unusable(path, `it does not hold ${KEY_LENGTH} octets in base64 on one line`, {
        remedy: `Put the original key file back. If there is no state to keep, remove ${path}: a new key is made at the next start.`,
      });
    }
    return Buffer.from(text, 'base64');
  } finally {
    await file.close();
  }
}

function checkPermissions(path: string, stats: Stats): void {
  if (!stats.isFile()) throw unusable(path, 'it is not a file');
  if (stats.size > LONGEST_FILE) throw unusable(path, `it has ${stats.size} octets, which no key file has`);
  const user = process.getuid?.();
  if (user === undefined) return; // No such permissions on this system.
  if (stats.uid !== user && stats.uid !== 0) throw unusable(path, `it belongs to user ${stats.uid}, who could change it`);
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
