/**
 * When something is tried again: a message that was put off, a sink that takes nothing, a mailbox that could not be told.
 *
 * In memory: after a restart everything is due.
 *
 * @packageDocumentation
 */
import { type DurationMs, milliseconds, minutes, type MonotonicMs, plus, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Random } from '../core/ports/random.ts';
import { waitAfter } from './waits.ts';

/** So many in a row that the sink cannot take now mean that it takes none. */
const SINK_DOWN = 3;
const SHORTEST_REST = seconds(2);
const OWED_REST = minutes(5);
const SHORTEST_WAIT = milliseconds(100);

export class OfferDelays {
  readonly #clock: Clock;
  readonly #random: Random;
  /** Messages that are held: when they are offered again, and how often that was put off. */
  readonly #later = new Map<number, { readonly at: MonotonicMs; readonly count: number }>();
  /** Offers in a row that the sink could not take. */
  #sinkFailures = 0;
  #sinkRestsUntil: MonotonicMs | undefined;
  #owedRestUntil: MonotonicMs | undefined;

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Everything is due. */
  clear(): void {
    this.#later.clear();
    this.#sinkRestsUntil = undefined;
    this.#owedRestUntil = undefined;
  }

  /** UIDs mean other messages now. */
  forgetMessages(): void {
    this.#later.clear();
  }

  isDue(uid: number): boolean {
    return (this.#later.get(uid)?.at ?? 0) <= this.#clock.monotonic();
  }

  taken(uid: number): void {
    this.#later.delete(uid);
    this.#sinkFailures = 0;
  }

  setAside(uid: number): void {
    this.#later.delete(uid);
  }

  /** @param tries - How often it was refused or could not be read. */
  refused(uid: number, tries: number): void {
    this.#later.set(uid, { at: plus(this.#clock.monotonic(), waitAfter(tries + 2, this.#random.fraction())), count: tries });
  }

  /**
   * The sink cannot take it now.
   *
   * @param afterMs - As long as the sink asks for.
   * @returns How often that was so for this message, and for how long the sink is left alone, if that.
   */
  putOff(uid: number, afterMs: number | undefined): { readonly count: number; readonly rest: DurationMs | undefined } {
    const count = (this.#later.get(uid)?.count ?? 0) + 1;
    const wait = afterMs === undefined ? waitAfter(count, this.#random.fraction()) : milliseconds(afterMs);
    this.#later.set(uid, { at: plus(this.#clock.monotonic(), wait), count });
    this.#sinkFailures += 1;
    if (this.#sinkFailures < SINK_DOWN) return { count, rest: undefined };
    const rest = milliseconds(Math.max(waitAfter(this.#sinkFailures - SINK_DOWN + 1, this.#random.fraction()), SHORTEST_REST));
    this.#sinkRestsUntil = plus(this.#clock.monotonic(), rest);
    return { count, rest };
  }

  get isSinkResting(): boolean {
    return isBefore(this.#clock.monotonic(), this.#sinkRestsUntil);
  }

  /** The mailbox could not be told what was handed on. */
  restOwed(): void {
    this.#owedRestUntil = plus(this.#clock.monotonic(), OWED_REST);
  }

  get isOwedResting(): boolean {
    return isBefore(this.#clock.monotonic(), this.#owedRestUntil);
  }

  /** Until something is due; undefined where nothing waits for time to pass. */
  untilDue(held: Iterable<number>, hasOwed: boolean): DurationMs | undefined {
    const now = this.#clock.monotonic();
    const moments = this.isSinkResting ? [this.#sinkRestsUntil ?? now] : Array.from(held, (uid) => this.#later.get(uid)?.at ?? now);
    if (hasOwed && this.#owedRestUntil !== undefined) moments.push(this.#owedRestUntil);
    if (moments.length === 0) return undefined;
    // One by one: a thousand are held at the most, but spreading them would be a thousand arguments.
    const soonest = moments.reduce((least, moment) => (moment < least ? moment : least));
    return milliseconds(Math.max(SHORTEST_WAIT, soonest - now));
  }
}

const isBefore = (now: MonotonicMs, end: MonotonicMs | undefined): boolean => end !== undefined && now < end;
