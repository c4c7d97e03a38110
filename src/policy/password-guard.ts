/**
 * Sees to it that a wrong password is shown to a provider once, and not with every message: providers lock a mailbox after a few failures.
 *
 * Until a password has been accepted once, sign-ins of the account come one after another, so that the first refusal stops the others.
 *
 * @packageDocumentation
 */
import type { Account, AccountName } from '../core/account.ts';
import { type DurationMs, type MonotonicMs, plus } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Problem } from '../core/problem.ts';

interface Refusal {
  readonly problem: Problem;
  /** Absent: not before the settings change, which makes another guard. */
  readonly until?: MonotonicMs;
}

export class PasswordGuard {
  readonly #clock: Clock;
  readonly #refusals = new Map<AccountName, Refusal>();
  readonly #accepted = new Set<AccountName>();
  /** The one sign-in that is in progress while nothing is known of the password. Never rejects. */
  readonly #trials = new Map<AccountName, Promise<void>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Run `signIn` in its turn. @param refuse - Makes the error for an account whose password has been refused. */
  async run<Result>({ name }: Account, signIn: () => Promise<Result>, refuse: (problem: Problem) => Error): Promise<Result> {
    for (;;) {
      const trial = this.#trials.get(name);
      if (trial === undefined || this.#accepted.has(name)) break;
      await trial;
    }
    const refusal = this.#refusalOf(name);
    if (refusal !== undefined) throw refuse(refusal.problem);
    const result = signIn().then((value) => {
      this.#accepted.add(name);
      return value;
    });
    const trial = result.then(
      () => undefined,
      () => undefined, // Whoever asked hears of it.
    );
    this.#trials.set(name, trial);
    void trial.then(() => (this.#trials.get(name) === trial ? this.#trials.delete(name) : false));
    return result;
  }

  /** The upstream has refused the password. @param pause - Absent: it is wrong, and stays so. */
  note({ name }: Account, what: Problem, pause?: DurationMs): void {
    this.#accepted.delete(name);
    this.#refusals.set(name, { problem: what, ...(pause === undefined ? {} : { until: plus(this.#clock.monotonic(), pause) }) });
  }

  #refusalOf(name: AccountName): Refusal | undefined {
    const refusal = this.#refusals.get(name);
    if (refusal?.until === undefined || this.#clock.monotonic() < refusal.until) return refusal;
    this.#refusals.delete(name);
    return undefined;
  }
}
