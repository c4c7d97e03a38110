/**
 * The queue of this process, for operators.
 *
 * Every change is a line in the log; of what is dropped, the line says enough to find out what was lost.
 *
 * @packageDocumentation
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { QueueId } from '../core/ids.ts';
import { kibibytes } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type {
  QueueChange,
  QueueControl,
  QueueFilter,
  QueueItem,
  QueueItemInFull,
  QueueListing,
  QueueSelection,
  QueueVerb,
} from '../core/ports/queue-control.ts';
import type { EntryFilter, Spool } from '../core/ports/spool.ts';
import { ProblemError, problem } from '../core/problem.ts';
import type { SpoolEntry } from '../core/spool-entry.ts';
import { type HeaderSection, readHeaderSection } from '../message/header-section.ts';
import { readSubject } from '../message/subject.ts';
import { fromWireForm } from '../message/wire-form.ts';
import { describeEntry, matches } from './queue-view.ts';
import { PageStart, placeOf } from './page-start.ts';

/** What the queue needs. */
export interface SpoolQueueDependencies {
  readonly spool: Spool;
  /** By which messages fall due. */
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

const HEADER_LIMIT = kibibytes(64);
/** The spool makes changes that wait together durable together; more at once gain nothing. */
const CHANGES_AT_ONCE = 64;
/** Recipients in a listing: what bounds its size. */
const MOST_RECIPIENTS = 50_000;
/** Entries looked at before everything else in the process gets its turn. */
const ENTRIES_A_TURN = 500;

const DONE: Readonly<Record<QueueVerb, string>> = {
  retry: 'made due by the operator',
  hold: 'held by the operator',
  release: 'released by the operator',
  drop: 'dropped by the operator: it will not be delivered, and nobody is told',
};

export class SpoolQueue implements QueueControl {
  readonly #deps: SpoolQueueDependencies;

  constructor(deps: SpoolQueueDependencies) {
    this.#deps = deps;
  }

  async list(filter: QueueFilter, limit: number, after?: string): Promise<QueueListing> {
    const items: QueueItem[] = [];
    const page = new PageStart(after);
    let matching = 0;
    let recipients = 0;
    let last: SpoolEntry | undefined;
    let hasMore = false;
    const list = (entry: SpoolEntry): void => {
      if (items.length >= limit || recipients > MOST_RECIPIENTS) {
        hasMore = true;
        return;
      }
      items.push(describeEntry(entry));
      recipients += entry.recipients.length;
      last = entry;
    };
    for await (const entry of this.#matching(filter)) {
      matching += 1;
      for (const listed of page.pass(entry)) list(listed);
    }
    for (const listed of page.end()) list(listed);
    return { matching, items, ...(hasMore && last !== undefined ? { next: placeOf(last) } : {}) };
  }

  async show(queueId: string): Promise<QueueItemInFull> {
    const entry = await this.#deps.spool.entry(queueId as QueueId);
    if (entry === undefined) throw unknown(queueId);
    const headers = await this.#headers(entry.queueId);
    if (headers === undefined) return { ...describeEntry(entry), headers: '' };
    const subject = readSubject(headers);
    return { ...describeEntry(entry), headers: Buffer.from(headers.raw).toString('utf8'), ...(subject === undefined ? {} : { subject }) };
  }

  async change(verb: QueueVerb, selection: QueueSelection): Promise<QueueChange> {
    const ids = 'ids' in selection ? [...new Set(selection.ids)] : await this.#select(selection.filter);
    const changed: QueueId[] = [];
    const unknownIds: string[] = [];
    for (let from = 0; from < ids.length; from += CHANGES_AT_ONCE) {
      const some = ids.slice(from, from + CHANGES_AT_ONCE);
      const outcomes = await Promise.allSettled(some.map((id) => this.#changeOne(verb, id as QueueId)));
      for (const [index, outcome] of outcomes.entries()) {
        if (outcome.status === 'rejected') throw outcome.reason;
        const id = some[index] ?? '';
        if (outcome.value) changed.push(id as QueueId);
        else unknownIds.push(id);
      }
    }
    // What a filter had found may have been delivered meanwhile; only names that somebody gave are worth a word.
    return { changed, unknown: 'ids' in selection ? unknownIds : [] };
  }

  export(queueId: string): AsyncIterable<Uint8Array> {
    return fromWireForm(this.#deps.spool.content(queueId as QueueId));
  }

  async #changeOne(verb: QueueVerb, queueId: QueueId): Promise<boolean> {
    const { spool, log } = this.#deps;
    const entry = await spool.entry(queueId);
    if (entry === undefined || !(await this.#apply(verb, queueId))) return false;
    const { account, client, messageId, traceParent, reversePath, recipients } = entry;
    const lost = recipients.filter(({ status }) => status.kind === 'pending').map(({ forwardPath }) => forwardPath.address);
    const envelope = verb === 'drop' ? { reversePath, forwardPaths: lost } : {};
    const trace = traceParent === undefined ? {} : { traceParent };
    log.info({ event: `queue-${verb}`, queueId, account, client, messageId, ...trace, ...envelope }, DONE[verb]);
    return true;
  }

  #apply(verb: QueueVerb, queueId: QueueId): Promise<boolean> {
    const { spool, clock } = this.#deps;
    switch (verb) {
      case 'retry':
        return spool.retryNow(queueId, clock.now());
      case 'hold':
        return spool.hold(queueId, { code: 'HELD_BY_OPERATOR', since: clock.now(), cause: 'an operator has put it on hold' });
      case 'release':
        return spool.unhold(queueId);
      default:
        return spool.drop(queueId);
    }
  }

  async #select(filter: QueueFilter): Promise<QueueId[]> {
    const ids: QueueId[] = [];
    for await (const { queueId } of this.#matching(filter)) ids.push(queueId);
    return ids;
  }

  async *#matching(filter: QueueFilter): AsyncGenerator<SpoolEntry, void, undefined> {
    const { spool, clock } = this.#deps;
    const now = clock.now();
    let looked = 0;
    for await (const entry of spool.entries(entryFilter(filter))) {
      looked += 1;
      if (looked % ENTRIES_A_TURN === 0) await nextTurn();
      if (matches(entry, filter, now)) yield entry;
    }
  }

  /** Undefined where they are larger than {@link HEADER_LIMIT}. */
  async #headers(queueId: QueueId): Promise<HeaderSection | undefined> {
    const content = fromWireForm(this.#deps.spool.content(queueId));
    try {
      const reading = await readHeaderSection(content, HEADER_LIMIT);
      return reading.kind === 'read' ? reading.headers : undefined;
    } finally {
      await content.return();
    }
  }
}

function entryFilter({ account, isHeld }: QueueFilter): EntryFilter {
  return { ...(account === undefined ? {} : { account }), ...(isHeld === undefined ? {} : { isHeld }) };
}

function unknown(queueId: string): ProblemError {
  return new ProblemError(problem('SPOOL_ENTRY_UNKNOWN', `there is no message ${queueId} in the queue`));
}
