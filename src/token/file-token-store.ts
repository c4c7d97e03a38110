/**
 * Keeps each account's grant in a file of its own, encrypted, replaced whole.
 *
 * The directory has mode 0700 and the files 0600; looser permissions are put right with a warning. A file that cannot be decrypted stays as it
 * is: with the right key it is good again.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, type FileHandle, lstat, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccountName } from '../core/account.ts';
import type { Log } from '../core/ports/log.ts';
import type { StoredGrant, TokenStore } from '../core/ports/token-store.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { type FileOperations, isErrno, removeStaleTemporaries, replaceFile } from '../platform/atomic-file.ts';
import { deriveGrantKey, type GrantKey, openGrant, sealGrant } from './sealed-grant.ts';

/** What the store needs. */
export interface FileTokenStoreOptions {
  /** Usually `tokens` in state.dir; created where it is missing. */
  readonly directory: string;
  /** 32 octets: platform/key-file.ts. */
  readonly masterKey: Uint8Array;
  readonly log: Log;
  /** To make steps fail in tests. */
  readonly operations?: FileOperations;
}

/** A grant has two refresh tokens and an access token of at most 64 KB each, in base64. */
const LARGEST_FILE = 1024 * 1024;

export class FileTokenStore implements TokenStore {
  readonly #options: FileTokenStoreOptions;
  readonly #key: GrantKey;
  #ready: Promise<void> | undefined;

  constructor(options: FileTokenStoreOptions) {
    this.#options = options;
    this.#key = deriveGrantKey(options.masterKey);
  }

  async load(account: AccountName): Promise<StoredGrant | undefined> {
    const path = this.pathOf(account);
    return this.#explained(account, path, 'read', async () => {
      await this.#prepare();
      const content = await this.#read(path);
      return content === undefined ? undefined : openGrant(account, content, this.#key);
    });
  }

  async save(account: AccountName, grant: StoredGrant): Promise<void> {
    const path = this.pathOf(account);
    const { operations } = this.#options;
    await this.#explained(account, path, 'written', async () => {
      await this.#prepare();
      await replaceFile(path, sealGrant(account, grant, this.#key), operations === undefined ? {} : { operations });
    });
  }

  /** The file of an account. Its name can be read by people, and is safe and different whatever characters or case the account's name has. */
  pathOf(account: AccountName): string {
    const readable = account
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .slice(0, 32);
    const digest = createHash('sha256').update(account, 'utf8').digest('hex').slice(0, 16);
    return join(this.#options.directory, `${readable}.${digest}.grant`);
  }

  /** Once; again after a failure, since the operator may have put it right. */
  async #prepare(): Promise<void> {
    this.#ready ??= this.#openDirectory();
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
  }

  async #openDirectory(): Promise<void> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const stats = await lstat(directory);
    if (!stats.isDirectory()) throw new Error('it is in a directory that is a symbolic link or a file');
    if (isTooOpen(stats.mode)) {
      await chmod(directory, 0o700);
      this.#warnOfPermissions(directory, stats.mode, '0700');
    }
    await removeStaleTemporaries(directory);
  }

  async #read(path: string): Promise<Buffer | undefined> {
    let file: FileHandle;
    try {
      // Symbolic links and FIFOs have no business here.
      file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
    try {
      const stats = await file.stat();
      if (!stats.isFile() || stats.size > LARGEST_FILE) throw new Error('it is not a grant file');
      if (isTooOpen(stats.mode)) {
        await file.chmod(0o600);
        this.#warnOfPermissions(path, stats.mode, '0600');
      }
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  #warnOfPermissions(file: string, mode: number, now: string): void {
    const was = (mode & 0o777).toString(8).padStart(4, '0');
    this.#options.log.warn({ event: 'permissions-corrected', file }, `others could read ${file} (mode ${was}); it is ${now} now`);
  }

  async #explained<Result>(account: AccountName, path: string, verb: string, action: () => Promise<Result>): Promise<Result> {
    try {
      return await action();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new ProblemError(problem('TOKEN_STORE_FAILED', `the stored grant of ${account} could not be ${verb}: ${path}: ${why}`), {
        cause: error,
      });
    }
  }
}

/** Windows has no such permissions and reports all as open. */
function isTooOpen(mode: number): boolean {
  return process.platform !== 'win32' && (mode & 0o077) !== 0;
}
