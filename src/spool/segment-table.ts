/**
 * The segments that exist, and how much of each is alive.
 *
 * Segments are removed from the oldest on only. A record tells of an entry whose own record is in the same segment or an older one, so what is
 * removed in that order is never missed.
 *
 * Pure but for being changed.
 *
 * @packageDocumentation
 */
import { recordOctets } from './record.ts';
import type { Row, RowPlace } from './row.ts';

/** A segment of the log. */
export interface ListedSegment {
  readonly number: number;
  readonly path: string;
  readonly octets: number;
  readonly liveEntries: number;
}

interface Counted {
  readonly number: number;
  readonly path: string;
  octets: number;
  liveEntries: number;
}

export class SegmentTable {
  /** In order of number. */
  readonly #segments = new Map<number, Counted>();
  #octets = 0;
  #liveOctets = 0;

  get size(): number {
    return this.#segments.size;
  }

  /** Octets of records that nothing needs any more. */
  get deadOctets(): number {
    return this.#octets - this.#liveOctets;
  }

  get liveOctets(): number {
    return this.#liveOctets;
  }

  /** @param octets - Of records in it. */
  add(number: number, path: string, octets: number): void {
    this.#segments.set(number, { number, path, octets, liveEntries: 0 });
    this.#octets += octets;
  }

  remove(number: number): void {
    this.#octets -= this.#segments.get(number)?.octets ?? 0;
    this.#segments.delete(number);
  }

  pathOf(number: number): string | undefined {
    return this.#segments.get(number)?.path;
  }

  oldest(): ListedSegment | undefined {
    const [oldest] = this.#segments.values();
    return oldest;
  }

  /** A record was added. */
  grow(number: number, octets: number): void {
    const segment = this.#segments.get(number);
    if (segment === undefined) return;
    segment.octets += octets;
    this.#octets += octets;
  }

  /** The record of a row that counts. */
  enter({ place }: Row): void {
    this.#count(place, 1);
  }

  /** It no longer counts. */
  leave({ place }: Row): void {
    this.#count(place, -1);
  }

  #count(place: RowPlace, sign: 1 | -1): void {
    const segment = this.#segments.get(place.segment);
    if (segment !== undefined) segment.liveEntries += sign;
    this.#liveOctets += sign * recordOctets(place.envelopeOctets, place.contentOctets);
  }
}
