/**
 * Keeps each account's grant in a file of its own, encrypted, replaced whole.
 *
 * The directory has mode 0700 and the files 0600; looser permissions are put right with a warning. A file that cannot be decrypted stays as it
 * is: with the right key it is good again. Where there are several keys any of them opens a grant, and the newest closes it at the next save.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, type FileHandle, lstat, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AccountName } from '../core/account.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { StoredGrant, TokenStore } from '../core/ports/token-store.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { type FileOperations, isErrno, removeStaleTemporaries, replaceFile } from '../platform/atomic-file.ts';
import type { KeyList, StateKeys } from '../platform/key-file.ts';
import { systemClock } from '../platform/system-clock.ts';
import { GrantLocks } from './grant-lock.ts';
import { deriveGrantKey, type GrantKey, keyIdOf, openGrant, sealGrant, UnknownKeyError } from './sealed-grant.ts';

/** What the store needs. */
export interface FileTokenStoreOptions {
  /** Usually `tokens` in state.dir; created where it is missing. */
  readonly directory: string;
  /** 32 octets, or all keys of a file that may change: platform/key-file.ts. */
  readonly masterKey: Uint8Array | StateKeys;
  readonly log: Log;
  /** For waiting until another process has finished. */
  readonly clock?: Clock;
  /** To make steps fail in tests. */
  readonly operations?: FileOperations;
}

/** A grant has two refresh tokens and an access token of at most 64 KB each, in base64. */
const LARGEST_FILE = 1024 * 1024;

export class FileTokenStore implements TokenStore {
  readonly #options: FileTokenStoreOptions;
  #keys: readonly [GrantKey, ...GrantKey[]];
  readonly #locks: GrantLocks;
  #ready: Promise<void> | undefined;

  constructor(options: FileTokenStoreOptions) {
    this.#options = options;
    const { masterKey } = options;
    this.#keys = deriveAll(masterKey instanceof Uint8Array ? [masterKey] : masterKey.keys);
    this.#locks = new GrantLocks(options.clock ?? systemClock, options.log);
  }

  async load(account: AccountName): Promise<StoredGrant | undefined> {
    const path = this.pathOf(account);
    return this.#explained(account, path, 'read', async () => {
      await this.#prepare();
      const content = await this.#read(path);
      return content === undefined ? undefined : this.#open(account, content);
    });
  }

  async markOf(account: AccountName): Promise<string | undefined> {
    try {
      // Each save makes a new file; an inode may be used again, but not at the same moment.
      const { ino, ctimeNs, size } = await lstat(this.pathOf(account), { bigint: true });
      return `${ino}.${ctimeNs}.${size}`;
    } catch {
      return undefined; // As the port says; loading tells why.
    }
  }

  async save(account: AccountName, grant: StoredGrant): Promise<void> {
    const path = this.pathOf(account);
    const { operations } = this.#options;
    await this.#explained(account, path, 'written', async () => {
      await this.#prepare();
      const [newest] = await this.#lookForNewerKey();
      await replaceFile(path, sealGrant(account, grant, newest), operations === undefined ? {} : { operations });
    });
  }

  async exclusively<Result>(account: AccountName, action: () => Promise<Result>): Promise<Result> {
    const path = this.pathOf(account);
    await this.#explained(account, path, 'locked', () => this.#prepare());
    return this.#locks.hold(`${path}.lock`, `the tokens of ${account}`, action);
  }

  /**
   * Encrypt an account's grant with the newest key, where it is not already. Waits for its turn, even where there is nothing yet: whoever writes
   * the first grant of the account just now may not have seen the newest key.
   *
   * @returns True where it was encrypted anew.
   * @throws ProblemError as {@link load} and {@link save}; what is there stays as it is.
   */
  async reseal(account: AccountName): Promise<boolean> {
    return this.exclusively(account, async () => {
      const grant = await this.load(account);
      if (grant === undefined) return false;
      const content = await this.#explained(account, this.pathOf(account), 'read', () => this.#read(this.pathOf(account)));
      if (content !== undefined && keyIdOf(content) === (await this.#lookForNewerKey())[0].id) return false;
      await this.save(account, grant);
      return true;
    });
  }

  /**
   * The grant files of all accounts, configured or not, with the id of the key that each is encrypted with; undefined for one that is damaged.
   *
   * @throws ProblemError `TOKEN_STORE_FAILED`
   */
  async keysInUse(): Promise<ReadonlyMap<string, string | undefined>> {
    const { directory } = this.#options;
    return this.#explained('all accounts', directory, 'listed', async () => {
      await this.#prepare();
      const inUse = new Map<string, string | undefined>();
      for (const name of (await readdir(directory)).filter((each) => each.endsWith('.grant'))) {
        const content = await this.#read(join(directory, name));
        if (content !== undefined) inUse.set(join(directory, name), keyIdIn(content));
      }
      return inUse;
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

  async #open(account: AccountName, content: Uint8Array): Promise<StoredGrant> {
    try {
      return openGrant(account, content, this.#keys);
    } catch (error) {
      if (!(error instanceof UnknownKeyError)) throw error;
      return openGrant(account, content, await this.#lookForNewerKey());
    }
  }

  /** `postern rotate-key` may have run since we last looked. A key file that cannot be read now must not keep a rotated token from being saved. */
  async #lookForNewerKey(): Promise<readonly [GrantKey, ...GrantKey[]]> {
    const { masterKey, log } = this.#options;
    if (masterKey instanceof Uint8Array) return this.#keys;
    try {
      this.#keys = deriveAll(await masterKey.reread());
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      log.warn(
        { event: 'key-file-unreadable', problem: error.problem },
        'the key file cannot be read now; going on with the key known before',
      );
    }
    return this.#keys;
  }

  /** In full once; again after a failure, since the operator may have put it right, and where the directory has been removed since. */
  async #prepare(): Promise<void> {
    const { directory, log } = this.#options;
    const isKnown = this.#ready !== undefined;
    this.#ready ??= this.#openDirectory();
    try {
      await this.#ready;
      if (!isKnown || (await makeDirectory(directory)) === undefined) return;
      log.warn({ event: 'token-folder-remade', file: directory }, `${directory} was removed while Postern ran; it is there again, empty`);
    } catch (error) {
      this.#ready = undefined;
      throw error;
    }
  }

  async #openDirectory(): Promise<void> {
    const { directory } = this.#options;
    await makeDirectory(directory);
    const stats = await lstat(directory);
    if (!stats.isDirectory()) throw new Error('it is in a directory that is a symbolic link or a file');
    if (isTooOpen(stats.mode)) {
      await chmod(directory, 0o700);
      this.#warnOfPermissions(directory, stats.mode, '0700');
    }
    for (const { path, error } of await removeStaleTemporaries(directory)) {
      this.#options.log.warn({ event: 'leftover-not-removed', file: path, error }, `${path}, left by a killed process, cannot be removed`);
    }
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

const deriveAll = ([newest, ...older]: KeyList): readonly [GrantKey, ...GrantKey[]] => [
  deriveGrantKey(newest),
  ...older.map(deriveGrantKey),
];

/** Undefined where it was there. */
const makeDirectory = (path: string): Promise<string | undefined> => mkdir(path, { recursive: true, mode: 0o700 });

function keyIdIn(content: Uint8Array): string | undefined {
  try {
    return keyIdOf(content);
  } catch {
    return undefined; // Damaged: no key opens it.
  }
}

/** Windows has no such permissions and reports all as open. */
function isTooOpen(mode: number): boolean {
  return process.platform !== 'win32' && (mode & 0o077) !== 0;
}
