/**
 * One fetch rule at work: look at the mailbox, hand what is new to the sink, note that durably, tell the mailbox, wait for news.
 *
 * What becomes of each message is ./offering.ts. A message that the sink cannot take now is held, and those behind it go on; where the sink takes nothing at all, it is left alone for a while. One that cannot be
 * read, or is refused for good, is set aside after some tries.
 *
 * @packageDocumentation
 */
import { type DurationMs, type EpochMs, milliseconds, minutes, plus } from '../core/clock.ts';
import { startingCursor } from '../core/fetch-cursor.ts';
import type { FetchRule } from '../core/fetch-rule.ts';
import type { CursorStore } from '../core/ports/cursor-store.ts';
import type { FetchState, FetchView } from '../core/ports/fetch-control.ts';
import { MailboxError } from '../core/ports/mailbox.ts';
import type { Random } from '../core/ports/random.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import type { MailboxSource, OpenSource } from './mailbox-source.ts';
import { OfferDelays } from './offer-delays.ts';
import { Offering, type OfferingDependencies } from './offering.ts';
import { placeOf, RuleCursor } from './rule-cursor.ts';
import { waitAfter } from './waits.ts';

/** What a fetcher needs. */
export interface FetcherDependencies extends OfferingDependencies {
  readonly source: MailboxSource;
  readonly store: CursorStore;
  readonly random: Random;
}

/** IDLE is renewed within 29 minutes (RFC 2177); what the server forgot to tell is seen then, too. */
const LONGEST_IDLE = minutes(20);
/** A session is left so long before its token ends, or in the last quarter of the token's life where that is shorter. */
const BEFORE_TOKEN_ENDS = minutes(2);
/** UIDs that one search covers at first; twice as many after each search that found nothing. */
const WINDOW = 20_000;
/** Messages held; while there are so many, no new ones are taken. */
const MOST_HELD = 1_000;
const MOST_SHOWN = 100;

/** Somebody waits for the rule to have forgotten its cursor. */
interface Resetting {
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

export class Fetcher {
  readonly rule: FetchRule;
  readonly #deps: FetcherDependencies;
  readonly #stopping = new AbortController();
  readonly #cursor: RuleCursor;
  readonly #delays: OfferDelays;
  readonly #offering: Offering;
  #wake = new AbortController();
  #running: Promise<void> | undefined;
  #isPaused = false;
  #resetting: Resetting[] = [];
  #state: FetchState = 'starting';
  #problem: Problem | undefined;
  #nextAttemptAt: EpochMs | undefined;
  #failures = 0;
  #lastLookAt: EpochMs | undefined;

  constructor(rule: FetchRule, deps: FetcherDependencies) {
    this.rule = rule;
    this.#deps = deps;
    this.#cursor = new RuleCursor(rule, deps.store);
    this.#delays = new OfferDelays(deps);
    const onTrouble = (what: Problem, rest: DurationMs | undefined): void => {
      this.#problem = what;
      if (rest !== undefined) this.#nextAttemptAt = plus(deps.clock.now(), rest);
    };
    const own = { rule, cursor: this.#cursor, delays: this.#delays, stopping: this.#stopping.signal, onTrouble };
    this.#offering = new Offering(own, deps);
  }

  start(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#running ??= this.#run();
  }

  /** A message under way is broken off; it stays in the mailbox, or is told as stored. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the fetch rule is stopped'));
    this.#wake.abort();
    await this.#running;
    for (const { failed } of this.#resetting.splice(0)) failed(this.#gone());
    await this.#deps.sink.close();
    this.#state = 'stopped';
  }

  /** Look now. `isAside`: those set aside are offered again. @throws ProblemError `FETCH_CURSOR_FAILED` */
  async look(isAside: boolean): Promise<void> {
    if (isAside && (await this.#cursor.retryAside())) this.#deps.onAside(this.rule, 0, undefined);
    this.#delays.clear();
    this.#failures = 0;
    this.#wake.abort();
  }

  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#wake.abort();
  }

  /** Forget the cursor between two messages. @throws ProblemError `FETCH_CURSOR_FAILED`, `FETCH_RULE_UNKNOWN` where the rule is stopped meanwhile. */
  async reset(): Promise<void> {
    if (this.#isStopping) throw this.#gone();
    const isDone = new Promise<void>((done, failed) => void this.#resetting.push({ done, failed }));
    this.#wake.abort();
    await isDone;
  }

  get view(): FetchView {
    const { name, account, mailbox } = this.rule;
    const cursor = this.#cursor.value;
    const { count: fetched, at, lag } = this.#offering.handedOn;
    const known = {
      uidValidity: cursor === undefined ? undefined : String(cursor.uidValidity),
      lastUid: cursor?.lastUid,
      lastFetchedAt: isoOf(at),
      lastLookAt: isoOf(this.#lastLookAt),
      lagSeconds: lag === undefined ? undefined : Math.round(lag / 100) / 10,
      problem: this.#problem,
      nextAttemptAt: isoOf(this.#nextAttemptAt),
    };
    const aside = [...(cursor?.aside ?? [])].map(([uid, { at, code, cause }]) => ({ uid, at: new Date(at).toISOString(), code, cause }));
    return {
      name,
      account,
      mailbox,
      sink: this.#deps.sink.description,
      state: this.#state,
      isPaused: this.#isPaused,
      fetched,
      held: cursor?.held.size ?? 0,
      owed: cursor?.owed.size ?? 0,
      aside: aside.slice(0, MOST_SHOWN),
      asideCount: aside.length,
      ...(Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined)) as Partial<FetchView>),
    };
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** True where something else is to be done than what is being done. */
  get #isInterrupted(): boolean {
    return this.#isStopping || this.#isPaused || this.#resetting.length > 0;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        if (this.#resetting.length > 0) await this.#reset(this.#resetting.splice(0));
        if (this.#isPaused) await this.#rest('paused', undefined);
        else await this.#session();
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  /** Whoever asked before it was begun has what they asked for. */
  async #reset(asked: readonly Resetting[]): Promise<void> {
    try {
      await this.#cursor.forget();
    } catch (error) {
      for (const { failed } of asked) failed(error);
      return;
    }
    this.#delays.forgetMessages();
    this.#deps.onAside(this.rule, 0, undefined);
    this.#deps.log.info({ event: 'fetch-reset', ...this.#fields }, 'the rule begins anew');
    for (const { done } of asked) done();
  }

  #gone(): ProblemError {
    return new ProblemError(problem('FETCH_RULE_UNKNOWN', `fetch rule ${this.rule.name} is stopped`));
  }

  async #session(): Promise<void> {
    this.#state = 'starting';
    const cursor = await this.#cursor.load();
    if (cursor !== undefined) this.#deps.onAside(this.rule, cursor.aside.size, undefined);
    const source = await this.#deps.source.open(this.rule, this.#stopping.signal);
    const leaveAt = this.#leaveAt(source);
    try {
      await this.#adopt(source);
      for (;;) {
        if (this.#isInterrupted) return;
        this.#state = 'working';
        await this.#tellMailbox(source);
        await this.#pass(source);
        if (this.#isInterrupted) return;
        this.#wentWell(source);
        const left = leaveAt === undefined ? undefined : milliseconds(leaveAt - this.#deps.clock.now());
        if (left !== undefined && left <= 0) return;
        if (this.rule.mode === 'poll') break;
        const limits = [source.canIdle ? LONGEST_IDLE : this.rule.interval, left, this.#untilDue()];
        this.#state = this.#problem === undefined ? 'waiting' : 'backing-off';
        this.#wake = new AbortController();
        // What woke it may have come before there was something to wake.
        if (this.#isInterrupted) return;
        await source.waitForNews(shortest(limits), AbortSignal.any([this.#wake.signal, this.#stopping.signal]));
      }
    } finally {
      source.close();
    }
    await this.#rest(this.#problem === undefined ? 'waiting' : 'backing-off', shortest([this.rule.interval, this.#untilDue()]));
  }

  #wentWell({ upstream }: OpenSource): void {
    const { log, clock } = this.#deps;
    if (this.#failures > 0) log.info({ event: 'fetch-recovered', ...this.#fields, upstream }, 'the mailbox is read again');
    this.#failures = 0;
    this.#nextAttemptAt = undefined;
    if (this.#delays.isSinkResting) return;
    this.#lastLookAt = clock.now();
    const { owed, held } = this.#cursor.current;
    if (owed.size === 0 && held.size === 0) this.#problem = undefined;
  }

  /** @param limit - Undefined: until something wakes it. */
  async #rest(state: FetchState, limit: DurationMs | undefined): Promise<void> {
    this.#state = state;
    this.#wake = new AbortController();
    if (this.#isStopping || this.#resetting.length > 0 || this.#isPaused !== (state === 'paused')) return;
    const { signal } = this.#wake;
    await new Promise<void>((resolve) => {
      const timer = limit === undefined ? undefined : this.#deps.clock.startTimer(limit, resolve);
      signal.addEventListener('abort', () => {
        timer?.cancel();
        resolve();
      });
    });
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#isStopping) return;
    const { clock, random, log } = this.#deps;
    this.#failures += 1;
    const what = error instanceof ProblemError ? error.problem : problem('INTERNAL');
    const asked = error instanceof MailboxError ? error.retryAfter : undefined;
    const wait = milliseconds(Math.max(waitAfter(this.#failures, random.fraction()), asked ?? 0));
    this.#problem = what;
    this.#nextAttemptAt = plus(clock.now(), wait);
    const level = what.heals === 'by-itself' ? 'warn' : 'error';
    const details = error instanceof ProblemError ? {} : { error };
    log[level](
      { event: 'fetch-failed', ...this.#fields, problem: what, attempt: this.#failures, ...details },
      `fetching failed; next try in ${Math.ceil(wait / 1000)} s`,
    );
    await this.#rest('backing-off', wait);
  }

  get #fields() {
    const { name: rule, account, mailbox } = this.rule;
    return { rule, account, mailbox };
  }

  /** Begin, go on, or recognise that the mailbox has other UIDs now. */
  async #adopt(source: OpenSource): Promise<void> {
    const { log, clock } = this.#deps;
    const { start } = this.rule;
    const { uidValidity, uidNext } = source;
    const cursor = this.#cursor.value;
    if (cursor === undefined) {
      const isFromNow = start === 'now';
      const notBefore = isFromNow ? clock.now() : start === 'all' ? undefined : start;
      const first = startingCursor(placeOf(this.rule), uidValidity, isFromNow ? uidNext - 1 : 0, notBefore);
      await this.#cursor.begin(first);
      log.info({ event: 'fetch-begun', ...this.#fields, uid: first.lastUid }, `the rule begins behind UID ${first.lastUid}`);
      return;
    }
    if (cursor.uidValidity === uidValidity && uidNext > cursor.lastUid) return;
    await this.#cursor.save({ kind: 'renumbered', uidValidity, upTo: uidNext - 1 });
    this.#delays.forgetMessages();
    const why = cursor.uidValidity === uidValidity ? 'UIDs are used again' : `UIDVALIDITY ${cursor.uidValidity} has become ${uidValidity}`;
    log.warn({ event: 'fetch-renumbered', ...this.#fields }, `${why}: messages fetched before are recognised by their header`);
  }

  #leaveAt({ tokenExpiresAt }: OpenSource): EpochMs | undefined {
    if (tokenExpiresAt === undefined) return undefined;
    const life = tokenExpiresAt - this.#deps.clock.now();
    return (tokenExpiresAt - Math.min(BEFORE_TOKEN_ENDS, life / 4)) as EpochMs;
  }

  /** Until something that was put off is due. */
  #untilDue(): DurationMs | undefined {
    const { held, owed } = this.#cursor.current;
    return this.#delays.untilDue(held.keys(), owed.size > 0);
  }

  /** What was handed on and has not been marked, moved or deleted. */
  async #tellMailbox(source: OpenSource): Promise<void> {
    for (const uid of this.#cursor.current.owed) {
      if (this.#isInterrupted || this.#delays.isOwedResting) return;
      await this.#offering.tell(source, uid);
    }
  }

  /** Everything that is due, then everything that is new. */
  async #pass(source: OpenSource): Promise<void> {
    for (const uid of [...this.#cursor.current.held.keys()].toSorted((one, other) => one - other)) {
      if (this.#isInterrupted || this.#delays.isSinkResting) return;
      if (this.#delays.isDue(uid)) await this.#offering.offer(source, uid);
    }
    if (this.#isInterrupted || this.#delays.isSinkResting) return;
    for (let span = WINDOW; ; ) {
      const from = this.#cursor.current.lastUid + 1;
      const isLast = from + span >= source.uidNext;
      const to = isLast ? undefined : from + span - 1;
      const uids = await source.search(from, to, this.rule.filter);
      for (const uid of uids) {
        if (this.#isInterrupted || this.#delays.isSinkResting || this.#cursor.current.held.size >= MOST_HELD) return;
        // The end of `n:*` is the last message, even where it is before n (RFC 9051 §9, seq-range).
        if (uid >= from) await this.#offering.offer(source, uid);
      }
      const reached = to ?? source.uidNext - 1;
      if (reached > this.#cursor.current.lastUid) await this.#cursor.save({ kind: 'reached', uid: reached });
      if (isLast) return;
      span = uids.length === 0 ? span * 2 : WINDOW;
    }
  }
}

const isoOf = (moment: EpochMs | undefined): string | undefined => (moment === undefined ? undefined : new Date(moment).toISOString());

function shortest(limits: readonly (DurationMs | undefined)[]): DurationMs {
  return milliseconds(Math.max(0, Math.min(...limits.filter((limit) => limit !== undefined))));
}
