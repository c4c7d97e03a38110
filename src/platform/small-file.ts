/**
 * Reads a small text file that something else writes: bounded, and never from a device or pipe, which could go on for ever.
 *
 * @packageDocumentation
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * @param most - Octets; a larger file is refused.
 * @throws Error of node:fs, or one that says what is wrong with the file. Neither holds anything of its content.
 */
export async function readSmallFile(path: string, most: number): Promise<string> {
  // Non-blocking: opening a pipe without a writer would otherwise wait for ever. Links are followed: Kubernetes projects tokens as such.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new Error('it is not a regular file');
    const content = Buffer.alloc(most + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(content, length, content.length - length, length);
      length += bytesRead;
      if (bytesRead === 0 || length > most) break;
    }
    if (length > most) throw new Error(`it has more than ${most} octets`);
    return content.toString('utf8', 0, length);
  } finally {
    await file.close();
  }
}
