/**
 * A message's octets into a file: durable when done, or for as long as it is open.
 *
 * @packageDocumentation
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import type { FetchedMessage } from '../../core/ports/message-sink.ts';
import { type Problem, problem } from '../../core/problem.ts';
import { ReadFailure, readContent } from './read-content.ts';

/** Write and sync; what was there under the name is overwritten. @throws ReadFailure, what the file system throws, or the signal's reason. */
export async function writeContent(path: string, message: FetchedMessage, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await fill(file, message, signal);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Write to a file that is gone when it is closed. What a kill left under the name is overwritten.
 *
 * @returns Open for reading, at its first octet; for the caller to close.
 * @throws As {@link writeContent}.
 */
export async function writeScratch(path: string, message: FetchedMessage, signal: AbortSignal): Promise<FileHandle> {
  const file = await open(path, 'w', 0o600);
  try {
    await fill(file, message, signal);
    // Not the one that was written by: that one's position is at the end.
    return await open(path, 'r');
  } finally {
    await file.close();
    await unlink(path);
  }
}

async function fill(file: FileHandle, message: FetchedMessage, signal: AbortSignal): Promise<void> {
  for await (const chunk of readContent(message, signal)) {
    signal.throwIfAborted();
    await writeAll(file, chunk);
  }
  signal.throwIfAborted(); // A source may end early where it is called off.
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

/** What kept a message from being written. @throws What the mailbox threw, or the signal's reason, which are not about the file. */
export function storageProblem(path: string, error: unknown, signal: AbortSignal): Problem {
  if (error instanceof ReadFailure) throw error.reason;
  signal.throwIfAborted();
  return problem('FETCH_SINK_FAILED', `${path}: ${error instanceof Error ? error.message : String(error)}`);
}
