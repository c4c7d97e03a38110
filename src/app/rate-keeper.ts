/**
 * Writes the counts for charts into the state directory: every few minutes where something was counted, and at the end.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import { minutes } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { ActivityDesk } from '../observability/activity-desk.ts';
import { readRates, writeRates } from '../observability/rate-file.ts';

const EVERY = minutes(5);

export class RateKeeper {
  readonly #file: string;
  readonly #activity: ActivityDesk;
  readonly #clock: Clock;
  readonly #log: Log;
  #timer: Timer | undefined;
  #written = '';

  constructor(stateDir: string, activity: ActivityDesk, { clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#file = join(stateDir, 'rates.json');
    this.#activity = activity;
    this.#clock = clock;
    this.#log = log;
  }

  async start(): Promise<void> {
    const counts = await readRates(this.#file);
    if (counts !== undefined) this.#activity.restoreRates(counts);
    this.#written = JSON.stringify(this.#activity.rateCounts);
    this.#wait();
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.#write();
  }

  #wait(): void {
    this.#timer = this.#clock.startTimer(EVERY, () => void this.#write().then(() => this.#wait()), { isBackground: true });
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    const counts = this.#activity.rateCounts;
    const text = JSON.stringify(counts);
    if (text === this.#written) return;
    try {
      await writeRates(this.#file, counts);
      this.#written = text;
    } catch (error) {
      this.#log.debug(
        { event: 'rates-not-kept', file: this.#file, error },
        'the counts for charts could not be written; tried again later',
      );
    }
  }
}
