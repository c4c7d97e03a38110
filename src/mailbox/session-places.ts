/**
 * How many sessions an account may have at its provider, who holds them, and who waits.
 *
 * A place is held from before the first packet of a connection until the connection is gone. Those who wait are served in the order in which they came;
 * beyond a bound, or after a while, they are turned away, so that an application hears why before it gives up by itself.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';

/** How many, and how patient. */
export interface PlacesOptions {
  readonly places: number;
  /** More than these do not wait. */
  readonly waiters: number;
  readonly patience: DurationMs;
}

/** Why nobody gets a place: all are taken and so is the queue for them, or none came free in time. */
export type NoPlace = 'queue-full' | 'waited-too-long' | 'called-off';

/** Gives the place back. Harmless when repeated. */
export type Leave = () => void;

interface Waiter {
  readonly settle: (outcome: Leave | NoPlace) => void;
  readonly timer: Timer;
}

export class SessionPlaces {
  readonly #clock: Clock;
  readonly #options: PlacesOptions;
  readonly #waiters: Waiter[] = [];
  #held = 0;

  constructor(clock: Clock, options: PlacesOptions) {
    this.#clock = clock;
    this.#options = options;
  }

  /** Sessions that exist or are being opened. */
  get held(): number {
    return this.#held;
  }

  /** @returns What gives the place back, or why there is none. */
  take(signal?: AbortSignal): Promise<Leave | NoPlace> {
    if (signal?.aborted === true) return Promise.resolve('called-off');
    const { places, waiters, patience } = this.#options;
    if (this.#held < places) return Promise.resolve(this.#hold());
    if (this.#waiters.length >= waiters) return Promise.resolve('queue-full');
    return new Promise((resolve) => {
      const turnAway = (why: NoPlace): void => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        waiter.settle(why);
      };
      const onAbort = (): void => turnAway('called-off');
      const timer = this.#clock.startTimer(patience, () => turnAway('waited-too-long'));
      const waiter: Waiter = {
        timer,
        settle: (outcome) => {
          timer.cancel();
          signal?.removeEventListener('abort', onAbort);
          resolve(outcome);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  #hold(): Leave {
    this.#held += 1;
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#held -= 1;
      const next = this.#waiters.shift();
      if (next !== undefined) next.settle(this.#hold());
    };
  }
}
