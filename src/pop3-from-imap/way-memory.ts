/**
 * Remembers over restarts how POP3 is served for each account: unique-ids are others at the provider's POP3 server than out of its IMAP server, and an
 * application that meets other ones takes every message for new.
 *
 * One small file, replaced whole. What is remembered holds for one mailbox at one pair of servers.
 *
 * @packageDocumentation
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Account, AccountName } from '../core/account.ts';
import type { Log } from '../core/ports/log.ts';
import { problem } from '../core/problem.ts';
import { isErrno, replaceFile } from '../platform/atomic-file.ts';
import { readSmallFile } from '../platform/small-file.ts';

/** Where messages come from. */
export type Way = 'pop3' | 'imap';

interface Remembered {
  /** Mailbox and servers. */
  readonly of: string;
  readonly way: Way;
}

const VERSION = 1;
/** 10,000 accounts would be smaller. */
const LARGEST = 8 * 1024 * 1024;

export class WayMemory {
  readonly #path: string;
  readonly #log: Log;
  #known: Promise<Map<AccountName, Remembered>> | undefined;
  #saving: Promise<void> = Promise.resolve();

  /** @param path - Absolute. Its folder is made, with mode 0700, if it is not there. */
  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** Undefined where nothing is known of the mailbox. Never rejects. */
  async wayOf(account: Account): Promise<Way | undefined> {
    const remembered = (await this.#all()).get(account.name);
    return remembered?.of === mailboxOf(account) ? remembered.way : undefined;
  }

  /** Resolves once it is on disk, or the log says why not; it holds for this process anyway. Never rejects. */
  async note(account: Account, way: Way | undefined): Promise<void> {
    const known = await this.#all();
    const before = known.get(account.name);
    if (way === undefined ? before === undefined : before?.way === way && before.of === mailboxOf(account)) return;
    if (way === undefined) known.delete(account.name);
    else known.set(account.name, { of: mailboxOf(account), way });
    this.#saving = this.#saving.then(() => this.#save(known));
    return this.#saving;
  }

  #all(): Promise<Map<AccountName, Remembered>> {
    this.#known ??= this.#load();
    return this.#known;
  }

  async #load(): Promise<Map<AccountName, Remembered>> {
    try {
      return decode(await readSmallFile(this.#path, LARGEST));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) this.#complain('reading', error);
      return new Map();
    }
  }

  async #save(known: ReadonlyMap<AccountName, Remembered>): Promise<void> {
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      const accounts = [...known].map(([name, { of, way }]) => ({ name, of, way }));
      await replaceFile(this.#path, Buffer.from(`${JSON.stringify({ version: VERSION, accounts })}\n`));
    } catch (error) {
      this.#complain('writing', error);
    }
  }

  #complain(doing: string, error: unknown): void {
    const what = problem('POP3_STATE_FAILED', `${doing} ${this.#path}: ${error instanceof Error ? error.message : String(error)}`);
    this.#log.error({ event: 'pop3-state-failed', file: this.#path, problem: what, error }, what.cause);
  }
}

function mailboxOf({ mailbox, provider: { imap, pop3 } }: Account): string {
  return [mailbox, imap?.host ?? '', pop3?.host ?? ''].join(' ');
}

/** @throws Error where it is not what was saved. */
function decode(text: string): Map<AccountName, Remembered> {
  const document: unknown = JSON.parse(text);
  if (!isObject(document) || document['version'] !== VERSION || !Array.isArray(document['accounts']))
    throw new Error('not a record of ways');
  return new Map(document['accounts'].map(decodeAccount));
}

function decodeAccount(entry: unknown): [AccountName, Remembered] {
  if (!isObject(entry)) throw new Error('not an account');
  const { name, of, way } = entry;
  if (typeof name !== 'string' || typeof of !== 'string' || (way !== 'pop3' && way !== 'imap')) throw new Error('not an account');
  return [name, { of, way }];
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
