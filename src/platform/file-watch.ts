/**
 * Notices that one of a few small files has changed.
 *
 * By content, so that a file that was touched is no news and one that was replaced twice within a tick of the clock is. The kernel's word comes at once where it
 * comes at all: it says nothing of network file systems, and of a link only when the link itself is exchanged. So it is only a hint to look earlier than at the
 * next poll. Kubernetes exchanges the link `..data` beside the files, editors and secret stores rename a new file into place: both are seen as a change of
 * the folder.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { constants, type FSWatcher, watch as watchFolder } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type DurationMs, milliseconds, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';

/** What a watch needs. */
export interface FileWatchOptions {
  readonly clock: Clock;
  /** Called once for each change that lasts; further changes are looked for only when what it returns has settled. Must not reject. */
  readonly onChange: () => Promise<void>;
}

/** Between two looks where the kernel says nothing. */
const POLL_EVERY = seconds(5);
/** A file that is being written, or several that are replaced together, should be whole before anybody reads them: nothing may change for so long. */
const SETTLE = milliseconds(150);
/** A file that never settles is read all the same. */
const MOST_SETTLING = 20;
/** Larger ones are told apart by size and time. */
const MOST_OCTETS = 1024 * 1024;

export class FileWatch {
  readonly #options: FileWatchOptions;
  /** What was last seen of each file that is watched. */
  #known: ReadonlyMap<string, string> = new Map();
  #folders = new Map<string, FSWatcher>();
  #timer: Timer | undefined;
  #isLooking = false;
  #isHinted = false;
  #isClosed = false;

  constructor(options: FileWatchOptions) {
    this.#options = options;
  }

  /**
   * Watch these files from now on, and no others.
   *
   * @param files - Absolute paths; they need not exist.
   * @returns Whether one of them was not watched before: it may have changed since it was last read, and nobody would have noticed.
   */
  async watch(files: readonly string[]): Promise<boolean> {
    const before = this.#known;
    const fresh = files.filter((file) => !before.has(file));
    const readings = new Map(await Promise.all(fresh.map(async (file) => [file, await describeFile(file)] as const)));
    this.#known = new Map(files.map((file) => [file, before.get(file) ?? readings.get(file) ?? '']));
    await this.#watchFolders();
    if (!this.#isLooking) this.#wait(POLL_EVERY);
    return fresh.length > 0;
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    for (const watcher of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }

  #wait(duration: DurationMs): void {
    this.#timer?.cancel();
    if (this.#isClosed) return;
    this.#timer = this.#options.clock.startTimer(duration, () => void this.#look(), { isBackground: true });
  }

  #hint(): void {
    this.#isHinted = true;
    if (!this.#isLooking) this.#wait(SETTLE);
  }

  async #look(): Promise<void> {
    if (this.#isLooking || this.#isClosed) return;
    this.#isLooking = true;
    this.#isHinted = false;
    const now = await this.#settled();
    if (now !== undefined && !this.#isClosed) {
      this.#known = now;
      // Links may lead elsewhere by now.
      await this.#watchFolders();
      await this.#options.onChange();
    }
    this.#isLooking = false;
    this.#wait(this.#isHinted ? SETTLE : POLL_EVERY);
  }

  /** What there is, once two readings agree; undefined where nothing has changed. */
  async #settled(): Promise<ReadonlyMap<string, string> | undefined> {
    let reading = await this.#read();
    if (isSame(reading, this.#known)) return undefined;
    for (let round = 0; round < MOST_SETTLING && !this.#isClosed; round += 1) {
      await this.#pause();
      const again = await this.#read();
      if (isSame(again, reading)) break;
      reading = again;
    }
    return reading;
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.startTimer(SETTLE, resolve, { isBackground: true }));
  }

  async #read(): Promise<ReadonlyMap<string, string>> {
    return new Map(await Promise.all([...this.#known.keys()].map(async (file) => [file, await describeFile(file)] as const)));
  }

  /** The folder of each file, and of what it leads to. */
  async #watchFolders(): Promise<void> {
    const files = [...this.#known.keys()];
    const wanted = new Set(files.map((file) => dirname(file)));
    for (const file of files) {
      const target = await realpath(file).catch(() => undefined); // Absent, or not to be followed: the folder it is named in still tells.
      if (target !== undefined) wanted.add(dirname(target));
    }
    for (const [folder, watcher] of this.#folders) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    for (const folder of wanted) if (!this.#folders.has(folder) && !this.#isClosed) this.#watchFolder(folder);
  }

  #watchFolder(folder: string): void {
    try {
      const watcher = watchFolder(folder, { persistent: false }, () => this.#hint());
      const drop = (): void => {
        watcher.close();
        if (this.#folders.get(folder) === watcher) this.#folders.delete(folder);
      };
      // Out of watches, or the folder is gone: the poll still sees everything.
      watcher.on('error', drop);
      this.#folders.set(folder, watcher);
    } catch {
      // As above.
    }
  }
}

function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([file, reading]) => other.get(file) === reading);
}

/** What tells one state of a file from another: who may do what with it, and its content; or why it cannot be read. */
async function describeFile(file: string): Promise<string> {
  try {
    // Non-blocking: opening a pipe without a writer would otherwise wait for ever.
    await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const { mode, uid, size, mtimeMs } = await handle.stat();
    const access = `${mode}:${uid}`;
    if ((mode & constants.S_IFMT) !== constants.S_IFREG || size > MOST_OCTETS) return `${access}:${size}:${mtimeMs}`;
    return `${access}:${createHash('sha256')
      .update(await handle.readFile())
      .digest('base64')}`;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
  }
}
