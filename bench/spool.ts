/**
 * Durable accepts per second, against a file per message; and what a full queue costs at the start.
 *
 * Each writer accepts one message after the other; an accept counts once it would survive a power cut. The baseline writes a temporary file, syncs it,
 * renames it and syncs the directory, message by message, as most queues do. Both take turns in one process, best of three rounds each.
 *
 *     node --import tsx bench/spool.ts [seconds per figure]
 *     node --import tsx bench/spool.ts start [entries]
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { systemFiles } from '../src/platform/files.ts';
import { systemClock } from '../src/platform/system-clock.ts';
import { systemRandom } from '../src/platform/system-random.ts';
import type { SegmentSpool } from '../src/spool/segment-spool.ts';
import { openSpool } from '../test/support/open-spool.ts';
import { newMessage } from '../test/support/spool-messages.ts';

const MEGABYTE = 1024 * 1024;

type Accept = (name: string, content: Uint8Array) => Promise<void>;

const openReal = (dir: string): Promise<SegmentSpool> =>
  openSpool(systemFiles, { dir, clock: systemClock, random: systemRandom, segmentSize: 64 * MEGABYTE });

/** Messages per second with `writers` at work for `duration` seconds, and the median wait in ms. */
async function measure(accept: Accept, writers: number, octets: number, duration: number): Promise<{ rate: number; median: number }> {
  const content = Buffer.alloc(octets, 'An ordinary line of text.\r\n');
  const waits: number[] = [];
  const prefix = randomBytes(4).toString('hex');
  const end = performance.now() + duration * 1000;
  const write = async (writer: number): Promise<void> => {
    for (let count = 0; performance.now() < end; count += 1) {
      const began = performance.now();
      await accept(`${prefix}${writer}x${count}`, content);
      waits.push(performance.now() - began);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  const rate = waits.length / ((performance.now() - began) / 1000);
  return { rate, median: waits.sort((one, other) => one - other)[waits.length >> 1] ?? 0 };
}

/** Accepts, and drops what was accepted some time ago, so that segments come and go as they would. */
function acceptInto(spool: SegmentSpool): Accept {
  return async (name, content) => {
    const draft = await spool.openDraft({ account: 'billing' });
    await draft.write(content);
    await draft.accept(newMessage(name));
  };
}

function acceptAsFile(directory: string): Accept {
  return async (name, content) => {
    const path = join(directory, name);
    const file = await open(`${path}.tmp`, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.tmp`, path);
    const handle = await open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  };
}

async function compare(duration: number): Promise<void> {
  console.log('writers  content   spool msg/s (median wait)   file per message msg/s (median wait)   ratio');
  for (const octets of [4_096, 100_000]) {
    for (const writers of [1, 16, 64]) {
      const rows = { spool: { rate: 0, median: 0 }, file: { rate: 0, median: 0 } };
      for (let round = 0; round < 3; round += 1) {
        const directory = await mkdtemp(join(tmpdir(), 'postern-bench-'));
        const spool = await openReal(join(directory, 'spool'));
        const found = await measure(acceptInto(spool), writers, octets, duration);
        await spool.close();
        const baseline = await measure(acceptAsFile(directory), writers, octets, duration);
        await rm(directory, { recursive: true });
        if (found.rate > rows.spool.rate) rows.spool = found;
        if (baseline.rate > rows.file.rate) rows.file = baseline;
      }
      const show = ({ rate, median }: { rate: number; median: number }): string => `${rate.toFixed(0)} (${median.toFixed(2)} ms)`;
      const line = [
        String(writers).padStart(7),
        `${octets / 1000} KB`.padStart(9),
        show(rows.spool).padStart(27),
        show(rows.file).padStart(38),
      ];
      console.log(`${line.join('')}   ${(rows.spool.rate / rows.file.rate).toFixed(1)}`);
    }
  }
}

/** Fills a spool and opens it in a process of its own. */
async function start(entries: number): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  try {
    const spool = await openReal(directory);
    const accept = acceptInto(spool);
    const content = Buffer.alloc(4_096, 'An ordinary line of text.\r\n');
    for (let from = 0; from < entries; from += 200) {
      await Promise.all(Array.from({ length: 200 }, (_, index) => accept(`${from + index}`, content)));
    }
    await spool.close();
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', fileURLToPath(import.meta.url), 'open', directory]);
    console.log(stdout.trim());
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function openOnly(directory: string): Promise<void> {
  const before = process.memoryUsage().rss;
  const began = performance.now();
  const spool = await openReal(directory);
  const took = performance.now() - began;
  const highest = process.resourceUsage().maxRSS / 1024;
  const due = performance.now();
  spool.due('billing', systemClock.now(), 100);
  const found = `${spool.recovery.entries} entries open in ${took.toFixed(0)} ms, due in ${(performance.now() - due).toFixed(1)} ms`;
  console.log(`${found}; RSS ${(before / MEGABYTE).toFixed(0)} MB before, at most ${highest.toFixed(0)} MB`);
  await spool.close();
}

const [mode, argument] = process.argv.slice(2);
if (mode === 'start') await start(Number(argument ?? 100_000));
else if (mode === 'open') await openOnly(argument ?? '');
else await compare(Number(mode ?? 2));
