/**
 * The spool of a configuration: where it is and what it may hold. The relay opens it, and so do commands while no relay runs.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import { mebibytes } from '../core/octets.ts';
import type { Log } from '../core/ports/log.ts';
import { systemFiles } from '../platform/files.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { SegmentSpool } from '../spool/segment-spool.ts';

/** More messages than these are a mistake somewhere: an index of a million takes about 1 GB of memory. */
const MOST_ENTRIES = 1_000_000;
/** What is left to others on the disk; tokens and pace are written there, too. */
const MIN_FREE = mebibytes(64);

export const spoolDirectory = ({ state }: Pick<Config, 'state'>): string => join(state.dir, 'spool');

/** Lock the spool and read it. @throws ProblemError `SPOOL_LOCKED`, `SPOOL_FORMAT_NEWER`, `SPOOL_FAILED` */
export function openSpool(config: Pick<Config, 'state' | 'delivery'>, log: Log): Promise<SegmentSpool> {
  return SegmentSpool.open({
    dir: spoolDirectory(config),
    quota: { octets: config.delivery.queueLimit, entries: MOST_ENTRIES },
    minFree: MIN_FREE,
    clock: systemClock,
    random: systemRandom,
    log,
    files: systemFiles,
  });
}
