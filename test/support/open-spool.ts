/**
 * Opens a segment spool with settings for tests: small segments, no limits, chance that repeats.
 *
 * @packageDocumentation
 */
import type { Octets } from '../../src/core/octets.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Log } from '../../src/core/ports/log.ts';
import type { Random } from '../../src/core/ports/random.ts';
import type { FileSystem } from '../../src/platform/files.ts';
import { SegmentSpool } from '../../src/spool/segment-spool.ts';
import { FakeClock } from './fake-clock.ts';
import { MemoryLog } from './memory-log.ts';
import { START } from './spool-messages.ts';

export interface OpenSpoolOptions {
  readonly dir?: string;
  readonly clock?: Clock;
  readonly log?: Log;
  readonly random?: Random;
  readonly quota?: { octets: number; entries: number };
  readonly minFree?: number;
  readonly segmentSize?: number;
  readonly inlineLimit?: number;
}

export const DIR = '/spool';

export function openSpool(files: FileSystem, options: OpenSpoolOptions = {}): Promise<SegmentSpool> {
  const { quota = { octets: 2 ** 40, entries: 2 ** 20 } } = options;
  return SegmentSpool.open({
    dir: options.dir ?? DIR,
    quota: { octets: quota.octets as Octets, entries: quota.entries },
    minFree: (options.minFree ?? 0) as Octets,
    clock: options.clock ?? new FakeClock(START),
    log: options.log ?? new MemoryLog(),
    random: options.random ?? seededRandom(1),
    files,
    segmentSize: (options.segmentSize ?? 64 * 1024) as Octets,
    ...(options.inlineLimit === undefined ? {} : { inlineLimit: options.inlineLimit as Octets }),
  });
}

/** Chance that repeats from its seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed;
  const fraction = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return { fraction, octets: (count) => Uint8Array.from({ length: count }, () => Math.floor(fraction() * 256)) };
}
