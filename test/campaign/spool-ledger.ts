/**
 * What the world outside has seen of a spool whose process is stopped again and again: what was promised to applications, and what the upstream got.
 * Each line is written before the worker goes on, to a file that is not on the disk under test.
 *
 * @packageDocumentation
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';

/** One thing that the world saw. */
export type LedgerLine =
  /** The application has begun to submit. */
  | { readonly event: 'offered'; readonly id: string; readonly digest: string }
  /** The application has got its 250. */
  | { readonly event: 'accepted'; readonly id: string }
  | { readonly event: 'rejected'; readonly id: string }
  /** The upstream has got the final dot. */
  | { readonly event: 'dot'; readonly id: string; readonly digest: string; readonly isFlagged: boolean }
  /** A report about `id` is about to be accepted together with its settlement. */
  | { readonly event: 'reporting'; readonly id: string; readonly report: string; readonly digest: string }
  | { readonly event: 'settled'; readonly id: string; readonly report?: string }
  /** Written by whoever stops the worker. */
  | { readonly event: 'stopped'; readonly point: string }
  /** Entries that recovery set aside. */
  | { readonly event: 'quarantined'; readonly count: number };

export class Ledger {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  write(line: LedgerLine): void {
    appendFileSync(this.#path, `${JSON.stringify(line)}\n`);
  }

  lines(): LedgerLine[] {
    if (!existsSync(this.#path)) return [];
    const lines = readFileSync(this.#path, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as LedgerLine);
  }
}

/** What a ledger tells. */
export interface Account {
  readonly stops: number;
  readonly points: number;
  readonly accepted: number;
  readonly delivered: number;
  readonly lost: number;
  readonly altered: number;
  /** Deliveries of what had been delivered before. */
  readonly duplicates: number;
  /** Those of them that were not flagged. */
  readonly unflagged: number;
  /** Delivered although settled or rejected before. */
  readonly revived: number;
  /** Causes with more than one report. */
  readonly reportedTwice: number;
  readonly quarantined: number;
}

/** Reads a ledger whose spool has been drained. */
export function accountOf(lines: readonly LedgerLine[]): Account {
  const state = new Reading();
  for (const line of lines) state.read(line);
  return state.account();
}

class Reading {
  readonly #digests = new Map<string, string>();
  readonly #promised = new Set<string>();
  readonly #over = new Set<string>();
  readonly #delivered = new Map<string, number>();
  readonly #causes = new Map<string, string>();
  readonly #points = new Set<string>();
  #stops = 0;
  #altered = 0;
  #duplicates = 0;
  #unflagged = 0;
  #revived = 0;
  #quarantined = 0;

  read(line: LedgerLine): void {
    switch (line.event) {
      case 'offered':
        return void this.#digests.set(line.id, line.digest);
      case 'accepted':
        return void this.#promised.add(line.id);
      case 'rejected':
        return void this.#over.add(line.id);
      case 'dot':
        return this.#deliver(line);
      case 'reporting':
        this.#digests.set(line.report, line.digest);
        return void this.#causes.set(line.report, line.id);
      case 'settled':
        this.#over.add(line.id);
        if (line.report !== undefined) this.#promised.add(line.report);
        return;
      case 'stopped':
        this.#stops += 1;
        return void this.#points.add(line.point);
      case 'quarantined':
        this.#quarantined += line.count;
    }
  }

  account(): Account {
    const reports = new Map<string, number>();
    for (const [report, cause] of this.#causes) if (this.#delivered.has(report)) reports.set(cause, (reports.get(cause) ?? 0) + 1);
    return {
      stops: this.#stops,
      points: this.#points.size,
      accepted: this.#promised.size,
      delivered: this.#delivered.size,
      lost: [...this.#promised].filter((id) => !this.#delivered.has(id)).length,
      altered: this.#altered,
      duplicates: this.#duplicates,
      unflagged: this.#unflagged,
      revived: this.#revived,
      reportedTwice: [...reports.values()].filter((count) => count > 1).length,
      quarantined: this.#quarantined,
    };
  }

  #deliver({ id, digest, isFlagged }: Extract<LedgerLine, { event: 'dot' }>): void {
    const before = this.#delivered.get(id) ?? 0;
    this.#delivered.set(id, before + 1);
    if (this.#digests.get(id) !== digest) this.#altered += 1;
    if (before > 0) this.#duplicates += 1;
    if (before > 0 && !isFlagged) this.#unflagged += 1;
    if (this.#over.has(id)) this.#revived += 1;
  }
}
