/**
 * How many messages a client may submit a minute.
 *
 * Pure: time comes with each call. A bucket per client holds one minute's worth of messages and fills evenly, so that a burst after a quiet
 * minute passes at once and a steady stream goes at the pace configured.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, milliseconds, minutes, type MonotonicMs } from '../core/clock.ts';

interface Bucket {
  readonly messages: number;
  readonly at: MonotonicMs;
}

export class MessageRate {
  readonly #buckets = new Map<string, Bucket>();

  /**
   * Take one message out of the client's bucket.
   *
   * @returns 0 where it was there; else how long until it will be, and nothing was taken.
   */
  take(client: string, messagesPerMinute: number, now: MonotonicMs): DurationMs {
    const interval = minutes(1) / messagesPerMinute;
    const { messages, at } = this.#buckets.get(client) ?? { messages: messagesPerMinute, at: now };
    const held = Math.min(messagesPerMinute, messages + between(at, now) / interval);
    // A bucket that is short by less than a rounding error is not short.
    if (held < 1 - 1e-9) return milliseconds(Math.ceil((1 - held) * interval));
    this.#buckets.set(client, { messages: held - 1, at: now });
    return milliseconds(0);
  }
}
