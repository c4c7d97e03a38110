/**
 * The tokens of one account: who waits for what, and when the next try comes.
 *
 * Drives token-state.ts with a {@link Refresher}. At most one try of a line of refresh tokens is in progress; everybody who needs its outcome waits
 * for that one.
 *
 * @packageDocumentation
 */
import type { Account, AccountName } from '../core/account.ts';
import { between, type DurationMs, type EpochMs, milliseconds, minutes, type MonotonicMs, plus, seconds } from '../core/clock.ts';
import type { Timer } from '../core/ports/clock.ts';
import type { AccessToken } from '../core/ports/token-source.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import { isWanted, mayReplace, mayShareLine, settingsDigest } from './refresh-line.ts';
import { type Attempt, type Outcome, Refresher, type TokenDependencies } from './refresher.ts';
import {
  advise,
  changed,
  failed,
  granted,
  INITIAL_STATE,
  isAwaited,
  isUpToPerson,
  type Moment,
  refusedUpstream,
  started,
  type TokenState,
  troubleOf,
  wakeAt,
} from './token-state.ts';

/** What may be shown of an account's tokens. */
export interface TokenStatus {
  readonly state: TokenState['kind'];
  readonly generation: number;
  /** Of the access token in hand. */
  readonly obtainedAt?: EpochMs;
  readonly expiresAt?: EpochMs;
  /** The last one, until a try succeeds. */
  readonly problem?: Problem;
  /** When the next try may come; an estimate by the wall clock. */
  readonly retryAt?: EpochMs;
}

/** What the tokens of an account need. */
export interface AccountTokensDependencies extends TokenDependencies {
  /** Told after each try how the account's tokens are, which often is as before. Must not throw. */
  readonly onChange?: (account: AccountName, status: TokenStatus) => void;
}

/** A try in progress, and what it tells those who wait. */
interface Flight {
  readonly account: Account;
  readonly landing: Promise<Landing>;
}

type Landing =
  | { readonly kind: 'token'; readonly token: AccessToken }
  | { readonly kind: 'problem'; readonly problem: Problem }
  | { readonly kind: 'ask-again' };

/** The port's promise: nobody waits longer. */
const LONGEST_WAIT = seconds(30);
/** An operator who asked for a refresh also waits for another process to finish with the grant. */
const LONGEST_REFRESH = seconds(80);
/** So long may a try go on while the process ends: a rotated refresh token may be on its way. */
const LAST_WAIT = seconds(5);
/** An upstream that refuses more tokens than this in a row refuses the account; asking for more brings AADSTS50196 upon us. */
const MOST_REPLACEMENTS = 5;
const REPLACEMENT_WINDOW = minutes(5);
/**
 * So often we look whether somebody has signed in: `postern login` puts the new grant into the store. Not while a try is ahead anyway: it begins
 * with the store, and an endpoint that is busy is not to be asked sooner.
 */
const LOOK_EVERY = seconds(3);

/** Later than anything that is stored. */
const NEVER = Number.POSITIVE_INFINITY as EpochMs;

/** How a try differs from the usual one. */
interface LaunchOptions {
  /** The grant is not the one that the trouble is about. */
  readonly isNewGrant?: boolean;
  /** A stored access token will not do. */
  readonly isForced?: boolean;
}

export class AccountTokens {
  readonly #deps: AccountTokensDependencies;
  readonly #refresher: Refresher;
  #account: Account;
  #state: TokenState = INITIAL_STATE;
  /** The one that the state `refreshing` speaks of. */
  #flight: Flight | undefined;
  /** That one, and those overtaken by a change that have not landed yet. */
  readonly #flights = new Set<Flight>();
  #replacements: MonotonicMs[] = [];
  /** When an upstream last refused a token. Whatever ended that one (a new password, a revocation) has ended those that were stored before, too. */
  #refusedAt = 0 as EpochMs;
  #timer: Timer | undefined;
  #isStarted = false;
  #isClosed = false;

  constructor(account: Account, deps: AccountTokensDependencies) {
    this.#account = account;
    this.#deps = deps;
    this.#refresher = new Refresher(deps);
  }

  /** See `TokenSource.accessToken`. */
  async accessToken(): Promise<AccessToken> {
    const deadline = plus(this.#deps.clock.monotonic(), LONGEST_WAIT);
    for (;;) {
      if (this.#isClosed) throw new ProblemError(problem('TOKEN_ENDPOINT_UNREACHABLE', `${this.#account.name}: Postern is stopping`));
      const advice = advise(this.#state, this.#now());
      if (advice.kind === 'fail') throw new ProblemError(advice.problem);
      if (advice.kind === 'use') {
        if (advice.isDue) this.#launch();
        return advice.token;
      }
      const flight = (advice.kind === 'join' ? this.#flight : undefined) ?? this.#launch();
      const landing = await this.#await(flight, deadline);
      if (landing.kind === 'token') return landing.token;
      if (landing.kind === 'problem') throw new ProblemError(landing.problem);
    }
  }

  /** See `TokenSource.replaceRefused`. */
  async replaceRefused(refused: AccessToken): Promise<AccessToken> {
    const { held } = this.#state;
    if (held !== undefined && held.token.generation <= refused.generation) {
      this.#countReplacement();
      this.#state = refusedUpstream(this.#state, refused);
      this.#refusedAt = this.#deps.clock.now();
      this.#schedule();
    }
    return this.accessToken();
  }

  /** Ask the endpoint now, whatever is in hand: somebody wants to know what comes back. @throws ProblemError */
  async refresh(): Promise<AccessToken> {
    const flight = this.#state.kind === 'refreshing' && this.#flight !== undefined ? this.#flight : this.#launch({ isForced: true });
    const landing = await this.#await(flight, plus(this.#deps.clock.monotonic(), LONGEST_REFRESH));
    if (landing.kind === 'problem') throw new ProblemError(landing.problem);
    return landing.kind === 'token' ? landing.token : this.accessToken();
  }

  /** Get tokens ahead of need from now on, the first after `delay`. */
  start(delay: DurationMs): void {
    this.#isStarted = true;
    if (this.#state.kind === 'empty') this.#wakeAfter(delay);
    else this.#schedule();
  }

  /** No more background work until the next {@link start}. */
  pause(): void {
    this.#isStarted = false;
    this.#timer?.cancel();
  }

  /** Take over a changed configuration. A changed identity or secret clears a bad state and is tried at once. */
  update(account: Account): void {
    const before = this.#account;
    this.#account = account;
    const isSameToken = settingsDigest(before) === settingsDigest(account);
    if (isSameToken && credentials(before) === credentials(account)) return;
    this.#state = changed(this.#state, { keepsToken: isSameToken });
    this.#deps.log.info(
      { event: 'token-settings-changed', account: account.name, generation: this.#state.generation },
      'the settings or secrets of the account changed',
    );
    if (this.#isStarted && !this.#isClosed) this.#launch();
  }

  describe(): TokenStatus {
    const { kind, generation, held } = this.#state;
    const now = this.#now();
    const trouble = troubleOf(this.#state);
    return {
      state: kind,
      generation,
      ...(held === undefined ? {} : { obtainedAt: held.obtainedAt, expiresAt: held.token.expiresAt }),
      ...(trouble === undefined ? {} : { problem: trouble.problem }),
      ...('retryAt' in this.#state ? { retryAt: plus(now.wall, between(now.steady, this.#state.retryAt)) } : {}),
    };
  }

  /** No more tries; those in progress may land within a few seconds, so that no rotated refresh token is lost. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    const deadline = plus(this.#deps.clock.monotonic(), LAST_WAIT);
    await Promise.all([...this.#flights].map((flight) => this.#await(flight, deadline)));
  }

  #launch({ isNewGrant = false, isForced = false }: LaunchOptions = {}): Flight {
    const account = this.#account;
    const { generation } = this.#state;
    const trouble = troubleOf(this.#state);
    const attempt: Attempt = {
      account,
      generation,
      usesPrevious: !isNewGrant && trouble?.kind === 'reauth-required' && trouble.tries === 1,
      restoresSince: isForced ? NEVER : this.#refusedAt,
      isCurrent: () => isAwaited(this.#state, generation),
      isWanted: (line, stored) => isWanted(this.#account.auth, line, stored),
      mayKeep: (line, stored) => mayReplace(this.#account.auth, line, stored),
      nextGeneration: (stored) => Math.max(this.#state.generation, stored) + 1,
    };
    const before = [...this.#flights].filter((other) => mayShareLine(other.account.auth, account.auth));
    this.#state = started(this.#state);
    this.#timer?.cancel();
    const flight: Flight = { account, landing: this.#fly(attempt, before) };
    this.#flight = flight;
    this.#flights.add(flight);
    void flight.landing.then(() => this.#flights.delete(flight));
    return flight;
  }

  /** Never rejects. */
  async #fly(attempt: Attempt, before: readonly Flight[]): Promise<Landing> {
    await Promise.all(before.map(({ landing }) => landing));
    const begun = this.#deps.clock.monotonic();
    // A change while we waited has started another flight already, or will with the next caller.
    const outcome: Outcome = attempt.isCurrent() ? await this.#refresher.run(attempt) : { kind: 'outdated' };
    return this.#land(attempt, outcome, between(begun, this.#deps.clock.monotonic()));
  }

  #land(attempt: Attempt, outcome: Outcome, durationMs: DurationMs): Landing {
    const landing = this.#settle(attempt, outcome, durationMs);
    if (landing.kind !== 'ask-again') this.#deps.onChange?.(this.#account.name, this.describe());
    return landing;
  }

  #settle(attempt: Attempt, outcome: Outcome, durationMs: DurationMs): Landing {
    if (!attempt.isCurrent() || outcome.kind === 'outdated') return { kind: 'ask-again' };
    const before = troubleOf(this.#state);
    if (outcome.kind === 'obtained') {
      this.#state = granted(this.#state, attempt.generation, outcome.held);
      this.#schedule();
      this.#reportToken(outcome.held.token, outcome.isRestored, before !== undefined, durationMs);
      return { kind: 'token', token: outcome.held.token };
    }
    this.#state = failed(this.#state, attempt.generation, outcome.verdict, this.#now(), this.#deps.random.fraction());
    this.#schedule();
    this.#reportProblem(before?.problem, outcome.verdict.problem, durationMs);
    return { kind: 'problem', problem: troubleOf(this.#state)?.problem ?? outcome.verdict.problem };
  }

  async #await(flight: Flight, deadline: MonotonicMs): Promise<Landing> {
    const { clock } = this.#deps;
    let timer: Timer | undefined;
    const late = new Promise<Landing>((resolve) => {
      const patience = milliseconds(Math.max(0, between(clock.monotonic(), deadline)));
      const cause = `${this.#account.name}: no token within ${LONGEST_WAIT / 1000} s`;
      const expire = (): void => resolve({ kind: 'problem', problem: problem('TOKEN_ENDPOINT_UNREACHABLE', cause) });
      timer = clock.startTimer(patience, expire);
    });
    try {
      return await Promise.race([flight.landing, late]);
    } finally {
      timer?.cancel();
    }
  }

  /** @throws ProblemError where an upstream has refused too many tokens for another one to help. */
  #countReplacement(): void {
    const now = this.#deps.clock.monotonic();
    this.#replacements = this.#replacements.filter((moment) => between(moment, now) < REPLACEMENT_WINDOW);
    if (this.#replacements.length >= MOST_REPLACEMENTS) {
      const cause = `the upstream refused ${MOST_REPLACEMENTS} access tokens of ${this.#account.name} within ${REPLACEMENT_WINDOW / 60_000} minutes; no more are fetched for now`;
      throw new ProblemError(problem('UPSTREAM_AUTH_REFUSED', cause));
    }
    this.#replacements.push(now);
  }

  #schedule(): void {
    this.#timer?.cancel();
    const next = wakeAt(this.#state);
    if (next === undefined) return;
    const wait = milliseconds(Math.max(0, between(this.#deps.clock.monotonic(), next)));
    if (wait > LOOK_EVERY && (this.#state.kind === 'active' || isUpToPerson(this.#state)))
      this.#wakeAfter(LOOK_EVERY, () => void this.#lookForNewGrant());
    else this.#wakeAfter(wait);
  }

  #wakeAfter(delay: DurationMs, action = () => this.#wake()): void {
    this.#timer?.cancel();
    if (!this.#isStarted || this.#isClosed) return;
    this.#timer = this.#deps.clock.startTimer(delay, action, { isBackground: true });
  }

  #wake(): void {
    if (this.#state.kind !== 'refreshing') this.#launch();
  }

  /** Never rejects. */
  async #lookForNewGrant(): Promise<void> {
    const before = this.#state;
    const isThere = await this.#refresher.hasNews(this.#account, before.kind === 'active');
    if (this.#state !== before || !this.#isStarted || this.#isClosed) return; // Whatever happened meanwhile has set the timer.
    if (!isThere) return this.#schedule();
    this.#deps.log.info({ event: 'grant-found', account: this.#account.name }, 'another process has stored a new grant: trying it');
    this.#launch({ isNewGrant: true });
  }

  #reportToken(token: AccessToken, isRestored: boolean, isRecovery: boolean, durationMs: DurationMs): void {
    const expiresInSeconds = Math.round(between(this.#deps.clock.now(), token.expiresAt) / 1000);
    const fields = { account: this.#account.name, generation: token.generation, expiresInSeconds, durationMs };
    if (isRecovery) this.#deps.log.info({ event: 'token-recovered', ...fields }, 'access token obtained; the trouble is over');
    else if (isRestored) this.#deps.log.info({ event: 'token-restored', ...fields }, 'a stored access token still lives');
    else this.#deps.log.info({ event: 'token-obtained', ...fields }, 'access token obtained');
  }

  /** Loud when something changes, quiet while it stays: an outage of a night must not fill the log. */
  #reportProblem(before: Problem | undefined, problemNow: Problem, durationMs: DurationMs): void {
    const { kind, generation } = this.#state;
    const fields = { event: 'token-failed', account: this.#account.name, generation, durationMs, problem: problemNow };
    if (before?.code === problemNow.code && before.remedy === problemNow.remedy) this.#deps.log.debug(fields, 'still no access token');
    else if (kind === 'backing-off') this.#deps.log.warn(fields, 'no access token for now');
    else this.#deps.log.error(fields, `no access token: the account is in state ${kind}`);
  }

  #now(): Moment {
    return { wall: this.#deps.clock.now(), steady: this.#deps.clock.monotonic() };
  }
}

/** What a token is asked for with, besides that which decides what it is good for. */
function credentials({ auth, provider }: Account): string {
  return JSON.stringify([auth, provider.ca]);
}
