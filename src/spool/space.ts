/**
 * Whether there is room for another message: the queue limit, and what must stay free on the disk.
 *
 * What drafts will need is set aside when they are opened, so that many at once cannot pass the limit together. The disk is asked at most once a
 * second.
 *
 * @packageDocumentation
 */
import type { Awaitable } from '../core/awaitable.ts';
import { between, type DurationMs, type MonotonicMs, seconds } from '../core/clock.ts';
import type { Octets } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import { spoolError, spoolProblem } from './failure.ts';

/** Most that may be in the spool. */
export interface SpoolQuota {
  /** Of content. */
  readonly octets: Octets;
  readonly entries: number;
}

/** What is asked about room. */
export interface SpaceOptions {
  readonly quota: SpoolQuota;
  readonly minFree: Octets;
  readonly clock: Clock;
  /** Content up to this size goes into segments, of which some room is there already. */
  readonly inlineLimit: number;
  /** Present entries and octets. */
  readonly used: () => { readonly entries: number; readonly octets: number };
  /** Octets free on the disk. */
  readonly freeOctets: () => Promise<number>;
  /** Octets in segments that stand ready. */
  readonly preparedRoom: () => number;
}

const ASK_EVERY: DurationMs = seconds(1);
/** Envelope and frames of a message, generously. */
const OVERHEAD = 16 * 1024;

/** Room set aside for one draft. */
export interface Reservation {
  /** Set more aside. @throws ProblemError `SPOOL_FULL`. */
  grow(octets: number): void;
  /** The draft is over. Harmless when repeated. */
  end(): void;
}

export class Space {
  readonly #options: SpaceOptions;
  #drafts = 0;
  #reserved = 0;
  #free = 0;
  #askedAt: MonotonicMs | undefined;

  constructor(options: SpaceOptions) {
    this.#options = options;
  }

  /**
   * Set room aside for a draft.
   *
   * @param expected - Undefined where nobody knows.
   * @throws ProblemError `SPOOL_FULL`, `SPOOL_FAILED`.
   */
  reserve(expected: number | undefined, isReport: boolean): Awaitable<Reservation> {
    return this.#isAsked ? this.#reserve(expected, isReport) : this.#ask().then(() => this.#reserve(expected, isReport));
  }

  #reserve(expected: number | undefined, isReport: boolean): Reservation {
    const { quota, inlineLimit } = this.#options;
    const { entries, octets } = this.#options.used();
    if (!isReport && entries + this.#drafts >= quota.entries) throw spoolProblem('SPOOL_FULL', `the queue holds ${entries} messages`);
    if (!isReport && octets + this.#reserved + (expected ?? 0) > quota.octets) {
      throw spoolProblem('SPOOL_FULL', `the queue holds ${octets} octets; its limit is ${quota.octets}`);
    }
    this.#requireDisk(expected ?? inlineLimit);
    return this.#hold(expected ?? 0, isReport);
  }

  #hold(expected: number, isReport: boolean): Reservation {
    let held = expected;
    let isOver = false;
    this.#drafts += 1;
    this.#reserved += held;
    return {
      grow: (octets) => {
        if (octets <= held) return;
        this.#requireDisk(octets - held);
        if (!isReport && this.#options.used().octets + this.#reserved + octets - held > this.#options.quota.octets) {
          throw spoolProblem('SPOOL_FULL', `the message of ${octets} octets or more exceeds the limit of the queue`);
        }
        this.#reserved += octets - held;
        held = octets;
      },
      end: () => {
        if (isOver) return;
        isOver = true;
        this.#drafts -= 1;
        this.#reserved -= held;
      },
    };
  }

  /** What is in segments that stand ready does not need the disk; what is larger than a record takes does. */
  #requireDisk(octets: number): void {
    const { minFree, inlineLimit } = this.#options;
    const prepared = octets > inlineLimit ? 0 : this.#options.preparedRoom();
    const spare = this.#free - minFree - this.#reserved;
    if (octets + OVERHEAD > Math.max(0, spare) + prepared) {
      throw spoolProblem('SPOOL_FULL', `the disk has ${this.#free} octets free, of which ${minFree} are kept free`);
    }
  }

  get #isAsked(): boolean {
    return this.#askedAt !== undefined && between(this.#askedAt, this.#options.clock.monotonic()) < ASK_EVERY;
  }

  async #ask(): Promise<void> {
    const now = this.#options.clock.monotonic();
    try {
      this.#free = await this.#options.freeOctets();
      this.#askedAt = now;
    } catch (error) {
      throw spoolError(error, 'asking the disk for its free space');
    }
  }
}
