/**
 * A message's octets into a file, durable when done.
 *
 * @packageDocumentation
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { FetchedMessage } from '../../core/ports/message-sink.ts';
import { type Problem, problem } from '../../core/problem.ts';

/**
 * Write and sync; what was there under the name is overwritten.
 *
 * @param onReadFailure - Hears what the mailbox threw, so that it can be told from trouble with the file.
 * @throws What the mailbox or the file system throws, or the signal's reason.
 */
export async function writeContent(
  path: string,
  message: FetchedMessage,
  signal: AbortSignal,
  onReadFailure: (error: unknown) => void,
): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    const chunks = message.content(signal)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await readNext(chunks, onReadFailure);
        signal.throwIfAborted();
        if (next.done === true) break;
        await writeAll(file, next.value);
      }
    } finally {
      await chunks.return?.();
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readNext(chunks: AsyncIterator<Buffer>, onFailure: (error: unknown) => void): Promise<IteratorResult<Buffer>> {
  try {
    return await chunks.next();
  } catch (error) {
    onFailure(error);
    throw error;
  }
}

/** On a full disk `write` returns a short count and no error; only the next call tells. */
async function writeAll(file: FileHandle, octets: Buffer): Promise<void> {
  for (let written = 0; written < octets.length; ) {
    const { bytesWritten } = await file.write(octets, written, octets.length - written);
    if (bytesWritten === 0) throw new Error(`wrote ${written} of ${octets.length} octets, then nothing`);
    written += bytesWritten;
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** What the file system said. */
export function storageProblem(path: string, error: unknown): Problem {
  return problem('FETCH_SINK_FAILED', `${path}: ${error instanceof Error ? error.message : String(error)}`);
}
