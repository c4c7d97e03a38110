/**
 * The spool of a configuration: where it is and what it may hold. The relay opens it, and so do commands while no relay runs.
 *
 * @packageDocumentation
 */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { mebibytes, type Octets, octets } from '../core/octets.ts';
import type { Log } from '../core/ports/log.ts';
import { isErrno } from '../platform/atomic-file.ts';
import { systemFiles } from '../platform/files.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { SegmentSpool } from '../spool/segment-spool.ts';

/** More messages than these are a mistake somewhere: an index of a million takes about 1 GB of memory. */
const MOST_ENTRIES = 1_000_000;
/** What is left to others on the disk; tokens and pace are written there, too. */
const MIN_FREE = mebibytes(64);
/** On a small disk (a tmpfs of 64 MB in a container) that would be all of it, and no message ever accepted: then this part of it. */
const MIN_FREE_PART = 1 / 8;

export const spoolDirectory = ({ state }: Pick<Config, 'state'>): string => join(state.dir, 'spool');

/** Lock the spool and read it. @throws ProblemError `SPOOL_LOCKED`, `SPOOL_FORMAT_NEWER`, `SPOOL_FAILED` */
export async function openSpool(config: Pick<Config, 'state' | 'delivery'>, log: Log): Promise<SegmentSpool> {
  return SegmentSpool.open({
    dir: spoolDirectory(config),
    quota: { octets: config.delivery.queueLimit, entries: MOST_ENTRIES },
    minFree: await keptFree(config.state.dir),
    clock: systemClock,
    random: systemRandom,
    log,
    files: systemFiles,
  });
}

/** The state directory has been made by now, since its key is in there; where it has not, the spool says what is wrong. */
async function keptFree(dir: string): Promise<Octets> {
  try {
    const { blocks, bsize } = await statfs(dir);
    return octets(Math.min(MIN_FREE, Math.floor(blocks * bsize * MIN_FREE_PART)));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return MIN_FREE;
    throw error;
  }
}
