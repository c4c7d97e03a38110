/**
 * Paths for Unix domain sockets, which the system limits to about 100 octets, and Node cuts off at that without a word.
 *
 * A longer path is reached through an open descriptor of its folder: Linux lets `/proc/self/fd/N` stand for it.
 *
 * Source: unix(7) (`sun_path`), proc(5).
 *
 * @packageDocumentation
 */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

/** A path that fits, for as long as it is open. */
export interface SocketPath {
  readonly path: string;
  close(): Promise<void>;
}

/** 104 on macOS, 108 on Linux, with the NUL at the end. */
const LONGEST = 103;

/** @throws Error of node:fs, or one saying that the path is too long. */
export async function openSocketPath(path: string): Promise<SocketPath> {
  if (Buffer.byteLength(path) <= LONGEST) return { path, close: () => Promise.resolve() };
  if (process.platform !== 'linux') throw new Error(`the path is longer than ${LONGEST} octets`);
  const folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${folder.fd}/${basename(path)}`, close: () => folder.close() };
}
