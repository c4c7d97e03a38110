/**
 * Messages as pairs of files: `KEY.eml` with the octets, then `KEY.json` with what the mailbox says of them.
 *
 * Whoever reads the directory waits for the `.json`: once it is there, both are whole. A message that is offered again replaces its own files.
 *
 * @packageDocumentation
 */
import { mkdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { FetchedMessage, MessageSink, SinkOutcome } from '../../core/ports/message-sink.ts';
import { replaceFile } from '../../platform/atomic-file.ts';
import { storageProblem, syncDirectory, writeContent } from './write-content.ts';

export class DirectorySink implements MessageSink {
  readonly description: string;
  readonly #path: string;

  /** @param path - Absolute. */
  constructor(path: string) {
    this.#path = path;
    this.description = `directory ${path}`;
  }

  async deliver(message: FetchedMessage, signal: AbortSignal): Promise<SinkOutcome> {
    const temporary = join(this.#path, `.${message.key}.eml.tmp`);
    try {
      await mkdir(this.#path, { recursive: true, mode: 0o700 });
      await writeContent(temporary, message, signal);
      await rename(temporary, join(this.#path, `${message.key}.eml`));
      await syncDirectory(this.#path);
      await replaceFile(join(this.#path, `${message.key}.json`), Buffer.from(`${JSON.stringify(describe(message), undefined, 2)}\n`));
      return { kind: 'stored', detail: `${message.key}.eml` };
    } catch (error) {
      await unlink(temporary).catch(() => undefined); // The next offer writes it anew.
      return { kind: 'later', problem: storageProblem(this.#path, error, signal) };
    }
  }

  async close(): Promise<void> {}
}

function describe({ key, rule, account, mailbox, uidValidity, uid, receivedAt, flags }: FetchedMessage): Record<string, unknown> {
  const arrived = receivedAt === undefined ? {} : { receivedAt: receivedAt.toISOString() };
  return { key, rule, account, mailbox, uidValidity: String(uidValidity), uid, ...arrived, flags };
}
