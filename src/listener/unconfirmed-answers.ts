/**
 * Answers to messages that an application cannot have read: it had vanished before, and sends the message again.
 *
 * SMTP leaves it open who has a message whose answer was lost (RFC 1047). The same message from the same client, for the same recipients, octet for octet and
 * with a Message-ID of its own, gets the answer that it had, and is not taken a second time. Who has said something behind the message, is there to read the answer,
 * or has closed the connection without a reset, which it brings about where the answer was not read, may send the message as often as it likes.
 *
 * Held in memory, for as long as applications try again; a restart forgets.
 *
 * @packageDocumentation
 */
import type { Awaitable } from '../core/awaitable.ts';
import { between, type DurationMs, minutes, type MonotonicMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Reply } from '../core/reply.ts';

const WINDOW: DurationMs = minutes(15);
const MOST = 1_000;

interface Entry {
  /** The 2yz that it had; undefined where it was not accepted. */
  readonly outcome: Promise<Reply | undefined>;
  /** Whether its client cannot have read the answer, or will not be able to. Fixed once the answer is there. */
  isLost: () => boolean;
  readonly since: MonotonicMs;
}

/** What is to be said of a message that is being answered. */
export interface OpenAnswer {
  /** The answer is there. @param accepted - A 2yz; undefined: whoever sends the message again is to be served again. */
  settle(accepted: Reply | undefined): void;
  /** The client has said something behind the message, or has closed the connection in good order: it has read the answer. */
  confirm(): void;
  /** The connection was reset, with nothing said behind the message. */
  lose(): void;
}

export class UnconfirmedAnswers {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * A message has come to its end.
   *
   * @param key - The same for the same message, and for no other.
   * @param isPeerGone - Whether its client has closed the connection.
   * @returns The answer that it had when nobody was there to read it, for which one that is still to come is waited; or what is to be told of its own.
   */
  begin(key: string, isPeerGone: () => boolean): Awaitable<Reply | OpenAnswer> {
    const entry = this.#find(key);
    return entry?.isLost() === true ? this.#beginAgain(key, isPeerGone) : this.#open(key, isPeerGone);
  }

  async #beginAgain(key: string, isPeerGone: () => boolean): Promise<Reply | OpenAnswer> {
    for (;;) {
      const entry = this.#find(key);
      if (entry === undefined || !entry.isLost()) return this.#open(key, isPeerGone);
      const accepted = await entry.outcome;
      if (accepted !== undefined) return accepted;
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    }
  }

  #find(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || between(entry.since, this.#clock.monotonic()) < WINDOW) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  #open(key: string, isPeerGone: () => boolean): OpenAnswer {
    let settle: (accepted: Reply | undefined) => void = () => undefined;
    const outcome = new Promise<Reply | undefined>((resolve) => (settle = resolve));
    const entry: Entry = { outcome, isLost: isPeerGone, since: this.#clock.monotonic() };
    this.#entries.set(key, entry);
    const forget = (): void => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key);
    };
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MOST) break;
      this.#entries.delete(oldest);
    }
    return {
      settle: (accepted) => {
        if (accepted === undefined) forget();
        const isLost = isPeerGone(); // Who closes the connection later may have read it.
        entry.isLost = () => isLost;
        settle(accepted);
      },
      confirm: forget,
      lose: () => {
        entry.isLost = () => true;
      },
    };
  }
}
