/**
 * The process that is stopped: it opens a spool, delivers what is due, takes in new messages, and dies with SIGKILL at the point it was told. Bundled and
 * run by {@link ./spool-process.ts}.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { hours, minutes, plus } from '../../src/core/clock.ts';
import { ProblemError } from '../../src/core/problem.ts';
import type { SpoolEntry } from '../../src/core/spool-entry.ts';
import type { FileSystem } from '../../src/platform/files.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import type { SegmentSpool } from '../../src/spool/segment-spool.ts';
import { FaultFileSystem } from '../support/fault-file-system.ts';
import { openSpool, seededRandom } from '../support/open-spool.ts';
import { accept, contentOf, DELIVERED, FAILED, HOLD, list, newMessage, PENDING } from '../support/spool-messages.ts';
import { Ledger } from './spool-ledger.ts';
import { isPoint, type Phase } from './spool-points.ts';

/** What the worker is told. */
export interface WorkerSettings {
  readonly dir: string;
  readonly ledger: string;
  readonly seed: number;
  /** Distinguishes the messages of this run. */
  readonly run: number;
  /** Where to die; absent: deliver everything and end. */
  readonly point?: string;
  /** At which time of passing it. */
  readonly passing?: number;
  /** For the controls. */
  readonly without?: 'sync' | 'directory-sync';
}

const ROUNDS = 12;
const SMALL_SEGMENTS = { segmentSize: 128 * 1024, inlineLimit: 8 * 1024 };

class Worker {
  readonly #settings: WorkerSettings;
  readonly #ledger: Ledger;
  readonly #random: ReturnType<typeof seededRandom>;
  #phase: Phase = 'start';
  #passings = 0;
  #messages = 0;

  constructor(settings: WorkerSettings) {
    this.#settings = settings;
    this.#ledger = new Ledger(settings.ledger);
    this.#random = seededRandom(settings.seed);
  }

  async run(): Promise<void> {
    const { dir, seed, point } = this.#settings;
    const spool = await openSpool(this.#files(), { dir, clock: systemClock, random: seededRandom(seed + 1), ...SMALL_SEGMENTS });
    if (spool.recovery.quarantined > 0) this.#ledger.write({ event: 'quarantined', count: spool.recovery.quarantined });
    for (const entry of await list(spool.entries({ isHeld: true }))) await spool.unhold(entry.queueId);
    for (let round = 0; round < ROUNDS && point !== undefined; round += 1) {
      await this.#takeIn(spool);
      await this.#deliver(spool, 4, true);
    }
    while ((await this.#deliver(spool, 1000, false)) > 0);
    await spool.close();
  }

  /** Some at once, so that they share a batch. */
  async #takeIn(spool: SegmentSpool): Promise<void> {
    this.#phase = 'accept';
    const count = 1 + this.#below(6);
    await Promise.all(Array.from({ length: count }, () => this.#submit(spool)));
  }

  async #submit(spool: SegmentSpool): Promise<void> {
    const name = this.#name();
    const content = contentOf(name, this.#below(5) === 0 ? 9_000 + this.#below(30_000) : this.#below(8_000));
    this.#ledger.write({ event: 'offered', id: name, digest: digestOf([content]) });
    try {
      await accept(spool, newMessage(name, { nextAttemptAt: systemClock.now() }), content);
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      this.#ledger.write({ event: 'rejected', id: name });
      return;
    }
    this.#ledger.write({ event: 'accepted', id: name });
    this.#reach('accepted');
  }

  async #deliver(spool: SegmentSpool, limit: number, mayDefer: boolean): Promise<number> {
    const due = spool.due('billing', plus(systemClock.now(), hours(1)), limit);
    for (const entry of due) await this.#attempt(spool, entry, mayDefer);
    return due.length;
  }

  async #attempt(spool: SegmentSpool, entry: SpoolEntry, mayDefer: boolean): Promise<void> {
    const { queueId } = entry;
    const name = nameOf(entry);
    this.#phase = 'claim';
    const lease = await spool.claim(queueId, 'worker', plus(systemClock.now(), minutes(5)));
    if (lease === undefined) return;
    this.#reach('claimed');
    this.#phase = 'transmit';
    const chance = mayDefer ? this.#below(10) : 9;
    if (!(await spool.beginTransmission(lease))) return;
    this.#reach('begun');
    if (chance === 0) {
      const retryAt = systemClock.now();
      this.#phase = 'settle';
      await spool.settleAttempt(lease, { statuses: [PENDING], next: { kind: 'retry', at: retryAt } });
      return;
    }
    if (chance === 1) {
      this.#phase = 'settle';
      await spool.settleAttempt(lease, { statuses: [PENDING], next: { kind: 'hold', hold: HOLD } });
      return;
    }
    const chunks: Uint8Array[] = [];
    for await (const chunk of spool.content(queueId)) chunks.push(chunk);
    this.#ledger.write({ event: 'dot', id: name, digest: digestOf(chunks), isFlagged: (await spool.entry(queueId))?.isAmbiguous ?? false });
    this.#reach('dot');
    if (chance < 4 && entry.reversePath !== '') return this.#settleWithReport(spool, name, lease);
    this.#phase = 'settle';
    if (await spool.settleAttempt(lease, { statuses: [DELIVERED], next: { kind: 'done' } })) {
      this.#ledger.write({ event: 'settled', id: name });
      this.#reach('settled');
    }
  }

  async #settleWithReport(spool: SegmentSpool, name: string, lease: Parameters<SegmentSpool['settleAttempt']>[0]): Promise<void> {
    this.#phase = 'report';
    const report = this.#name();
    const content = contentOf(report, 500);
    const draft = await spool.openDraft({ account: 'billing', isReport: true });
    await draft.write(content);
    this.#ledger.write({ event: 'reporting', id: name, report, digest: digestOf([content]) });
    const message = newMessage(report, { reversePath: '', nextAttemptAt: systemClock.now() });
    if (await spool.settleAttempt(lease, { statuses: [{ ...FAILED, isReported: true }], next: { kind: 'done' } }, { draft, message })) {
      this.#ledger.write({ event: 'settled', id: name, report });
      this.#reach('settled');
    }
  }

  /** Calls that pass the point told are the last thing this process does. */
  #files(): FileSystem {
    const { without } = this.#settings;
    const files = withoutSync(systemFiles, without);
    return new FaultFileSystem(
      files,
      ({ name, path }) => {
        this.#reach(`${this.#phase}/${name}/${areaOf(path)}/before`);
        return undefined;
      },
      ({ name, path }) => this.#reach(`${this.#phase}/${name}/${areaOf(path)}/after`),
    );
  }

  #reach(point: string): void {
    const { point: wanted, passing = 1 } = this.#settings;
    if (wanted === undefined || !isPoint(wanted, point)) return;
    this.#passings += 1;
    if (this.#passings === passing) process.kill(process.pid, 'SIGKILL');
  }

  #below(limit: number): number {
    return Math.floor(this.#random.fraction() * limit);
  }

  #name(): string {
    this.#messages += 1;
    return `${this.#settings.run}x${this.#messages}`;
  }
}

function areaOf(path: string): 'segment' | 'content' | 'other' {
  if (/\/segments(\/|$)/.test(path)) return 'segment';
  return /\/content(\/|$)/.test(path) ? 'content' : 'other';
}

function nameOf({ messageId }: SpoolEntry): string {
  return messageId.slice(1, messageId.indexOf('@'));
}

function digestOf(chunks: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex').slice(0, 16);
}

function withoutSync(files: FileSystem, without: WorkerSettings['without']): FileSystem {
  if (without === undefined) return files;
  return {
    ...files,
    syncDirectory: async () => undefined,
    open: async (path, mode) => {
      const file = await files.open(path, mode);
      if (without === 'directory-sync') return file;
      return {
        write: (pieces, position) => file.write(pieces, position),
        read: (into, position) => file.read(into, position),
        datasync: async () => undefined,
        truncate: (length) => file.truncate(length),
        size: () => file.size(),
        close: () => file.close(),
      };
    },
  };
}

await new Worker(JSON.parse(process.argv[2] ?? '{}') as WorkerSettings).run();
