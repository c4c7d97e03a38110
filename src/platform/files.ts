/**
 * The file system, as little of it as durable storage needs, behind an interface so that tests can make any call fail, or cut the power.
 *
 * Rules that callers rely on: a write may be short without an error, on a full disk above all, hence {@link writeFully}; syncing a file does not
 * sync its name, hence `syncDirectory`. Files are made with mode 0600, directories with 0700.
 *
 * Sources: write(2), fsync(2), rename(2); man pages of Linux.
 *
 * @packageDocumentation
 */
import { constants } from 'node:fs';
import { chmod, type FileHandle, mkdir, open, readdir, rename, stat, statfs, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type LockOutcome, lockFile } from './file-lock.ts';

/** An open file. Positions are absolute. */
export interface OpenFile {
  /** @returns Octets written, which may be fewer than given. */
  write(pieces: readonly Uint8Array[], position: number): Promise<number>;
  /** @returns Octets read, which may be fewer than asked for; 0 at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** The content, and its length, onto stable storage. */
  datasync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** `create` fails where the name is taken; `update` and `read` where it is not. */
export type OpenMode = 'read' | 'update' | 'create';

/** Calls on the file system. They reject with an Error of node:fs. Implementations: below; test/support/memory-disk.ts. */
export interface FileSystem {
  open(path: string, mode: OpenMode): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  list(directory: string): Promise<string[]>;
  size(path: string): Promise<number>;
  /** With all that lead to it; each new name is synced. One that exists is made private (0700). */
  makeDirectory(path: string): Promise<void>;
  /** The names in a directory onto stable storage. */
  syncDirectory(path: string): Promise<void>;
  /** What an unprivileged process may still write to the file system that `path` is on. */
  freeOctets(path: string): Promise<number>;
  /** See {@link lockFile}. */
  lock(path: string): Promise<LockOutcome>;
}

const FLAGS: Record<OpenMode, number> = {
  read: constants.O_RDONLY,
  update: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

/** The machine's own. */
export const systemFiles: FileSystem = {
  open: async (path, mode) => new SystemFile(await open(path, FLAGS[mode] | constants.O_NOFOLLOW, 0o600)),
  rename,
  unlink,
  list: (directory) => readdir(directory),
  size: async (path) => (await stat(path)).size,
  syncDirectory,
  lock: lockFile,

  async makeDirectory(path) {
    const first = await mkdir(path, { recursive: true, mode: 0o700 });
    if (first === undefined) return chmod(path, 0o700);
    for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
  },

  async freeOctets(path) {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  },
};

class SystemFile implements OpenFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(pieces: readonly Uint8Array[], position: number): Promise<number> {
    const [only] = pieces;
    if (only !== undefined && pieces.length === 1) return (await this.#handle.write(only, 0, only.length, position)).bytesWritten;
    return (await this.#handle.writev([...pieces], position)).bytesWritten;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.read(into, 0, into.length, position)).bytesRead;
  }

  datasync(): Promise<void> {
    return this.#handle.datasync();
  }

  truncate(length: number): Promise<void> {
    return this.#handle.truncate(length);
  }

  async size(): Promise<number> {
    return (await this.#handle.stat()).size;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Write every octet.
 *
 * @throws Error of node:fs, or one saying that a write took nothing; a part may have been written.
 */
export async function writeFully(file: OpenFile, pieces: readonly Uint8Array[], position: number): Promise<void> {
  let rest = pieces.filter(({ length }) => length > 0);
  let at = position;
  while (rest.length > 0) {
    const written = await file.write(rest, at);
    if (written <= 0) throw new Error(`a write of ${octetsOf(rest)} octets took none`);
    at += written;
    rest = after(rest, written);
  }
}

/** Read until `into` is full or the file ends. @returns Octets read. */
export async function readFully(file: OpenFile, into: Uint8Array, position: number): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const read = await file.read(into.subarray(filled), position + filled);
    if (read === 0) break;
    filled += read;
  }
  return filled;
}

/** The octets of all pieces. */
export function octetsOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** What is left of `pieces` once the first `count` octets are gone. */
function after(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  let rest = count;
  return pieces.flatMap((piece) => {
    const skipped = Math.min(rest, piece.length);
    rest -= skipped;
    return skipped === piece.length ? [] : [piece.subarray(skipped)];
  });
}
