/**
 * A relay with a long queue is started: how long until it takes mail, how much memory that costs, whether each account drains at the pace it is given,
 * and whether everything arrives, once.
 *
 * @packageDocumentation
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { QueueId } from '../../src/core/ids.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import type { SegmentSpool } from '../../src/spool/segment-spool.ts';
import { openSpool } from '../support/open-spool.ts';
import { newMessage } from '../support/spool-messages.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { mailboxOf, RelayLab } from './relay-lab.ts';

const ACCOUNTS = 10;
const CONTENT_OCTETS = 4_096;
/** Messages a minute for each account, and the seconds for which this is watched. */
const PACE = 120;
const WATCH_SECONDS = 55;
const MEGABYTE = 1024 * 1024;
const READY_MS = 5_000;
const MEMORY_MB = 256;

/** How long the pace is watched; time and memory are judged only for the long form, where they are promised. */
export interface QueueCampaignOptions extends CampaignOptions {
  readonly watchSeconds?: number;
  readonly isJudged?: boolean;
}

export async function runQueueCampaign({
  count,
  print = () => undefined,
  watchSeconds = WATCH_SECONDS,
  isJudged = true,
}: QueueCampaignOptions): Promise<CampaignOutcome> {
  const lab = await RelayLab.open({ accounts: ACCOUNTS, mode: 'queue' });
  try {
    await fill(lab, count);
    print(`${count} messages queued`);
    const arrivals = new Arrivals(lab);

    const { readyAfter } = await lab.start({ messagesPerMinute: PACE });
    const watched = await arrivals.watch(watchSeconds);
    const peakWaiting = lab.peakMemory();
    await lab.stop();
    print(
      `ready after ${Math.round(readyAfter)} ms, ${megabytes(peakWaiting)} MB; ${watched.fewest} to ${watched.most} messages per account`,
    );

    await lab.start();
    await arrivals.until(count, print);
    const peakDraining = lab.peakMemory();
    await lab.stop();
    const { queued } = await left(lab);

    const counts = {
      messages: count,
      'ready ms': Math.round(readyAfter),
      'peak MB, at the pace given': megabytes(peakWaiting),
      'peak MB, draining': megabytes(peakDraining),
      'fewest of an account': watched.fewest,
      'most of an account': watched.most,
      'the pace allows': allowed(watchSeconds),
      delivered: arrivals.distinct,
      duplicates: arrivals.total - arrivals.distinct,
      queued,
    };
    return { counts, broken: brokenOf(counts, isJudged) };
  } finally {
    await lab.close();
  }
}

type Counts = Awaited<ReturnType<typeof runQueueCampaign>>['counts'];

function brokenOf(counts: Counts, isJudged: boolean): string[] {
  const broken: string[] = [];
  const value = (name: string): number => counts[name] ?? Number.NaN;
  const most = value('the pace allows');
  if (value('delivered') !== value('messages')) broken.push(`${value('messages') - value('delivered')} messages were not delivered`);
  if (value('duplicates') > 0) broken.push(`${value('duplicates')} messages were delivered twice`);
  if (value('queued') > 0) broken.push(`${value('queued')} messages are still in the queue`);
  if (value('most of an account') > most)
    broken.push(`an account sent ${value('most of an account')} messages where its pace allows ${most}`);
  if (value('fewest of an account') < most * 0.9) broken.push(`an account sent ${value('fewest of an account')} messages of ${most}`);
  if (!isJudged) return broken;
  const memory = Math.max(value('peak MB, at the pace given'), value('peak MB, draining'));
  if (value('ready ms') > READY_MS) broken.push(`ready after ${value('ready ms')} ms, promised ${READY_MS}`);
  if (memory >= MEMORY_MB) broken.push(`${memory} MB of resident memory, promised less than ${MEMORY_MB}`);
  return broken;
}

/** What may have been sent in so many seconds, the start included: the window of a minute rolls, and starts empty. */
const allowed = (seconds: number): number => PACE * Math.ceil((seconds + 1) / 60);

/** Into the spool itself: how they came there is not what is looked at. */
async function fill(lab: RelayLab, count: number): Promise<void> {
  const spool = await openLabSpool(lab);
  const acceptedAt = systemClock.now();
  const acceptOne = async (index: number): Promise<void> => {
    const account = lab.accounts[index % ACCOUNTS] ?? '';
    const draft = await spool.openDraft({ account });
    await draft.write(contentOf(account, index));
    const changes = { account, client: account, reversePath: mailboxOf(account), acceptedAt, nextAttemptAt: acceptedAt };
    await draft.accept(newMessage(index, { ...changes, queueId: `Q${index.toString(32).toUpperCase().padStart(15, '0')}` as QueueId }));
  };
  for (let from = 0; from < count; from += 500) {
    await Promise.all(Array.from({ length: Math.min(500, count - from) }, (_, index) => acceptOne(from + index)));
  }
  await spool.close();
}

function contentOf(account: string, index: number): Buffer {
  const header = `From: ${mailboxOf(account)}\r\nSubject: ${index}\r\nMessage-ID: <${index}@sandbox.test>\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n`;
  return Buffer.from(header + 'An ordinary line of text.\r\n'.repeat(Math.ceil((CONTENT_OCTETS - header.length) / 27)));
}

/** What the provider has got. */
class Arrivals {
  total = 0;
  readonly #seen = new Set<string>();
  readonly #byAccount = new Map<string, number>();
  readonly #accounts: readonly string[];

  constructor({ sandbox, accounts }: RelayLab) {
    this.#accounts = accounts;
    sandbox.messages.onMessage(({ subject, user }) => {
      this.total += 1;
      this.#seen.add(subject);
      this.#byAccount.set(user, (this.#byAccount.get(user) ?? 0) + 1);
    });
  }

  get distinct(): number {
    return this.#seen.size;
  }

  /** Messages of the account that got fewest and of the one that got most. */
  async watch(seconds: number): Promise<{ readonly fewest: number; readonly most: number }> {
    await pause(seconds * 1000);
    const counts = this.#accounts.map((account) => this.#byAccount.get(mailboxOf(account)) ?? 0);
    return { fewest: Math.min(...counts), most: Math.max(...counts) };
  }

  /** Until that many have come, or none comes any more. */
  async until(count: number, print: (line: string) => void): Promise<void> {
    for (let before = -1, printed = 0; this.distinct < count && this.total > before; ) {
      before = this.total;
      for (let tries = 0; tries < 300 && this.total === before; tries += 1) await pause(100);
      if (this.total < printed + 10_000) continue;
      printed = this.total;
      print(`${this.total} delivered`);
    }
  }
}

function openLabSpool({ spoolDirectory: dir }: RelayLab): Promise<SegmentSpool> {
  return openSpool(systemFiles, { dir, clock: systemClock, random: systemRandom, segmentSize: 64 * MEGABYTE });
}

async function left(lab: RelayLab): Promise<{ readonly queued: number }> {
  const spool = await openLabSpool(lab);
  const { entries } = spool.recovery;
  await spool.close();
  return { queued: entries };
}

const megabytes = (octets: number): number => Math.round(octets / MEGABYTE);
