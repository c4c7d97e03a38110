/**
 * Look-ups of names that share their answer with those who ask for the same while it is on its way.
 *
 * Each look-up takes one of the four threads that also write the spool. Many readers who come back at once, after their provider or the network was away, would
 * keep all of them busy with one and the same question. No answer is kept.
 *
 * @packageDocumentation
 */
import type { LookupFunction } from 'node:net';
import { between, type MonotonicMs, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';

type Callback = Parameters<LookupFunction>[2];

interface Question {
  readonly askedAt: MonotonicMs;
  readonly callbacks: Callback[];
}

/** A resolver that hangs may answer somebody who asks it later. */
const SHARED_FOR = seconds(1);

export class SharedLookups {
  readonly #lookup: LookupFunction;
  readonly #open = new Map<string, Question>();

  constructor(lookup: LookupFunction) {
    this.#lookup = lookup;
  }

  /** As `lookup`, for `dns.lookup`'s options. */
  ask(clock: Clock, ...[hostname, options, callback]: Parameters<LookupFunction>): void {
    const { family, hints, all } = options;
    const key = [hostname, family, hints, all].join(' ');
    const askedAt = clock.monotonic();
    const open = this.#open.get(key);
    if (open !== undefined && between(open.askedAt, askedAt) < SHARED_FOR) {
      open.callbacks.push(callback);
      return;
    }
    const question = { askedAt, callbacks: [callback] };
    this.#open.set(key, question);
    this.#lookup(hostname, options, (...answer) => {
      if (this.#open.get(key) === question) this.#open.delete(key);
      for (const each of question.callbacks) each(...answer);
    });
  }
}
