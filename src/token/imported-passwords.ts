/**
 * Hashes of the passwords that applications have brought along from email-oauth2-proxy, a file for each client in the state directory.
 *
 * The configuration is the operator's and stays as it is. A file belongs to the sealed tokens that the password has opened; with others in
 * the configuration it counts no more. What is damaged counts as not there: the next login with the right password writes it anew.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ProblemError, problem } from '../core/problem.ts';
import { isErrno, replaceFile } from '../platform/atomic-file.ts';
import { isPasswordHash } from '../platform/password.ts';

const FORMAT = 'postern-imported-password';

export class ImportedPasswords {
  readonly #directory: string;
  /** What has been read or written, by client. */
  readonly #known = new Map<string, { readonly seal: string; readonly hash: string }>();

  /** @param directory - Created at the first password. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * @param seal - Digest of the sealed tokens that the configuration has for the client.
   * @returns The hash, undefined while no password has opened them.
   * @throws ProblemError `IMPORT_STATE_FAILED` where a file is there and cannot be read.
   */
  async load(client: string, seal: string): Promise<string | undefined> {
    const known = this.#known.get(client);
    if (known !== undefined) return known.seal === seal ? known.hash : undefined;
    const path = this.#pathOf(client);
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw failed(client, path, 'read', error);
    }
    const found = parse(text, client);
    if (found === undefined) return undefined;
    this.#known.set(client, found);
    return found.seal === seal ? found.hash : undefined;
  }

  /** Durable when the promise resolves. @throws ProblemError `IMPORT_STATE_FAILED` */
  async save(client: string, seal: string, hash: string): Promise<void> {
    const path = this.#pathOf(client);
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      await replaceFile(path, Buffer.from(`${JSON.stringify({ format: FORMAT, version: 1, client, seal, hash })}\n`));
    } catch (error) {
      throw failed(client, path, 'written', error);
    }
    this.#known.set(client, { seal, hash });
  }

  /** Names differ whatever their case, on file systems that overlook it too. */
  #pathOf(client: string): string {
    const readable = client.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
    return join(this.#directory, `${readable.slice(0, 32)}.${createHash('sha256').update(client).digest('hex').slice(0, 16)}.json`);
  }
}

function parse(text: string, client: string): { readonly seal: string; readonly hash: string } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined; // Damaged.
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Record<string, unknown>;
  const { seal, hash } = fields;
  if (fields['format'] !== FORMAT || fields['version'] !== 1 || fields['client'] !== client) return undefined;
  return typeof seal === 'string' && typeof hash === 'string' && isPasswordHash(hash) ? { seal, hash } : undefined;
}

function failed(client: string, path: string, verb: string, error: unknown): ProblemError {
  const why = error instanceof Error ? error.message : String(error);
  return new ProblemError(
    problem('IMPORT_STATE_FAILED', `the taken-over password of client ${client} could not be ${verb}: ${path}: ${why}`),
    {
      cause: error,
    },
  );
}
