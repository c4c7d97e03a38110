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
  /** Rows that are not on hold; an item whose row has changed since is passed over. */
  readonly heap: DueHeap<Row>;
  held: number;
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
    const account = this.#accounts.get(row.account) ?? { rows: new Set(), heap: new DueHeap(), held: 0 };
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

  /** See `Spool.due`. @param present - Leases that run out later count. */
  due(name: AccountName, now: EpochMs, limit: number, present: EpochMs): Row[] {
    const account = this.#accounts.get(name);
    if (account === undefined) return [];
    const found: Row[] = [];
    const seen: Row[] = [];
    for (let next = this.#next(account); next !== undefined && next.at <= now && found.length < limit; next = this.#next(account)) {
      account.heap.pop();
      next.item.heapedAt = undefined;
      seen.push(next.item);
      if (!isLeased(next.item, present)) found.push(next.item);
    }
    for (const row of seen) this.#enqueue(account, row);
    return found;
  }

  accounts(now: EpochMs): AccountSummary[] {
    return [...this.#accounts].flatMap(([name, account]) => {
      const [oldest] = account.rows;
      if (oldest === undefined) return [];
      const nextAttemptAt = this.#nextAttemptAt(account, now);
      const { held, rows } = account;
      const summary = { account: name, entries: rows.size, held, oldestAcceptedAt: oldest.acceptedAt };
      return [nextAttemptAt === undefined ? summary : { ...summary, nextAttemptAt }];
    });
  }

  #nextAttemptAt(account: AccountRows, now: EpochMs): EpochMs | undefined {
    const leased: Row[] = [];
    let next = this.#next(account);
    for (; next !== undefined && isLeased(next.item, now); next = this.#next(account)) {
      account.heap.pop();
      next.item.heapedAt = undefined;
      leased.push(next.item);
    }
    for (const row of leased) this.#enqueue(account, row);
    return next?.item.nextAttemptAt;
  }

  /** The earliest that still holds; what does not is thrown away. */
  #next({ heap }: AccountRows): { at: number; item: Row } | undefined {
    for (let next = heap.peek(); next !== undefined; next = heap.peek()) {
      const { item, at } = next;
      const isCurrent = item.heapedAt === at;
      if (isCurrent && item.isListed && item.holdCode === undefined && item.nextAttemptAt === at) return next;
      heap.pop();
      if (isCurrent) item.heapedAt = undefined;
    }
    return undefined;
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
