/**
 * A spool that forgets everything at the end of the process, for tests of its users. Passes the same contract as the real one.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../../src/core/account.ts';
import type { EpochMs } from '../../src/core/clock.ts';
import type { QueueId } from '../../src/core/ids.ts';
import type { Octets } from '../../src/core/octets.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type {
  AccountSummary,
  Draft,
  DraftRequest,
  EntryFilter,
  FirstLease,
  Lease,
  Report,
  Spool,
  SpoolChange,
  SpoolStats,
} from '../../src/core/ports/spool.ts';
import { ProblemError, problem } from '../../src/core/problem.ts';
import {
  type AttemptOutcome,
  afterAttempt,
  type Hold,
  type NewMessage,
  newEntry,
  onHold,
  type SpoolEntry,
  triedAgain,
  withoutHold,
} from '../../src/core/spool-entry.ts';

interface Held {
  entry: SpoolEntry;
  readonly content: Buffer;
  fence: number;
  lease: EpochMs | undefined;
  isTransmitting: boolean;
}

export class MemorySpool implements Spool {
  readonly #clock: Clock;
  readonly #held = new Map<QueueId, Held>();
  readonly #listeners = new Set<(change: SpoolChange) => void>();
  readonly #quota: { octets: number; entries: number };
  #drafts = 0;
  /** Set: every durable step fails with it. */
  failure: ProblemError | undefined;

  constructor(clock: Clock, quota: { octets: number; entries: number } = { octets: 2 ** 40, entries: 2 ** 20 }) {
    this.#clock = clock;
    this.#quota = quota;
  }

  async openDraft({ expectedSize = 0 as Octets, isReport = false }: DraftRequest): Promise<Draft> {
    if (this.failure !== undefined) throw this.failure;
    const octets = this.#octets() + expectedSize;
    if (!isReport && (this.#held.size + this.#drafts >= this.#quota.entries || octets > this.#quota.octets)) throw full();
    this.#drafts += 1;
    return new MemoryDraft(
      isReport ? Number.MAX_SAFE_INTEGER : this.#quota.octets - this.#octets(),
      (content, message, lease) => this.#accept(content, message, lease),
      () => {
        this.#drafts -= 1;
      },
    );
  }

  async claim(queueId: QueueId, _owner: string, until: EpochMs): Promise<Lease | undefined> {
    const held = this.#held.get(queueId);
    if (held === undefined || held.entry.hold !== undefined || this.#isLeased(held)) return undefined;
    if (held.isTransmitting) held.entry = { ...held.entry, isAmbiguous: true };
    held.fence += 1;
    held.lease = until;
    return { queueId, fence: held.fence };
  }

  async renew(lease: Lease, until: EpochMs): Promise<boolean> {
    const held = this.#under(lease);
    if (held !== undefined) held.lease = until;
    return held !== undefined;
  }

  async beginTransmission(lease: Lease): Promise<boolean> {
    const held = this.#under(lease);
    if (held !== undefined) this.#commit(() => (held.isTransmitting = true));
    return held !== undefined;
  }

  async settleAttempt(lease: Lease, outcome: AttemptOutcome, report?: Report): Promise<boolean> {
    try {
      const held = this.#under(lease);
      if (held === undefined) return false;
      const entry = afterAttempt(held.entry, outcome);
      if (report === undefined) this.#commit(() => undefined);
      else await report.draft.accept(report.message);
      if (entry === undefined) this.#remove(held);
      else {
        held.lease = undefined;
        held.isTransmitting = false;
        this.#replace(held, entry);
      }
      return true;
    } finally {
      await report?.draft.discard();
    }
  }

  async release(lease: Lease): Promise<void> {
    const held = this.#under(lease);
    if (held === undefined) return;
    held.lease = undefined;
    held.isTransmitting = false;
  }

  hold = (queueId: QueueId, hold: Hold): Promise<boolean> => this.#change(queueId, (entry) => onHold(entry, hold));
  unhold = (queueId: QueueId): Promise<boolean> => this.#change(queueId, (entry) => withoutHold(entry));
  retryNow = (queueId: QueueId, now: EpochMs): Promise<boolean> => this.#change(queueId, (entry) => triedAgain(entry, now));

  async drop(queueId: QueueId): Promise<boolean> {
    const held = this.#held.get(queueId);
    if (held !== undefined) this.#commit(() => this.#remove(held));
    return held !== undefined;
  }

  async entry(queueId: QueueId): Promise<SpoolEntry | undefined> {
    return this.#held.get(queueId)?.entry;
  }

  async *entries({ account, isHeld, holdCode }: EntryFilter = {}): AsyncGenerator<SpoolEntry, void, undefined> {
    for (const { entry } of this.#held.values()) {
      if (account !== undefined && account !== entry.account) continue;
      if (isHeld !== undefined && isHeld !== (entry.hold !== undefined)) continue;
      if (holdCode === undefined || holdCode === entry.hold?.code) yield entry;
    }
  }

  async due(
    account: AccountName,
    now: EpochMs,
    limit: number,
    isLeftOut: (queueId: QueueId) => boolean = () => false,
  ): Promise<SpoolEntry[]> {
    return this.#waiting()
      .map(({ entry }) => entry)
      .filter((entry) => entry.account === account && entry.nextAttemptAt <= now && !isLeftOut(entry.queueId))
      .sort((one, other) => one.nextAttemptAt - other.nextAttemptAt) // Stable: then in order of acceptance.
      .slice(0, limit);
  }

  async accounts(): Promise<AccountSummary[]> {
    const names = new Set([...this.#held.values()].map(({ entry }) => entry.account));
    return [...names].map((account) => {
      const mine = [...this.#held.values()].map(({ entry }) => entry).filter((entry) => entry.account === account);
      const next = this.#waiting().flatMap(({ entry }) => (entry.account === account ? [entry.nextAttemptAt] : []));
      return {
        account,
        entries: mine.length,
        held: mine.filter(({ hold }) => hold !== undefined).length,
        oldestAcceptedAt: mine[0]?.acceptedAt ?? (0 as EpochMs),
        ...(next.length === 0 ? {} : { nextAttemptAt: Math.min(...next) as EpochMs }),
      };
    });
  }

  async *content(queueId: QueueId): AsyncGenerator<Uint8Array, void, undefined> {
    const held = this.#held.get(queueId);
    if (held === undefined) throw new ProblemError(problem('SPOOL_ENTRY_UNKNOWN', `there is no message ${queueId} in the queue`));
    for (let at = 0; at < held.content.length; at += 65_536) yield held.content.subarray(at, at + 65_536);
  }

  async stats(): Promise<SpoolStats> {
    return { entries: this.#held.size, octets: this.#octets() as Octets, segments: 0, quarantined: 0 };
  }

  onChange(listener: (change: SpoolChange) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** What a new process finds after this one was killed: leases are gone, and what was being transmitted may have been delivered. */
  restart(): void {
    this.#listeners.clear();
    for (const held of this.#held.values()) {
      held.lease = undefined;
      if (held.isTransmitting) held.entry = { ...held.entry, isAmbiguous: true };
    }
  }

  #accept(content: Buffer, message: NewMessage, lease?: FirstLease): SpoolEntry {
    const entry = newEntry(message, content.length as Octets);
    if (this.#held.has(entry.queueId)) throw new RangeError(`queue id ${entry.queueId} is taken`);
    const isTransmitting = lease?.isTransmitting ?? false;
    const held = { entry, content, fence: lease === undefined ? 0 : 1, lease: lease?.until, isTransmitting };
    this.#commit(() => this.#held.set(entry.queueId, held));
    this.#tell('accepted', entry);
    return entry;
  }

  async #change(queueId: QueueId, change: (entry: SpoolEntry) => SpoolEntry): Promise<boolean> {
    const held = this.#held.get(queueId);
    if (held !== undefined) this.#commit(() => this.#replace(held, change(held.entry)));
    return held !== undefined;
  }

  #replace(held: Held, entry: SpoolEntry): void {
    held.entry = entry;
    this.#tell('changed', entry);
  }

  #remove({ entry }: Held): void {
    this.#held.delete(entry.queueId);
    this.#tell('removed', entry);
  }

  #commit(change: () => void): void {
    if (this.failure !== undefined) throw this.failure;
    change();
  }

  #tell(kind: SpoolChange['kind'], { queueId, account }: SpoolEntry): void {
    for (const listener of this.#listeners) listener({ kind, queueId, account });
  }

  #under({ queueId, fence }: Lease): Held | undefined {
    const held = this.#held.get(queueId);
    return held?.lease !== undefined && held.fence === fence ? held : undefined;
  }

  #isLeased({ lease }: Held): boolean {
    return lease !== undefined && lease > this.#clock.now();
  }

  #waiting(): Held[] {
    return [...this.#held.values()].filter((held) => held.entry.hold === undefined && !this.#isLeased(held));
  }

  #octets(): number {
    return [...this.#held.values()].reduce((sum, { content }) => sum + content.length, 0);
  }
}

class MemoryDraft implements Draft {
  readonly #limit: number;
  readonly #accept: (content: Buffer, message: NewMessage, lease?: FirstLease) => SpoolEntry;
  readonly #onEnd: () => void;
  readonly #chunks: Buffer[] = [];
  #isOver = false;

  constructor(limit: number, accept: (content: Buffer, message: NewMessage, lease?: FirstLease) => SpoolEntry, onEnd: () => void) {
    this.#limit = limit;
    this.#accept = accept;
    this.#onEnd = onEnd;
  }

  get size(): Octets {
    return this.#chunks.reduce((sum, { length }) => sum + length, 0) as Octets;
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#isOver) throw new Error('the draft is over');
    if (this.size + chunk.length > this.#limit) {
      await this.discard();
      throw full();
    }
    this.#chunks.push(Buffer.from(chunk));
  }

  async accept(message: NewMessage): Promise<SpoolEntry> {
    return this.#take((content) => this.#accept(content, message));
  }

  async acceptLeased(message: NewMessage, lease: FirstLease): Promise<Lease> {
    return this.#take((content) => ({ queueId: this.#accept(content, message, lease).queueId, fence: 1 }));
  }

  content(): AsyncIterable<Uint8Array> {
    if (this.#isOver) throw new Error('the draft is over');
    const content = Buffer.concat(this.#chunks);
    return (async function* () {
      for (let at = 0; at < content.length; at += 65_536) yield await Promise.resolve(content.subarray(at, at + 65_536));
    })();
  }

  async #take<Result>(use: (content: Buffer) => Result): Promise<Result> {
    if (this.#isOver) throw new Error('the draft is over');
    try {
      return use(Buffer.concat(this.#chunks));
    } finally {
      await this.discard();
    }
  }

  async discard(): Promise<void> {
    if (!this.#isOver) this.#onEnd();
    this.#isOver = true;
  }
}

function full(): ProblemError {
  return new ProblemError(problem('SPOOL_FULL'));
}
