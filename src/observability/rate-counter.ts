/**
 * Counts of messages by minute and by hour, for charts: an hour of minutes, a week of hours.
 *
 * Bounded by its two rings. A wall clock that is set back counts into the newest span that there is, so that a chart never has a span twice.
 *
 * @packageDocumentation
 */
import { type EpochMs, hours, minutes } from '../core/clock.ts';
import type { Rate, RateWindow } from '../core/ports/activity.ts';

export type RateKind = 'relayed' | 'queued' | 'failed';

type Span = Record<RateKind, number> & { readonly from: number };

const MINUTE = minutes(1);
const HOUR = hours(1);

/** Which ring, and how much of it. */
const WINDOWS: Readonly<Record<RateWindow, { readonly ring: 'byMinute' | 'byHour'; readonly spans: number }>> = {
  '1h': { ring: 'byMinute', spans: 60 },
  '24h': { ring: 'byHour', spans: 24 },
  '7d': { ring: 'byHour', spans: 168 },
};

/** What a counter holds, for a file. Moments in milliseconds since 1970. */
export interface RateCounts {
  readonly byMinute: readonly Readonly<Span>[];
  readonly byHour: readonly Readonly<Span>[];
}

export class RateCounter {
  readonly #rings = { byMinute: new Ring(MINUTE, 60), byHour: new Ring(HOUR, 168) };

  add(kind: RateKind, now: EpochMs): void {
    this.#rings.byMinute.at(now)[kind] += 1;
    this.#rings.byHour.at(now)[kind] += 1;
  }

  get counts(): RateCounts {
    return { byMinute: this.#rings.byMinute.spans, byHour: this.#rings.byHour.spans };
  }

  /** Go on from what an earlier process has counted, unless something was counted already. */
  restore({ byMinute, byHour }: RateCounts): void {
    this.#rings.byMinute.restore(byMinute);
    this.#rings.byHour.restore(byHour);
  }

  /** Oldest first, up to now, without gaps. */
  read(window: RateWindow, now: EpochMs): readonly Rate[] {
    const { ring, spans } = WINDOWS[window];
    return this.#rings[ring].last(spans, now).map(({ from, ...counts }) => ({ from: new Date(from).toISOString(), ...counts }));
  }
}

/** Spans of the same length, the newest last. */
class Ring {
  readonly #length: number;
  readonly #most: number;
  #spans: Span[] = [];

  constructor(length: number, most: number) {
    this.#length = length;
    this.#most = most;
  }

  at(now: EpochMs): Span {
    const from = this.#begin(now);
    const newest = this.#spans.at(-1);
    if (newest !== undefined && newest.from >= from) return newest;
    const span = empty(from);
    this.#spans = [...this.#spans, span].slice(-this.#most);
    return span;
  }

  get spans(): readonly Readonly<Span>[] {
    return this.#spans;
  }

  /** What was counted before; spans from here on are ours. */
  restore(spans: readonly Readonly<Span>[]): void {
    const first = this.#spans[0]?.from ?? Number.POSITIVE_INFINITY;
    const earlier = spans.filter(({ from }) => from < first).map((span) => ({ ...span }));
    this.#spans = [...earlier.sort((one, other) => one.from - other.from), ...this.#spans].slice(-this.#most);
  }

  last(count: number, now: EpochMs): readonly Span[] {
    const end = Math.max(this.#begin(now), this.#spans.at(-1)?.from ?? 0);
    const known = new Map(this.#spans.map((span) => [span.from, span]));
    return Array.from({ length: count }, (_, index) => {
      const from = end - (count - 1 - index) * this.#length;
      return known.get(from) ?? empty(from);
    });
  }

  #begin(now: EpochMs): number {
    return Math.floor(now / this.#length) * this.#length;
  }
}

const empty = (from: number): Span => ({ from, relayed: 0, queued: 0, failed: 0 });
