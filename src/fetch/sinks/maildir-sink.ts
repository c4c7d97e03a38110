/**
 * Messages as files in a Maildir: written to `tmp`, synced, then moved to `new`.
 *
 * The name comes from the message's key, so a message that is offered again, because the process died before that was noted, is recognised: in `new` always, in
 * `cur` (where a reader has moved it) for the first messages after a start, since only those can be repetitions.
 *
 * Source: Maildir(5), https://cr.yp.to/proto/maildir.html. Lines end in CRLF as in the mailbox.
 *
 * @packageDocumentation
 */
import { lstat, mkdir, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FetchedMessage, MessageSink, SinkOutcome } from '../../core/ports/message-sink.ts';
import { isErrno } from '../../platform/atomic-file.ts';
import { storageProblem, syncDirectory, writeContent } from './write-content.ts';

/** Messages that may have been handed over before the process began: one would do, since the cursor is written after each. */
const MAY_BE_REPETITIONS = 16;

export class MaildirSink implements MessageSink {
  readonly description: string;
  readonly #path: string;
  #offered = 0;
  #isMade = false;

  /** @param path - Absolute. */
  constructor(path: string) {
    this.#path = path;
    this.description = `maildir ${path}`;
  }

  async deliver(message: FetchedMessage, signal: AbortSignal): Promise<SinkOutcome> {
    const name = fileName(message);
    const temporary = join(this.#path, 'tmp', name);
    try {
      await this.#make();
      if (await this.#isThere(name)) return { kind: 'stored', detail: `${name} was there` };
      await writeContent(temporary, message, signal);
      await rename(temporary, join(this.#path, 'new', name));
      await syncDirectory(join(this.#path, 'new'));
      return { kind: 'stored', detail: name };
    } catch (error) {
      await unlink(temporary).catch(() => undefined); // The next offer writes it anew.
      return { kind: 'later', problem: storageProblem(this.#path, error, signal) };
    }
  }

  async close(): Promise<void> {}

  async #make(): Promise<void> {
    if (this.#isMade) return;
    for (const part of ['tmp', 'new', 'cur']) await mkdir(join(this.#path, part), { recursive: true, mode: 0o700 });
    await syncDirectory(this.#path);
    this.#isMade = true;
  }

  async #isThere(name: string): Promise<boolean> {
    if (await exists(join(this.#path, 'new', name))) return true;
    if (this.#offered >= MAY_BE_REPETITIONS) return false;
    this.#offered += 1;
    // A reader adds its flags: `name:2,S`.
    return (await readdir(join(this.#path, 'cur'))).some((one) => one === name || one.startsWith(`${name}:`));
  }
}

/** The same at every offer. */
function fileName({ receivedAt, key }: FetchedMessage): string {
  const time = receivedAt === undefined ? 0 : Math.max(0, Math.floor(receivedAt.getTime() / 1000));
  return `${time}.${key}.postern`;
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}
