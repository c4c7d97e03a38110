/**
 * Whether content comes at least as fast as the slowest line that anybody still has.
 *
 * Only time in which the client owes us octets counts, not that in which the delivery holds it back. It is measured over stretches of three minutes, which is how
 * long a pause between two blocks may be (RFC 5321 §4.5.3.2.5): a message that is short, or typed by hand, is never too slow.
 *
 * Pure: moments come with each call.
 *
 * @packageDocumentation
 */
import { between, milliseconds, minutes, type MonotonicMs } from '../core/clock.ts';

const STRETCH = minutes(3);
/** Octets that one stretch has to bring: 500 a second. A modem of 9,600 bit/s brings more than twice as many. */
const LEAST = (500 * STRETCH) / 1000;

export class ContentPace {
  #waitingSince: MonotonicMs | undefined;
  #waited = milliseconds(0);
  #octets = 0;
  #isTooSlow = false;

  /** From here on the client owes us content. */
  wait(now: MonotonicMs): void {
    this.#waitingSince ??= now;
  }

  /** Octets have come; until the next {@link wait} it is our turn. */
  come(octets: number, now: MonotonicMs): void {
    this.#octets += octets;
    this.#count(now);
    this.#waitingSince = undefined;
  }

  /** Content is over. */
  end(): void {
    this.#waitingSince = undefined;
    this.#waited = milliseconds(0);
    this.#octets = 0;
    this.#isTooSlow = false;
  }

  isTooSlow(now: MonotonicMs): boolean {
    this.#count(now);
    return this.#isTooSlow;
  }

  #count(now: MonotonicMs): void {
    if (this.#waitingSince === undefined) return;
    this.#waited = milliseconds(this.#waited + between(this.#waitingSince, now));
    this.#waitingSince = now;
    if (this.#waited < STRETCH) return;
    this.#isTooSlow = this.#octets < LEAST;
    this.#waited = milliseconds(0);
    this.#octets = 0;
  }
}
