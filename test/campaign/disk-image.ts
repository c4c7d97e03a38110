/**
 * An ext4 file system in a file, whose power can be cut: the image is copied as it is, and the copy mounted in its place. What the file system had not
 * written by then is not in the copy.
 *
 * @packageDocumentation
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const UNMOUNT = 'umount';

const TMPFS = 0x01021994;

/** In memory where there is room, since copying is most of the work; what ext4 has written is what counts, not where its image lies. */
async function roomyDirectory(): Promise<string> {
  const inMemory = '/dev/shm';
  const free = await statfs(inMemory).then(
    ({ bavail, bsize, type }) => (type === TMPFS ? bavail * bsize : 0),
    () => 0, // There is no such thing here.
  );
  return free > 100e6 ? inMemory : tmpdir();
}

export class DiskImage {
  readonly #directory: string;
  readonly mountPoint: string;
  #number = 0;
  #isMounted = false;
  readonly #atExit = (): void => this.#unmountNow();
  /** Node unmounts nothing when a signal ends it. */
  readonly #atSignal = (): void => process.exit(130);

  private constructor(directory: string) {
    this.#directory = directory;
    this.mountPoint = join(directory, 'mounted');
  }

  /** Makes an empty file system and mounts it, with the image in a new directory. To be removed after use. */
  static async make(): Promise<DiskImage> {
    const image = new DiskImage(await mkdtemp(join(await roomyDirectory(), 'postern-image-')));
    process.on('exit', image.#atExit);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, image.#atSignal);
    try {
      await mkdir(image.mountPoint);
      await execute('truncate', ['-s', '16M', image.#path()]);
      await execute('mkfs.ext4', ['-q', '-F', image.#path()]);
      await image.#mount();
      return image;
    } catch (error) {
      await image.remove();
      throw error;
    }
  }

  /** From now on only what had reached the disk is there. Nobody may have a file open on it. */
  async cutPower(): Promise<void> {
    const before = this.#path();
    this.#number += 1;
    await execute('cp', ['--sparse=always', before, this.#path()]);
    await this.#unmount();
    await rm(before);
    await this.#mount();
  }

  async remove(): Promise<void> {
    try {
      if (this.#isMounted) await this.#unmount();
    } finally {
      this.#unmountNow();
      process.off('exit', this.#atExit);
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, this.#atSignal);
      await rm(this.#directory, { recursive: true, force: true });
    }
  }

  async #mount(): Promise<void> {
    await execute('mount', ['-o', 'loop', this.#path(), this.mountPoint]);
    this.#isMounted = true;
  }

  async #unmount(): Promise<void> {
    await execute(UNMOUNT, [this.mountPoint]);
    this.#isMounted = false;
  }

  /** The last resort: detached even where it is in use. */
  #unmountNow(): void {
    if (this.#isMounted) spawnSync(UNMOUNT, ['--lazy', this.mountPoint]);
    this.#isMounted = false;
  }

  #path(): string {
    return join(this.#directory, `${this.#number}.img`);
  }
}

/** Why images cannot be mounted here; undefined where they can. */
export async function diskImageObstacle(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'mounting an image needs root';
  try {
    await (await DiskImage.make()).remove();
    return undefined;
  } catch (error) {
    return `no image can be mounted: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
}
