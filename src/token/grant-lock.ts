/**
 * Keeps other processes away from an account's grant while this one uses it.
 *
 * `postern login` and `postern token refresh` run beside a relay on the same state. Were both to send the same refresh token, a provider that
 * rotates may take the second for a theft and revoke the whole grant (RFC 9700 §4.14.2); were a refresh of the relay to end after a login was
 * stored, it would bury the new grant under the old. So the way from loading a refresh token to saving its successor is under a lock
 * (platform/file-lock.ts), which a killed process does not keep.
 *
 * Where no lock can be made, on a full disk say, work goes on without: the lock guards against a second process, and tokens matter more.
 *
 * @packageDocumentation
 */
import { type MonotonicMs, milliseconds, plus, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { lockFile } from '../platform/file-lock.ts';

type Release = () => Promise<void>;

/** A lock and how many actions of this process are under it. */
interface Holding {
  readonly acquired: Promise<Release>;
  users: number;
}

/** Longer than a token endpoint may take (30 s) and the save after it. */
const PATIENCE = seconds(40);
const RETRY_AFTER = milliseconds(50);

export class GrantLocks {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #holdings = new Map<string, Holding>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Run `action` while no other process holds the lock file `path`.
   *
   * @param what - What the lock is for, in words for the operator.
   * @throws ProblemError `TOKEN_STORE_LOCKED`; and whatever `action` throws.
   */
  async hold<Result>(path: string, what: string, action: () => Promise<Result>): Promise<Result> {
    const holding = this.#holdings.get(path) ?? { acquired: this.#acquire(path, what), users: 0 };
    this.#holdings.set(path, holding);
    holding.users += 1;
    try {
      await holding.acquired;
      return await action();
    } finally {
      holding.users -= 1;
      if (holding.users === 0) await this.#release(path, holding);
    }
  }

  async #acquire(path: string, what: string): Promise<Release> {
    const deadline = plus(this.#clock.monotonic(), PATIENCE);
    for (;;) {
      const release = await this.#tryOnce(path, what, deadline);
      if (release !== undefined) return release;
      await new Promise<void>((resolve) => void this.#clock.startTimer(RETRY_AFTER, resolve));
    }
  }

  /** @returns Undefined where another process has the lock. */
  async #tryOnce(path: string, what: string, deadline: MonotonicMs): Promise<Release | undefined> {
    const outcome = await lockFile(path).catch((error: unknown) => this.#goWithout(path, error));
    if (outcome.kind === 'locked') return outcome.release;
    if (this.#clock.monotonic() < deadline) return undefined;
    throw new ProblemError(problem('TOKEN_STORE_LOCKED', `${outcome.holder} has been using ${what} for ${PATIENCE / 1000} s`));
  }

  #goWithout(file: string, error: unknown): { readonly kind: 'locked'; readonly release: Release } {
    this.#log.warn({ event: 'grant-lock-failed', file, error }, 'the lock of a grant could not be made; going on without it');
    return { kind: 'locked', release: () => Promise.resolve() };
  }

  async #release(path: string, holding: Holding): Promise<void> {
    this.#holdings.delete(path);
    try {
      await (await holding.acquired)();
    } catch (error) {
      // That it could not be acquired has been thrown already.
      if (error instanceof ProblemError) return;
      this.#log.warn({ event: 'grant-lock-failed', file: path, error }, 'the lock of a grant could not be given back');
    }
  }
}
