/**
 * A process that fetches a mailbox and empties it is killed at random moments, again and again, and begins where it stopped; then what has come is held
 * against what was there.
 *
 * Every kind of sink gets the same messages. Maildir and directory recognise a repetition by its key; elsewhere repetitions are counted.
 *
 * @packageDocumentation
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Random } from '../../src/core/ports/random.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { startSandbox } from '../../src/sandbox/sandbox.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { seededRandom } from '../support/open-spool.ts';
import { appendMessages, countMessages } from '../support/real/mailbox.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { type Delivery, digestOf, type OpenPlace, PLACES, recognises, type SinkKind } from './fetch-places.ts';
import type { FetchWorkerSettings } from './fetch-worker.ts';

/** A process is killed after at most so many messages. */
const MOST_MESSAGES = 3;
/** And at most so long after one of them: two or three take that long. */
const LONGEST_DELAY_MS = 12;
/** For each kill. More than the kills use up on average, so that it is not over before the last of them. */
const MESSAGES_PER_KILL = 5;

/** A mailbox to fetch from, and places to bring messages to. */
export interface FetchTarget extends Pick<FetchWorkerSettings, 'host' | 'port' | 'ca' | 'mailbox'> {
  readonly places: Readonly<Record<SinkKind, OpenPlace>>;
  accessToken(): Promise<string>;
}

/** On the sandbox. */
export async function runFetchKill(options: CampaignOptions): Promise<CampaignOutcome> {
  const ports = { http: 0, smtp: 0 };
  const sandbox = await startSandbox({ clock: systemClock, random: systemRandom, log: new MemoryLog(), ports });
  try {
    const mailbox = 'billing@sandbox.test';
    const scopes = ['https://outlook.office.com/IMAP.AccessAsUser.All'];
    const accessToken = async (): Promise<string> => sandbox.mint.accessToken(mailbox, { scopes });
    return await killOn({ ...sandbox.imap, ca: sandbox.caPem, mailbox, accessToken, places: PLACES }, options);
  } finally {
    await sandbox.close();
  }
}

/** On any server; its INBOX is empty, and filled for each sink. `count` is the kills at each. */
export async function killOn(target: FetchTarget, { count, seed, print = () => undefined }: CampaignOptions): Promise<CampaignOutcome> {
  const random = seededRandom(seed);
  const contents = Array.from({ length: MESSAGES_PER_KILL * (count + 1) }, (_, number) => messageOf(number, random));
  const server = { port: target.port, caPem: target.ca };
  const directory = await mkdtemp(join(tmpdir(), 'postern-fetch-kill-'));
  try {
    const program = await buildWorker(directory);
    const counts: Record<string, number> = { messages: contents.length };
    const broken: string[] = [];
    for (const [kind, openPlace] of Object.entries(target.places) as [SinkKind, OpenPlace][]) {
      const at = join(directory, kind);
      await mkdir(at);
      await appendMessages(server, target.mailbox, await target.accessToken(), contents);
      const place = await openPlace(at);
      try {
        const settings = async () => ({ ...target, accessToken: await target.accessToken(), directory, sink: place.settings });
        const kills = await killAgainAndAgain(program, settings, count, random);
        const left = await countMessages(server, target.mailbox, await target.accessToken());
        const account = { ...judge(await place.deliveries(), contents.map(digestOf)), left };
        print(`${kind}: ${kills} kills, ${account.delivered} deliveries`);
        for (const [what, number] of Object.entries({ kills, ...account })) counts[`${kind} ${what}`] = number;
        broken.push(...brokenPromises(kind, kills, count, account));
      } finally {
        await place.close();
      }
    }
    return { counts, broken };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Sizes from a few octets to some parts of a packet; dots, long lines and octets above 127 among them. */
function messageOf(number: number, random: Random): Buffer {
  const lines = Array.from({ length: Math.floor(random.fraction() ** 3 * 200) }, (_, line) =>
    line % 7 === 0 ? '..' : `${String.fromCharCode(160 + (line % 90))} ${'x'.repeat(Math.floor(random.fraction() * 120))}`,
  );
  const header = `Message-ID: <${number}@fetch-kill.test>\r\nSubject: ${number}\r\nFrom: <a@fetch-kill.test>\r\n`;
  return Buffer.from(`${header}\r\n${lines.map((line) => `${line}\r\n`).join('')}`, 'latin1');
}

async function buildWorker(directory: string): Promise<string> {
  const outfile = join(directory, 'fetch-worker.cjs');
  const entryPoints = [fileURLToPath(new URL('./fetch-worker.ts', import.meta.url))];
  await build({ entryPoints, outfile, bundle: true, format: 'cjs', platform: 'node', target: 'node20.19', logLevel: 'error' });
  return outfile;
}

/** Kill it `wanted` times, or until it has nothing left to do; then let it end its work. @returns Kills that took place in the middle of work. */
async function killAgainAndAgain(
  program: string,
  settings: () => Promise<FetchWorkerSettings>,
  wanted: number,
  random: Random,
): Promise<number> {
  let kills = 0;
  for (;;) {
    const isLast = kills >= wanted;
    const after = isLast ? Number.POSITIVE_INFINITY : 1 + Math.floor(random.fraction() * MOST_MESSAGES);
    const isDone = await runOnce(program, await settings(), after, random.fraction() * LONGEST_DELAY_MS);
    if (isDone) return kills;
    kills += 1;
  }
}

/** Let a process fetch everything there is. @returns The most memory it had, in octets (VmHWM, proc(5)). */
export async function peakOfWorker(settings: FetchWorkerSettings): Promise<number> {
  let peak = Number.NaN;
  const program = await buildWorker(settings.directory);
  await runOnce(program, settings, Number.POSITIVE_INFINITY, 0, (pid) => {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    peak = Number(kibibytes) * 1024;
  });
  return peak;
}

/** @param onDone - Called when it has seen everything, before it is killed. @returns True where it had seen everything before it was to be killed. */
function runOnce(
  program: string,
  settings: FetchWorkerSettings,
  after: number,
  delay: number,
  onDone: (pid: number) => void = () => undefined,
): Promise<boolean> {
  const child = spawn(process.execPath, [program, JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let messages = 0;
    let isDone = false;
    let isDoomed = false;
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      messages += text.replaceAll('w', '').length;
      if (child.killed) return;
      if (text.includes('w')) {
        isDone = !isDoomed;
        if (isDone && child.pid !== undefined) onDone(child.pid);
        child.kill('SIGKILL');
      } else if (messages >= after && !isDoomed) {
        isDoomed = true;
        setTimeout(() => child.kill('SIGKILL'), delay);
      }
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (signal === 'SIGKILL') resolve(isDone);
      else reject(new Error(`the worker ended with ${code ?? signal}: ${complaint}`));
    });
  });
}

interface Account {
  readonly delivered: number;
  readonly lost: number;
  readonly altered: number;
  readonly repeated: number;
  /** Repetitions whose key is not that of the first. */
  readonly unrecognisable: number;
  /** In the mailbox. */
  readonly left: number;
}

function judge(deliveries: readonly Delivery[], expected: readonly string[]): Omit<Account, 'left'> {
  const keys = new Map<string, Set<string>>();
  for (const { key, digest } of deliveries) keys.set(digest, new Set([...(keys.get(digest) ?? []), key]));
  const wanted = new Set(expected);
  return {
    delivered: deliveries.length,
    lost: expected.filter((digest) => !keys.has(digest)).length,
    altered: deliveries.filter(({ digest }) => !wanted.has(digest)).length,
    repeated: deliveries.length - keys.size,
    unrecognisable: [...keys.values()].filter(({ size }) => size > 1).length,
  };
}

function brokenPromises(kind: SinkKind, kills: number, wanted: number, account: Account): string[] {
  const { lost, altered, repeated, unrecognisable, left } = account;
  const broken: string[] = [];
  if (kills < wanted) broken.push(`${kind}: only ${kills} of ${wanted} kills took place`);
  if (lost > 0) broken.push(`${kind}: ${lost} messages were lost`);
  if (altered > 0) broken.push(`${kind}: ${altered} messages are not as they were`);
  if (repeated > (recognises(kind) ? 0 : kills)) broken.push(`${kind}: ${repeated} repetitions after ${kills} kills`);
  if (unrecognisable > 0) broken.push(`${kind}: ${unrecognisable} repetitions under another key`);
  if (left > 0) broken.push(`${kind}: ${left} messages were not deleted`);
  return broken;
}
