/**
 * A process that fetches a mailbox is killed at random moments, again and again, and begins where it stopped; then what the sinks have is held against the mailbox.
 *
 * Three sinks read the same mailbox: Maildir and directory, which recognise a repetition by its key, and a receiver that takes everything, at which repetitions are
 * counted.
 *
 * @packageDocumentation
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
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
import { appendMessages } from '../support/real/mailbox.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { digestOf, type FetchWorkerSettings, withoutTrace, type WorkerSink } from './fetch-worker.ts';

const SINKS: readonly WorkerSink[] = ['maildir', 'directory', 'ledger'];
/** A process is killed after at most so many messages. */
const MOST_MESSAGES = 8;
/** And at most so long after one of them: two or three take that long. */
const LONGEST_DELAY_MS = 12;

/** A mailbox to fetch from. */
export type FetchTarget = Pick<FetchWorkerSettings, 'host' | 'port' | 'ca' | 'mailbox' | 'accessToken'>;

/** On the sandbox. */
export async function runFetchKill(options: CampaignOptions): Promise<CampaignOutcome> {
  const ports = { http: 0, smtp: 0 };
  const sandbox = await startSandbox({ clock: systemClock, random: systemRandom, log: new MemoryLog(), ports });
  try {
    const mailbox = 'billing@sandbox.test';
    const accessToken = sandbox.mint.accessToken(mailbox, { scopes: ['https://outlook.office.com/IMAP.AccessAsUser.All'] });
    return await killOn({ ...sandbox.imap, ca: sandbox.caPem, mailbox, accessToken }, options);
  } finally {
    await sandbox.close();
  }
}

/** On any server; its INBOX is filled first. */
export async function killOn(target: FetchTarget, { count, seed, print = () => undefined }: CampaignOptions): Promise<CampaignOutcome> {
  const random = seededRandom(seed);
  const each = Math.ceil(count / SINKS.length);
  const contents = Array.from({ length: Math.min(1000, (MOST_MESSAGES + 2) * each) }, (_, number) => messageOf(number, random));
  await appendMessages({ port: target.port, caPem: target.ca }, target.mailbox, target.accessToken, contents);
  const directory = await mkdtemp(join(tmpdir(), 'postern-fetch-kill-'));
  try {
    const program = await buildWorker(directory);
    const counts: Record<string, number> = { messages: contents.length };
    const broken: string[] = [];
    for (const sink of SINKS) {
      const kills = await killAgainAndAgain(program, { ...target, directory, sink }, each, random);
      print(`${sink}: ${kills} kills`);
      const account = judge(await deliveriesOf(directory, sink), contents.map(digestOf));
      for (const [what, number] of Object.entries({ kills, ...account })) counts[`${sink} ${what}`] = number;
      broken.push(...brokenPromises(sink, kills, each, account));
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
async function killAgainAndAgain(program: string, settings: FetchWorkerSettings, wanted: number, random: Random): Promise<number> {
  let kills = 0;
  for (;;) {
    const isLast = kills >= wanted;
    const after = isLast ? Number.POSITIVE_INFINITY : 1 + Math.floor(random.fraction() * MOST_MESSAGES);
    const isDone = await runOnce(program, settings, after, random.fraction() * LONGEST_DELAY_MS);
    if (isDone) return kills;
    kills += 1;
  }
}

/** @returns True where it had seen everything before it was to be killed. */
function runOnce(program: string, settings: FetchWorkerSettings, after: number, delay: number): Promise<boolean> {
  const child = spawn(process.execPath, [program, JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    let messages = 0;
    let isDone = false;
    let isDoomed = false;
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      messages += text.replaceAll('w', '').length;
      if (text.includes('w')) {
        isDone = !isDoomed;
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

interface Delivery {
  readonly key: string;
  readonly digest: string;
}

async function deliveriesOf(directory: string, sink: WorkerSink): Promise<Delivery[]> {
  const at = join(directory, sink);
  if (sink === 'ledger') {
    const lines = (await readFile(at, 'latin1')).split('\n').filter((line) => line !== '');
    return lines.map((line) => ({ key: line.split(' ')[0] ?? '', digest: line.split(' ')[1] ?? '' }));
  }
  const folder = sink === 'maildir' ? join(at, 'new') : at;
  const names = (await readdir(folder)).filter((name) => (sink === 'maildir' ? true : name.endsWith('.json')));
  return Promise.all(
    names.map(async (name) => {
      const key = sink === 'maildir' ? (name.split('.')[1] ?? '') : name.replace(/\.json$/, '');
      const content = await readFile(join(folder, sink === 'maildir' ? name : `${key}.eml`));
      return { key, digest: digestOf(withoutTrace(content)) };
    }),
  );
}

interface Account {
  readonly delivered: number;
  readonly lost: number;
  readonly altered: number;
  readonly repeated: number;
  /** Repetitions whose key is not that of the first. */
  readonly unrecognisable: number;
}

function judge(deliveries: readonly Delivery[], expected: readonly string[]): Account {
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

function brokenPromises(sink: WorkerSink, kills: number, wanted: number, account: Account): string[] {
  const { lost, altered, repeated, unrecognisable } = account;
  const broken: string[] = [];
  if (kills < wanted) broken.push(`${sink}: only ${kills} of ${wanted} kills took place`);
  if (lost > 0) broken.push(`${sink}: ${lost} messages were lost`);
  if (altered > 0) broken.push(`${sink}: ${altered} messages are not as they were`);
  if (repeated > (sink === 'ledger' ? kills : 0)) broken.push(`${sink}: ${repeated} repetitions after ${kills} kills`);
  if (unrecognisable > 0) broken.push(`${sink}: ${unrecognisable} repetitions under another key`);
  return broken;
}
