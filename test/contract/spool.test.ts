import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { systemFiles } from '../../src/platform/files.ts';
import type { SegmentSpool } from '../../src/spool/segment-spool.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { MemorySpool } from '../support/memory-spool.ts';
import { openSpool } from '../support/open-spool.ts';
import { START } from '../support/spool-messages.ts';
import { spoolContract } from './spool.ts';

const directories: string[] = [];
const open: SegmentSpool[] = [];
afterAll(async () => {
  for (const spool of open) await spool.close();
  for (const directory of directories) await rm(directory, { recursive: true });
});

spoolContract('MemorySpool', async (quota) => {
  const clock = new FakeClock(START);
  return { spool: new MemorySpool(clock, quota), clock };
});

spoolContract('SegmentSpool on a memory disk', async (quota) => {
  const clock = new FakeClock(START);
  return { spool: await openSpool(new MemoryDisk(), { clock, segmentSize: 512 * 1024, ...(quota && { quota }) }), clock };
});

spoolContract('SegmentSpool on the disk', async (quota) => {
  const clock = new FakeClock(START);
  const dir = await mkdtemp(join(tmpdir(), 'postern-spool-'));
  directories.push(dir);
  const spool = await openSpool(systemFiles, { dir, clock, segmentSize: 1024 * 1024, ...(quota && { quota }) });
  open.push(spool);
  return { spool, clock };
});
