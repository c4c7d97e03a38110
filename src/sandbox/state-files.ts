/**
 * The sandbox's own files: written whole or not at all, with the mode they need from the first moment.
 *
 * Nothing here has to survive a power cut, so nothing is synced.
 *
 * @packageDocumentation
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A folder to keep files in; without a path everything is forgotten at the end. */
export class StateFiles {
  readonly #stateDir: string | undefined;
  readonly #directory: string | undefined;

  /** @param stateDir - Files go to its folder `sandbox`. */
  constructor(stateDir: string | undefined) {
    this.#stateDir = stateDir;
    this.#directory = stateDir === undefined ? undefined : join(stateDir, 'sandbox');
  }

  /** Undefined where there is no such file. */
  async read(name: string): Promise<string | undefined> {
    if (this.#directory === undefined) return undefined;
    try {
      return await readFile(join(this.#directory, name), 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async write(name: string, content: string, mode: 0o600 | 0o644): Promise<void> {
    if (this.#directory === undefined || this.#stateDir === undefined) return;
    // The state folder holds other secrets too; within it, the CA is for all who may come that far.
    await mkdir(this.#stateDir, { recursive: true, mode: 0o700 });
    await mkdir(this.#directory, { recursive: true, mode: 0o755 });
    const path = join(this.#directory, name);
    const temporary = `${path}.${process.pid}.tmp`;
    await writeFile(temporary, content, { mode });
    await rename(temporary, path);
  }
}
