/**
 * Ends a session whose client has stopped talking.
 *
 * Only time in which the client owes us something counts: not while we work on its command, and not while the upstream's backpressure keeps us from
 * reading. In command state only whole commands count as talk, so that a client which sends one octet now and then does not hold a session;
 * for content there are a least pace (content-pace.ts) and a cap on the whole transaction (smtp-dialogue.ts) besides.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, milliseconds, type MonotonicMs, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';

/** The limit may shrink while a timer runs, when content begins. */
const LONGEST_LOOK_AWAY = seconds(30);

/** Nothing came, or too little for its time. */
export type IdleReason = 'idle' | 'too-slow';

export class IdleWatch {
  readonly #clock: Clock;
  readonly #isOurTurn: () => boolean;
  readonly #limit: () => DurationMs;
  readonly #isTooSlow: () => boolean;
  readonly #onIdle: (why: IdleReason) => void;
  #lastTalk: MonotonicMs;
  #timer: Timer | undefined;

  /**
   * @param isOurTurn - True while the client has nothing to say.
   * @param limit - Asked again each time, since it depends on the state of the session.
   * @param isTooSlow - True where the client talks, and gets nowhere.
   */
  constructor(
    clock: Clock,
    isOurTurn: () => boolean,
    limit: () => DurationMs,
    isTooSlow: () => boolean,
    onIdle: (why: IdleReason) => void,
  ) {
    this.#clock = clock;
    this.#isOurTurn = isOurTurn;
    this.#limit = limit;
    this.#isTooSlow = isTooSlow;
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
    if (rest <= 0) return this.#onIdle('idle');
    if (this.#isTooSlow()) return this.#onIdle('too-slow');
    this.#arm(milliseconds(rest));
  }
}
