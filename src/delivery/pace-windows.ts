/**
 * How much an account has submitted: messages of the last minute, recipients of the last 24 hours. Both windows roll.
 *
 * Pure but for being changed. Recipients are counted in buckets of ten minutes, which are kept until they are past as a whole: the count is never too
 * low, and at most ten minutes behind.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, type EpochMs, hours, milliseconds, minutes, type MonotonicMs, plus } from '../core/clock.ts';
import type { PaceBucket } from '../core/ports/pace-store.ts';

/** What the provider allows a mailbox. */
export interface PaceLimits {
  readonly messagesPerMinute: number;
  readonly recipientsPerDay: number;
}

/** What an account may still submit: messages in this minute, recipients in these 24 hours. */
export interface PaceLeft {
  readonly messages: number;
  readonly recipients: number;
}

/** The present on both clocks. */
export interface PaceMoment {
  readonly steady: MonotonicMs;
  readonly calendar: EpochMs;
}

const MINUTE = minutes(1);
const DAY = hours(24);
const BUCKET = minutes(10);
const NO_WAIT = milliseconds(0);

export class PaceWindows {
  /** When each message of the last minute began, oldest first. */
  readonly #messages: MonotonicMs[] = [];
  /** Recipients by the moment at which their bucket begins, oldest first. */
  #buckets: Map<EpochMs, number>;

  /** @param buckets - Of an earlier process. One in the future comes from a clock that was wrong, and counts as of now. */
  constructor(buckets: readonly PaceBucket[], now: EpochMs) {
    this.#buckets = new Map();
    for (const { from, recipients } of buckets) this.#count(Math.min(from, bucketOf(now)) as EpochMs, recipients);
  }

  /** How long until a message to that many recipients may go; 0 where it may now. */
  waitFor(recipients: number, limits: PaceLimits, now: PaceMoment): DurationMs {
    return milliseconds(Math.max(this.#minuteWait(limits.messagesPerMinute, now.steady), this.#dayWait(recipients, limits, now.calendar)));
  }

  /** How much may go now without waiting. */
  left({ messagesPerMinute, recipientsPerDay }: PaceLimits, now: PaceMoment): PaceLeft {
    this.#forgetMinute(now.steady);
    this.#forget(now.calendar);
    const recipients = [...this.#buckets.values()].reduce((sum, count) => sum + count, 0);
    return {
      messages: Math.max(0, messagesPerMinute - this.#messages.length),
      recipients: Math.max(0, recipientsPerDay - recipients),
    };
  }

  /** A message to that many recipients goes now. */
  add(recipients: number, now: PaceMoment): void {
    this.#messages.push(now.steady);
    this.addRecipients(recipients, now.calendar);
  }

  /** A message that was added at `moment` did not go. */
  remove(recipients: number, moment: PaceMoment): void {
    const index = this.#messages.lastIndexOf(moment.steady);
    if (index !== -1) this.#messages.splice(index, 1);
    this.addRecipients(-recipients, moment.calendar);
  }

  /** More recipients, or with a negative number fewer, of the bucket of `moment`. */
  addRecipients(recipients: number, moment: EpochMs): void {
    this.#count(bucketOf(moment), recipients);
  }

  /** What is to be remembered. */
  buckets(now: EpochMs): PaceBucket[] {
    this.#forget(now);
    return [...this.#buckets].map(([from, recipients]) => ({ from, recipients }));
  }

  #minuteWait(limit: number, now: MonotonicMs): DurationMs {
    this.#forgetMinute(now);
    const index = this.#messages.length - limit;
    // V8 takes an index below 0 for the name of a property, and looks for it at length.
    const blocking = index < 0 ? undefined : this.#messages[index];
    return blocking === undefined ? NO_WAIT : between(now, plus(blocking, MINUTE));
  }

  /** A message to more recipients than a day allows goes when it is alone: nothing else would ever let it go. */
  #dayWait(recipients: number, { recipientsPerDay }: PaceLimits, now: EpochMs): DurationMs {
    this.#forget(now);
    let excess = Math.min(recipients, recipientsPerDay) - recipientsPerDay;
    for (const count of this.#buckets.values()) excess += count;
    if (excess <= 0) return NO_WAIT;
    for (const [from, count] of this.#buckets) {
      excess -= count;
      if (excess <= 0) return between(now, endOf(from));
    }
    return NO_WAIT;
  }

  #forgetMinute(now: MonotonicMs): void {
    while (this.#messages[0] !== undefined && between(this.#messages[0], now) >= MINUTE) this.#messages.shift();
  }

  #forget(now: EpochMs): void {
    for (const [from, count] of this.#buckets) if (count <= 0 || endOf(from) <= now) this.#buckets.delete(from);
  }

  #count(from: EpochMs, recipients: number): void {
    this.#buckets.set(from, Math.max(0, (this.#buckets.get(from) ?? 0) + recipients));
    // A Map keeps the order of insertion; only a clock that was set back brings an earlier bucket after a later one.
    const last = [...this.#buckets.keys()].at(-2);
    if (last !== undefined && last > from) this.#buckets = new Map([...this.#buckets].sort(([one], [other]) => one - other));
  }
}

const bucketOf = (moment: EpochMs): EpochMs => (moment - (moment % BUCKET)) as EpochMs;

/** When the whole bucket is more than a day old. */
const endOf = (from: EpochMs): EpochMs => plus(plus(from, BUCKET), DAY);
