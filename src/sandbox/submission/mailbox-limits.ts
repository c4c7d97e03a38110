/**
 * What one mailbox may do at once, per minute and per day.
 *
 * Windows roll, as Exchange's do. Numbers come from the switches at the moment they are asked for; 0 switches a limit off.
 *
 * @packageDocumentation
 */
import { days, type DurationMs, minutes, type MonotonicMs, plus } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { SubmissionFaults } from '../faults.ts';

interface Submitted {
  readonly at: MonotonicMs;
  readonly recipients: number;
}

interface Use {
  /** In the order of sign-in; the first few are within the limit. */
  readonly sessions: Set<object>;
  /** Oldest first, at most a day back. */
  submitted: Submitted[];
}

const MOST_REMEMBERED = 100_000;

export class MailboxLimits {
  readonly #uses = new Map<string, Use>();
  readonly #faults: SubmissionFaults;
  readonly #clock: Clock;

  constructor(faults: SubmissionFaults, clock: Clock) {
    this.#faults = faults;
    this.#clock = clock;
  }

  /** A session has signed in; the returned function says that it is gone. */
  enter(mailbox: string, session: object): () => void {
    const { sessions } = this.#use(mailbox);
    sessions.add(session);
    return () => void sessions.delete(session);
  }

  /** True where more sessions than allowed signed in before this one and are still there. */
  isSessionExcess(mailbox: string, session: object): boolean {
    const limit = this.#faults.connectionsPerMailbox;
    return limit > 0 && [...this.#use(mailbox).sessions].indexOf(session) >= limit;
  }

  isMinuteFull(mailbox: string): boolean {
    const limit = this.#faults.messagesPerMinute;
    return limit > 0 && this.#since(mailbox, minutes(1)).length >= limit;
  }

  /** True where `recipients` more would exceed the day's quota. */
  isDayFull(mailbox: string, recipients: number): boolean {
    const limit = this.#faults.recipientsPerDay;
    const used = this.#since(mailbox, days(1)).reduce((sum, one) => sum + one.recipients, 0);
    return limit > 0 && used + recipients > limit;
  }

  countMessage(mailbox: string, recipients: number): void {
    const use = this.#use(mailbox);
    use.submitted = [...this.#since(mailbox, days(1)), { at: this.#clock.monotonic(), recipients }].slice(-MOST_REMEMBERED);
  }

  #since(mailbox: string, window: DurationMs): readonly Submitted[] {
    const now = this.#clock.monotonic();
    return this.#use(mailbox).submitted.filter(({ at }) => plus(at, window) > now);
  }

  #use(mailbox: string): Use {
    const key = mailbox.toLowerCase();
    const found = this.#uses.get(key);
    if (found !== undefined) return found;
    const use = { sessions: new Set<object>(), submitted: [] };
    this.#uses.set(key, use);
    return use;
  }
}
