/**
 * Ends a session whose client has stopped talking.
 *
 * Only time in which the client owes us something counts: not while we work on its command, and not while the upstream's backpressure keeps us from
 * reading. In command state only whole commands count as talk, so that a client which sends one octet now and then does not hold a session;
 * for content there is a cap on the whole transaction besides (smtp-dialogue.ts).
 *
 * @packageDocumentation
 */
import { between, type DurationMs, milliseconds, type MonotonicMs, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';

/** The limit may shrink while a timer runs, when content begins. */
const LONGEST_LOOK_AWAY = seconds(30);

export class IdleWatch {
  readonly #clock: Clock;
  readonly #isOurTurn: () => boolean;
  readonly #limit: () => DurationMs;
  readonly #onIdle: () => void;
  #lastTalk: MonotonicMs;
  #timer: Timer | undefined;

  /**
   * @param isOurTurn - True while the client has nothing to say.
   * @param limit - Asked again each time, since it depends on the state of the session.
   */
  constructor(clock: Clock, isOurTurn: () => boolean, limit: () => DurationMs, onIdle: () => void) {
    this.#clock = clock;
    this.#isOurTurn = isOurTurn;
    this.#limit = limit;
    this.#onIdle = onIdle;
    this.#lastTalk = clock.monotonic();
    this.#arm(limit());
  }

  /** The client has said something that counts, or we have just answered. */
  touch(): void {
    this.#lastTalk = this.#clock.monotonic();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** One timer that looks when it fires is cheaper than one that is moved at each command. */
  #arm(rest: DurationMs): void {
    const delay = milliseconds(Math.min(rest, LONGEST_LOOK_AWAY));
    this.#timer = this.#clock.startTimer(delay, () => this.#look(), { isBackground: true });
  }

  #look(): void {
    if (this.#isOurTurn()) this.touch();
    const rest = this.#limit() - between(this.#lastTalk, this.#clock.monotonic());
    if (rest > 0) this.#arm(milliseconds(rest));
    else this.#onIdle();
  }
}
