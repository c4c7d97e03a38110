/**
 * Keeps every account to the pace that its provider allows, so that the provider never has to refuse: messages a minute and recipients a day.
 * (Connections at a time are kept by whoever holds them, in upstream/connection-places.ts.)
 *
 * The day's count is written to the {@link PaceStore} some seconds after it changes. What a kill takes away is the last seconds of it.
 *
 * @packageDocumentation
 */
import type { Account, AccountName } from '../core/account.ts';
import { type DurationMs, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { PaceRecord, PaceStore } from '../core/ports/pace-store.ts';
import { ProblemError, problem } from '../core/problem.ts';
import type { Calendar } from './calendar.ts';
import { type PaceLeft, type PaceMoment, PaceWindows } from './pace-windows.ts';

/** What a pacer needs. */
export interface PacerDependencies {
  readonly store: PaceStore;
  readonly clock: Clock;
  readonly calendar: Calendar;
  readonly log: Log;
}

/** A message that has been counted. */
export interface Counted {
  /** It never got as far as MAIL, or reached fewer recipients than were counted. The first word counts. */
  correct(actual: { readonly messages: 0 | 1; readonly recipients: number }): void;
}

const SAVE_AFTER = seconds(5);

export class Pacer {
  readonly #deps: PacerDependencies;
  readonly #windows = new Map<AccountName, PaceWindows>();
  #timer: Timer | undefined;
  #saving: Promise<void> = Promise.resolve();
  #isDirty = false;
  #isStoreBroken = false;

  private constructor(deps: PacerDependencies, record: PaceRecord) {
    this.#deps = deps;
    for (const [name, buckets] of record) this.#windows.set(name, new PaceWindows(buckets, deps.calendar.now()));
  }

  /** Never throws: without its record the pacer begins with empty windows, and says so. */
  static async open(deps: PacerDependencies): Promise<Pacer> {
    try {
      return new Pacer(deps, await deps.store.load());
    } catch (error) {
      const message = 'the pace of the last day is not known: the provider may refuse what is sent beyond its limit';
      deps.log.warn({ event: 'pace-unknown', problem: problemOf(error) }, message);
      return new Pacer(deps, new Map());
    }
  }

  /** How long until a message to that many recipients may go; 0 where it may now. */
  waitFor({ name, provider }: Account, recipients: number): DurationMs {
    return this.#windowsOf(name).waitFor(recipients, provider.limits, this.#now());
  }

  /** How much may go now without waiting. */
  left({ name, provider }: Account): PaceLeft {
    return this.#windowsOf(name).left(provider.limits, this.#now());
  }

  /** Count a message that goes now. */
  count({ name }: Account, recipients: number): Counted {
    const windows = this.#windowsOf(name);
    const moment = this.#now();
    windows.add(recipients, moment);
    this.#changed();
    let isCorrected = false;
    return {
      correct: (actual) => {
        if (isCorrected) return;
        isCorrected = true;
        if (actual.messages === 1 && actual.recipients === recipients) return;
        if (actual.messages === 0) windows.remove(recipients, moment);
        else windows.addRecipients(actual.recipients - recipients, moment.calendar);
        this.#changed();
      },
    };
  }

  /** Write down what has not been. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.#save();
  }

  #windowsOf(name: AccountName): PaceWindows {
    const known = this.#windows.get(name);
    if (known !== undefined) return known;
    const windows = new PaceWindows([], this.#deps.calendar.now());
    this.#windows.set(name, windows);
    return windows;
  }

  #now(): PaceMoment {
    const { clock, calendar } = this.#deps;
    return { steady: clock.monotonic(), calendar: calendar.now() };
  }

  #changed(): void {
    this.#isDirty = true;
    this.#timer ??= this.#deps.clock.startTimer(SAVE_AFTER, () => void this.#save(), { isBackground: true });
  }

  /** Never rejects. */
  #save(): Promise<void> {
    this.#timer = undefined;
    this.#saving = this.#saving.then(() => this.#write());
    return this.#saving;
  }

  async #write(): Promise<void> {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    const { store, calendar, log } = this.#deps;
    const counts = [...this.#windows].map(([name, windows]) => [name, windows.buckets(calendar.now())] as const);
    try {
      await store.save(new Map(counts.filter(([, buckets]) => buckets.length > 0)));
      this.#isStoreBroken = false;
    } catch (error) {
      this.#isDirty = true;
      if (!this.#isStoreBroken) log.warn({ event: 'pace-unsaved', problem: problemOf(error) }, 'the pace of today cannot be written down');
      this.#isStoreBroken = true; // Once is enough, until it works again.
    }
  }
}

function problemOf(error: unknown) {
  return error instanceof ProblemError ? error.problem : problem('PACE_STORE_FAILED', String(error));
}
