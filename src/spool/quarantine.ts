/**
 * Where damaged entries go: whole, with the reason beside them, for a person to look at. Nothing in here is ever delivered.
 *
 * Each item is `NAME.json` (reason, place, and the entry as far as it is known), `NAME.bin` (the octets found, if any) and `NAME.wire` (content, if
 * any). NAME is the queue id where that is known. An item that was written before is written again.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import type { EpochMs } from '../core/clock.ts';
import type { QueueId } from '../core/ids.ts';
import type { Log } from '../core/ports/log.ts';
import { problem } from '../core/problem.ts';
import type { SpoolEntry } from '../core/spool-entry.ts';
import { type FileSystem, writeFully } from '../platform/files.ts';
import { errnoOf } from './failure.ts';

/** Something to set aside. */
export interface QuarantineItem {
  /** One line for the operator. */
  readonly reason: string;
  /** `debris` of a write that never finished belongs to no accepted message, and alarms nobody. */
  readonly kind: 'entry' | 'unknown' | 'debris';
  readonly segment?: number;
  readonly offset?: number;
  readonly entry?: SpoolEntry;
  /** The octets found. */
  readonly octets?: Uint8Array;
  readonly content?: Uint8Array;
  /** Path of a content file, to be moved here; it may be missing. */
  readonly contentPath?: string;
}

/** What a quarantine needs. */
export interface QuarantineOptions {
  readonly directory: string;
  readonly files: FileSystem;
  readonly log: Log;
}

const SAFE_NAME = /^[0-9A-Za-z-]{1,64}$/;

export class Quarantine {
  readonly #options: QuarantineOptions;
  readonly #names = new Set<string>();

  constructor(options: QuarantineOptions) {
    this.#options = options;
  }

  /** Items that are not debris. */
  get count(): number {
    return this.#names.size;
  }

  /** Count what is there. @throws Error of node:fs. */
  async load(): Promise<void> {
    const { files, directory } = this.#options;
    for (const name of await files.list(directory)) {
      if (name.endsWith('.json') && !name.startsWith('debris-')) this.#names.add(name.slice(0, -'.json'.length));
    }
  }

  /** @returns False where it could not be written; the caller tries again at the next start. Never throws. */
  async keep(item: QuarantineItem, now: EpochMs): Promise<boolean> {
    const name = nameOf(item);
    const { log } = this.#options;
    const what = problem('SPOOL_DAMAGED', item.reason);
    const fields = { problem: what, file: `${name}.json`, ...namesOf(item.entry) };
    if (item.kind !== 'debris') this.#names.add(name);
    try {
      await this.#write(name, item, now);
    } catch (error) {
      log.error({ ...fields, event: 'spool-quarantine-failed', error }, 'damage found in the queue, and it could not be set aside');
      return false;
    }
    if (item.kind === 'debris')
      log.info({ ...fields, event: 'spool-debris' }, 'removed what an interrupted write had left; no accepted message is concerned');
    else log.error({ ...fields, event: 'spool-quarantined' }, 'damage found in the queue; set aside whole and not delivered');
    return true;
  }

  async #write(name: string, item: QuarantineItem, now: EpochMs): Promise<void> {
    const { files, directory } = this.#options;
    const { octets, content, contentPath, reason, kind, segment, offset, entry } = item;
    if (octets !== undefined) await this.#writeFile(`${name}.bin`, octets);
    if (content !== undefined) await this.#writeFile(`${name}.wire`, content);
    if (contentPath !== undefined) await this.#move(contentPath, `${name}.wire`);
    const text = JSON.stringify({ reason, kind, foundAt: new Date(now).toISOString(), segment, offset, entry }, null, 2);
    await this.#writeFile(`${name}.json`, Buffer.from(`${text}\n`));
    await files.syncDirectory(directory);
  }

  async #move(path: string, name: string): Promise<void> {
    try {
      await this.#options.files.rename(path, join(this.#options.directory, name));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  async #writeFile(name: string, octets: Uint8Array): Promise<void> {
    const { files, directory } = this.#options;
    const path = join(directory, name);
    await files.unlink(path).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error;
    });
    const file = await files.open(path, 'create');
    try {
      await writeFully(file, [octets], 0);
      await file.datasync();
    } finally {
      await file.close();
    }
  }
}

function namesOf(entry: SpoolEntry | undefined): { queueId?: QueueId; messageId?: string } {
  return entry === undefined ? {} : { queueId: entry.queueId, messageId: entry.messageId };
}

function nameOf({ kind, entry, segment = 0, offset = 0, contentPath }: QuarantineItem): string {
  if (entry !== undefined && SAFE_NAME.test(entry.queueId)) return entry.queueId;
  if (contentPath !== undefined) return `content-${/([0-9a-f]+)\.wire$/.exec(contentPath)?.[1] ?? 'file'}`;
  return `${kind === 'debris' ? 'debris' : 'record'}-${segment}-${offset}`;
}
