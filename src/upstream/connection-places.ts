/**
 * The connections of one account: how many there may be, who holds them, and who waits.
 *
 * A place is held from before the first packet of a connection until the connection is gone, so the provider never counts more
 * connections than the limit, whether they are being opened, in use, idle or closing. Those who wait are served in the order in which
 * they came.
 *
 * @packageDocumentation
 */
import type { Awaitable } from '../core/awaitable.ts';
import type { DurationMs } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';

interface Waiter<Idle> {
  readonly serve: (idle: Idle | undefined) => void;
  readonly turnAway: (error: Error) => void;
  readonly timer: Timer;
}

/** Either a connection that was idle, or leave to open one. Whoever gets it holds one place. */
export type Place<Idle> = { readonly idle: Idle | undefined };

export class ConnectionPlaces<Idle> {
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #waiters: Waiter<Idle>[] = [];
  /** The one used last stands last and is taken first, so that the others may grow old and end. */
  readonly #idle: Idle[] = [];
  #held = 0;
  #reducedTo: number | undefined;
  #recovery: Timer | undefined;

  constructor(limit: number, clock: Clock) {
    this.#limit = Math.max(1, limit);
    this.#clock = clock;
  }

  /** Connections that exist or are being opened. */
  get held(): number {
    return this.#held;
  }

  /** The limit has been lowered below what there is. */
  get isOverfull(): boolean {
    return this.#held > this.#cap;
  }

  get idle(): readonly Idle[] {
    return this.#idle;
  }

  /**
   * Take a place.
   *
   * @param impatience - Makes the error for a wait of more than `patience`.
   */
  take(patience: DurationMs, impatience: () => Error): Awaitable<Place<Idle>> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return { idle };
    if (this.#held < this.#cap) {
      this.#held += 1;
      return { idle: undefined };
    }
    return new Promise((resolve, reject) => {
      const timer = this.#clock.startTimer(patience, () => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(impatience());
      });
      const waiter: Waiter<Idle> = { serve: (connection) => resolve({ idle: connection }), turnAway: reject, timer };
      this.#waiters.push(waiter);
    });
  }

  /** Hand a connection on: to the first who waits, else it is idle. */
  giveBack(connection: Idle): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      this.#idle.push(connection);
      return;
    }
    waiter.timer.cancel();
    waiter.serve(connection);
  }

  /** A connection is gone. */
  free(): void {
    this.#held -= 1;
    this.#serve();
  }

  /** An idle connection is about to be closed, or has closed itself. True where it was idle. */
  retire(connection: Idle): boolean {
    const index = this.#idle.indexOf(connection);
    if (index === -1) return false;
    this.#idle.splice(index, 1);
    return true;
  }

  /** The provider says that it counts too many: have one fewer than now, for a while. Somebody else may be using the mailbox. */
  reduce(duration: DurationMs): number {
    this.#reducedTo = Math.max(1, Math.min(this.#cap, this.#held) - 1);
    this.#recovery?.cancel();
    const recover = (): void => {
      this.#reducedTo = undefined;
      this.#serve();
    };
    this.#recovery = this.#clock.startTimer(duration, recover, { isBackground: true });
    return this.#reducedTo;
  }

  /** Nobody gets a place any more. */
  turnAllAway(error: Error): void {
    this.#recovery?.cancel();
    for (const { timer, turnAway } of this.#waiters.splice(0)) {
      timer.cancel();
      turnAway(error);
    }
  }

  get #cap(): number {
    return Math.min(this.#limit, this.#reducedTo ?? this.#limit);
  }

  #serve(): void {
    while (this.#held < this.#cap) {
      const waiter = this.#waiters.shift();
      if (waiter === undefined) return;
      waiter.timer.cancel();
      this.#held += 1;
      waiter.serve(undefined);
    }
  }
}
