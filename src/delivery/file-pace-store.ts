/**
 * The pace of all accounts in one small file, replaced whole.
 *
 * @packageDocumentation
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { AccountName } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import type { PaceBucket, PaceRecord, PaceStore } from '../core/ports/pace-store.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { isErrno, replaceFile } from '../platform/atomic-file.ts';
import { readSmallFile } from '../platform/small-file.ts';

const VERSION = 1;
/** 10,000 accounts with a day of buckets each would be smaller. */
const LARGEST = 32 * 1024 * 1024;

export class FilePaceStore implements PaceStore {
  readonly #path: string;

  /** @param path - Absolute. Its folder is made, with mode 0700, if it is not there. */
  constructor(path: string) {
    this.#path = path;
  }

  async load(): Promise<PaceRecord> {
    try {
      return decode(await readSmallFile(this.#path, LARGEST));
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return new Map();
      throw failed('reading', this.#path, error);
    }
  }

  async save(record: PaceRecord): Promise<void> {
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      await replaceFile(this.#path, Buffer.from(encode(record)));
    } catch (error) {
      throw failed('writing', this.#path, error);
    }
  }
}

function encode(record: PaceRecord): string {
  const accounts = [...record].map(([name, buckets]) => [name, buckets.map(({ from, recipients }) => [from, recipients])]);
  return `${JSON.stringify({ version: VERSION, accounts })}\n`;
}

/** @throws Error where it is not what {@link encode} makes. */
function decode(text: string): PaceRecord {
  const document: unknown = JSON.parse(text);
  if (!isObject(document) || document['version'] !== VERSION || !Array.isArray(document['accounts']))
    throw new Error('not a record of pace');
  return new Map(document['accounts'].map(decodeAccount));
}

function decodeAccount(entry: unknown): [AccountName, PaceBucket[]] {
  if (!Array.isArray(entry) || typeof entry[0] !== 'string' || !Array.isArray(entry[1])) throw new Error('not an account');
  return [entry[0], entry[1].map(decodeBucket)];
}

function decodeBucket(entry: unknown): PaceBucket {
  const [from, recipients]: unknown[] = Array.isArray(entry) ? entry : [];
  if (!isCount(from) || !isCount(recipients)) throw new Error('not a count');
  return { from: from as EpochMs, recipients };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

function failed(doing: string, path: string, error: unknown): ProblemError {
  const why = error instanceof Error ? error.message : String(error);
  return new ProblemError(problem('PACE_STORE_FAILED', `${doing} ${path}: ${why}`), { cause: error });
}
