/**
 * The entries of the spool in memory: by queue id, by order of acceptance, by account and time.
 *
 * Pure but for being changed.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import type { QueueId } from '../core/ids.ts';
import type { Octets } from '../core/octets.ts';
import type { AccountSummary, EntryFilter } from '../core/ports/spool.ts';
import { DueHeap } from './due-heap.ts';
import type { Row } from './row.ts';

interface AccountRows {
  /** In order of acceptance. */
  readonly rows: Set<Row>;
  /** Rows that are neither on hold nor in `leased`; an item whose row has changed since is passed over. */
  readonly heap: DueHeap<Row>;
  /** Rows that were leased when they came first in the heap: no more than are worked on, so that all can be looked at each time. */
  readonly leased: Set<Row>;
  held: number;
}

/** Which rows are wanted. */
export interface DueRequest {
  /** They have fallen due by then. */
  readonly now: EpochMs;
  /** Leases that run out later count. */
  readonly present: EpochMs;
  readonly limit: number;
  /** Those not to count. */
  readonly isLeftOut?: ((queueId: QueueId) => boolean) | undefined;
}

export class EntryIndex {
  /** In order of acceptance. */
  readonly #rows = new Map<QueueId, Row>();
  readonly #accounts = new Map<AccountName, AccountRows>();
  #octets = 0;

  get size(): number {
    return this.#rows.size;
  }

  /** Of content. */
  get octets(): Octets {
    return this.#octets as Octets;
  }

  get(queueId: QueueId): Row | undefined {
    return this.#rows.get(queueId);
  }

  /** @param row - Accepted after all that are listed. */
  add(row: Row): void {
    const account = this.#accounts.get(row.account) ?? { rows: new Set(), heap: new DueHeap(), leased: new Set(), held: 0 };
    this.#accounts.set(row.account, account);
    this.#rows.set(row.queueId, row);
    account.rows.add(row);
    this.#octets += row.size;
    row.isListed = true;
    if (row.holdCode !== undefined) account.held += 1;
    this.#enqueue(account, row);
  }

  remove(row: Row): void {
    const account = this.#accounts.get(row.account);
    if (!row.isListed || account === undefined) return;
    row.isListed = false;
    this.#rows.delete(row.queueId);
    account.rows.delete(row);
    account.leased.delete(row);
    this.#octets -= row.size;
    if (row.holdCode !== undefined) account.held -= 1;
    if (account.rows.size === 0) this.#accounts.delete(row.account);
  }

  /** Make a change that may concern time or hold. */
  change(row: Row, change: () => void): void {
    const wasHeld = row.holdCode !== undefined;
    change();
    const account = this.#accounts.get(row.account);
    if (!row.isListed || account === undefined) return;
    account.held += Number(row.holdCode !== undefined) - Number(wasHeld);
    this.#enqueue(account, row);
  }

  *rows(filter: EntryFilter = {}): Generator<Row> {
    const rows = filter.account === undefined ? this.#rows.values() : (this.#accounts.get(filter.account)?.rows.values() ?? []);
    for (const row of rows) {
      if (filter.isHeld !== undefined && filter.isHeld !== (row.holdCode !== undefined)) continue;
      if (filter.holdCode !== undefined && filter.holdCode !== row.holdCode) continue;
      yield row;
    }
  }

  /** See `Spool.due`. */
  due(name: AccountName, { now, present, limit, isLeftOut }: DueRequest): Row[] {
    const account = this.#accounts.get(name);
    if (account === undefined) return [];
    const found: Row[] = [];
    const seen: Row[] = [];
    while (found.length < limit) {
      const row = this.#next(account, present);
      if (row === undefined || row.nextAttemptAt > now) break;
      account.heap.pop();
      row.heapedAt = undefined;
      seen.push(row);
      if (isLeftOut?.(row.queueId) !== true) found.push(row);
    }
    for (const row of seen) this.#enqueue(account, row);
    return found;
  }

  accounts(now: EpochMs): AccountSummary[] {
    return [...this.#accounts].flatMap(([name, account]) => {
      const [oldest] = account.rows;
      if (oldest === undefined) return [];
      const nextAttemptAt = this.#next(account, now)?.nextAttemptAt;
      const { held, rows } = account;
      const summary = { account: name, entries: rows.size, held, oldestAcceptedAt: oldest.acceptedAt };
      return [nextAttemptAt === undefined ? summary : { ...summary, nextAttemptAt }];
    });
  }

  /** The earliest that is not leased. What no longer holds is thrown away. */
  #next(account: AccountRows, present: EpochMs): Row | undefined {
    this.#takeBack(account, present);
    const { heap, leased } = account;
    for (let next = heap.peek(); next !== undefined; next = heap.peek()) {
      const { item, at } = next;
      const isCurrent = item.heapedAt === at;
      const isWaiting = isCurrent && item.isListed && item.holdCode === undefined && item.nextAttemptAt === at;
      if (isWaiting && !isLeased(item, present)) return item;
      heap.pop();
      if (isCurrent) item.heapedAt = undefined;
      if (isWaiting) leased.add(item);
    }
    return undefined;
  }

  /** Leases end by being given back, or with time, which nobody tells. */
  #takeBack(account: AccountRows, present: EpochMs): void {
    for (const row of account.leased) {
      if (isLeased(row, present)) continue;
      account.leased.delete(row);
      this.#enqueue(account, row);
    }
  }

  #enqueue({ heap }: AccountRows, row: Row): void {
    if (row.holdCode !== undefined || row.heapedAt === row.nextAttemptAt) return;
    row.heapedAt = row.nextAttemptAt;
    heap.push({ at: row.nextAttemptAt, serial: row.serial, item: row });
  }
}

/** True while another worker may be at it. */
export function isLeased(row: Row, now: EpochMs): boolean {
  return row.lease !== undefined && row.lease.until > now;
}
