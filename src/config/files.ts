/**
 * Reads the files that a configuration names: secrets, certificates, the configuration itself.
 *
 * A file that others may write is refused, since they could make Postern send as they like; one that others may read is worth a notice.
 * What is read is bounded, must be a regular file (a device or pipe could go on for ever) and must be UTF-8.
 *
 * @packageDocumentation
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Findings, Path } from './findings.ts';

/** Configurations and CA bundles fit in this many octets; a secret is never larger. */
const MOST_OCTETS = 1024 * 1024;

/** How a file is treated. */
export interface Treatment {
  /** Others who may read it are worth a notice. */
  readonly isSecret: boolean;
  /** It may be absent; then nothing is said. */
  readonly isOptional?: boolean;
}

/** Reads files relative to one folder and remembers which. */
export class ConfigFiles {
  /** Absolute paths, in the order they were first asked for. Also of files that are missing: they may appear. */
  readonly paths = new Set<string>();
  readonly #findings: Findings;
  readonly #folder: string;
  readonly #modes = new Map<string, number>();
  /** Undefined where the platform has no owners. */
  readonly #userId: number | undefined;

  constructor(folder: string, findings: Findings) {
    this.#folder = folder;
    this.#findings = findings;
    this.#userId = process.getuid?.();
  }

  /** Absolute path of the folder that relative paths start from. */
  get folder(): string {
    return this.#folder;
  }

  /** Absolute form of a path in the configuration. */
  absolute(path: string): string {
    return resolve(this.#folder, path);
  }

  /**
   * @param path - Where the file is, relative to the folder.
   * @param at - The key that names it, for findings.
   * @returns Undefined where it could not be read; the findings say why.
   */
  async read(path: string, at: Path, treatment: Treatment): Promise<string | undefined> {
    const file = this.absolute(path);
    this.paths.add(file);
    try {
      // Non-blocking: opening a pipe without a writer would otherwise wait for ever.
      await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) =>
        this.#openFailed(error, file, at, treatment),
      );
      return handle === undefined ? undefined : await this.#readChecked(handle, file, at, treatment);
    } catch (error) {
      this.#findings.problem(at, `cannot read ${file}: ${reasonOf(error)}`);
      return undefined;
    }
  }

  /**
   * Say so where a file that is read at each use, and so not remembered here, could not be read now.
   *
   * @param at - The key that names it, for findings.
   */
  async probe(path: string, at: Path): Promise<void> {
    const file = this.absolute(path);
    try {
      await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
      if (!(await handle.stat()).isFile()) this.#findings.problem(at, `${file} is not a regular file`);
    } catch (error) {
      this.#findings.problem(at, `cannot read ${file}: ${reasonOf(error)}`);
    }
  }

  #openFailed(error: unknown, file: string, at: Path, { isOptional }: Treatment): undefined {
    if (isOptional === true && codeOf(error) === 'ENOENT') return undefined;
    this.#findings.problem(at, `cannot read ${file}: ${reasonOf(error)}`);
    return undefined;
  }

  async #readChecked(handle: FileHandle, file: string, at: Path, treatment: Treatment): Promise<string | undefined> {
    const status = await handle.stat();
    this.#modes.set(file, status.mode);
    if (!status.isFile()) return this.#refuse(at, `${file} is not a regular file`);
    this.#checkAccess(file, status.mode, status.uid, at, treatment);
    if (status.size > MOST_OCTETS) return this.#refuse(at, `${file} is larger than 1 MB`);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await handle.readFile());
    } catch {
      return this.#refuse(at, `${file} is not UTF-8 text`);
    }
  }

  #refuse(at: Path, message: string): undefined {
    this.#findings.problem(at, message);
    return undefined;
  }

  #checkAccess(file: string, mode: number, owner: number, at: Path, { isSecret }: Treatment): void {
    if (this.#userId === undefined) return;
    if ((mode & 0o002) !== 0) this.#findings.problem(at, `${file} may be written by everybody: chmod o-w it`);
    if (owner !== 0 && owner !== this.#userId) this.#findings.notice(at, `${file} belongs to another user (id ${owner})`);
    if (isSecret) this.noticeReaders(file, at);
  }

  /** Say so where others may read `file` (absolute, read before), which holds a secret. */
  noticeReaders(file: string, at: Path): void {
    const mode = this.#modes.get(file) ?? 0;
    if (this.#userId === undefined || (mode & 0o044) === 0) return;
    const readers = (mode & 0o004) === 0 ? 'its group' : 'everybody';
    this.#findings.notice(at, `${file} holds a secret and may be read by ${readers}: chmod 600 it`);
  }
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** Why, in words; never the content. */
function reasonOf(error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a directory';
    default:
      return code ?? 'unknown error';
  }
}
