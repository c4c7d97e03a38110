/**
 * One fetch rule at work: look at the mailbox, hand what is new to the sink, note that durably, tell the mailbox, wait for news.
 *
 * The order is what keeps mail from being lost or doubled: the sink's durable word first, then the cursor, then the mailbox. A process that dies between the first
 * two offers the message again under the same key; one that dies between the last two tells the mailbox without handing anything on.
 *
 * A message that the sink cannot take now is held, and those behind it go on; where the sink takes nothing at all, it is left alone for a while. One that cannot be
 * read, or is refused for good, is set aside after some tries.
 *
 * @packageDocumentation
 */
import { type DurationMs, type EpochMs, milliseconds, minutes, type MonotonicMs, plus, seconds } from '../core/clock.ts';
import { applyChange, type Cursor, type CursorChange, startingCursor } from '../core/fetch-cursor.ts';
import type { FetchRule } from '../core/fetch-rule.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { CursorStore } from '../core/ports/cursor-store.ts';
import type { FetchState, FetchView } from '../core/ports/fetch-control.ts';
import type { Log } from '../core/ports/log.ts';
import { MailboxError } from '../core/ports/mailbox.ts';
import type { MessageSink, SinkOutcome } from '../core/ports/message-sink.ts';
import type { Random } from '../core/ports/random.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import { fetchedMessage, messageKey, traceField } from './fetched-content.ts';
import type { MailboxSource, MessageFacts, OpenSource } from './mailbox-source.ts';
import { waitAfter } from './waits.ts';

/** What a fetcher needs. */
export interface FetcherDependencies {
  readonly source: MailboxSource;
  readonly store: CursorStore;
  readonly sink: MessageSink;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Of this machine, for the trace field. */
  readonly hostname: string;
  /** Messages set aside have become more or fewer. */
  readonly onAside: (rule: FetchRule, count: number, newest: Problem | undefined) => void;
}

/** IDLE is renewed within 29 minutes (RFC 2177); what the server forgot to tell is seen then, too. */
const LONGEST_IDLE = minutes(20);
/** A session is left so long before its token ends, or in the last quarter of the token's life where that is shorter. */
const BEFORE_TOKEN_ENDS = minutes(2);
/** UIDs that one search covers at first; twice as many after each search that found nothing. */
const WINDOW = 20_000;
/** Messages held; while there are so many, no new ones are taken. */
const MOST_HELD = 1_000;
/** So many in a row that the sink cannot take now mean that it takes none. */
const SINK_DOWN = 3;
/** The provider's clock and ours may differ by this much. */
const CLOCKS_APART = minutes(10);
const MOST_SHOWN = 100;

/** Somebody waits for the rule to have forgotten its cursor. */
interface Resetting {
  readonly done: () => void;
  readonly failed: (error: unknown) => void;
}

/** What the mailbox threw while a message was read. */
interface Unreadable {
  readonly kind: 'unreadable';
  readonly error: unknown;
}

export class Fetcher {
  readonly rule: FetchRule;
  readonly #deps: FetcherDependencies;
  readonly #stopping = new AbortController();
  #wake = new AbortController();
  #running: Promise<void> | undefined;
  #cursor: Cursor | undefined;
  #isPaused = false;
  #resetting: Resetting | undefined;
  #state: FetchState = 'starting';
  #problem: Problem | undefined;
  #nextAttemptAt: EpochMs | undefined;
  #failures = 0;
  /** Offers in a row that the sink could not take. */
  #sinkFailures = 0;
  #sinkRestsUntil: MonotonicMs | undefined;
  #owedRestUntil: MonotonicMs | undefined;
  /** Messages that are held: when they are offered again, and how often that was put off. */
  readonly #later = new Map<number, { readonly at: MonotonicMs; readonly count: number }>();
  /** Taken by the sink while the cursor could not be written. */
  readonly #unrecorded = new Set<string>();
  /** Sizes that turned out to be others than the server says. */
  readonly #sizes = new Map<number, number>();
  #fetched = 0;
  #lastFetchedAt: EpochMs | undefined;
  #lastLookAt: EpochMs | undefined;
  #lag: DurationMs | undefined;

  constructor(rule: FetchRule, deps: FetcherDependencies) {
    this.rule = rule;
    this.#deps = deps;
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
    await this.#deps.sink.close();
    this.#state = 'stopped';
  }

  /** Look now. `isAside`: those set aside are offered again. @throws ProblemError `FETCH_CURSOR_FAILED` */
  async look(isAside: boolean): Promise<void> {
    if (isAside && this.#cursor !== undefined && this.#cursor.aside.size > 0) {
      await this.#save({ kind: 'retry' });
      this.#deps.onAside(this.rule, 0, undefined);
    }
    this.#later.clear();
    this.#sinkRestsUntil = undefined;
    this.#owedRestUntil = undefined;
    this.#failures = 0;
    this.#wake.abort();
  }

  pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    this.#wake.abort();
  }

  /** Forget the cursor between two messages. @throws ProblemError `FETCH_CURSOR_FAILED` */
  async reset(): Promise<void> {
    const isDone = new Promise<void>((done, failed) => (this.#resetting = { done, failed }));
    this.#wake.abort();
    await isDone;
  }

  get view(): FetchView {
    const { name, account, mailbox } = this.rule;
    const cursor = this.#cursor;
    const known = {
      uidValidity: cursor === undefined ? undefined : String(cursor.uidValidity),
      lastUid: cursor?.lastUid,
      lastFetchedAt: isoOf(this.#lastFetchedAt),
      lastLookAt: isoOf(this.#lastLookAt),
      lagSeconds: this.#lag === undefined ? undefined : Math.round(this.#lag / 100) / 10,
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
      fetched: this.#fetched,
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
    return this.#isStopping || this.#isPaused || this.#resetting !== undefined;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        if (this.#resetting !== undefined) await this.#doReset(this.#resetting);
        if (this.#isPaused) await this.#rest('paused', undefined);
        else await this.#session();
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  async #doReset({ done, failed }: Resetting): Promise<void> {
    this.#resetting = undefined;
    try {
      await this.#deps.store.remove(this.rule.name);
    } catch (error) {
      return failed(error);
    }
    this.#cursor = undefined;
    this.#later.clear();
    this.#deps.onAside(this.rule, 0, undefined);
    this.#deps.log.info({ event: 'fetch-reset', ...this.#fields }, 'the rule begins anew');
    return done();
  }

  async #session(): Promise<void> {
    this.#cursor ??= await this.#load();
    if (this.#cursor !== undefined) this.#deps.onAside(this.rule, this.#cursor.aside.size, undefined);
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

  async #load(): Promise<Cursor | undefined> {
    const cursor = await this.#deps.store.load(this.rule.name);
    return cursor?.place === placeOf(this.rule) ? cursor : undefined;
  }

  #wentWell({ upstream }: OpenSource): void {
    const { log, clock } = this.#deps;
    if (this.#failures > 0) log.info({ event: 'fetch-recovered', ...this.#fields, upstream }, 'the mailbox is read again');
    this.#failures = 0;
    this.#nextAttemptAt = undefined;
    if (this.#sinkRestsUntil === undefined) {
      this.#lastLookAt = clock.now();
      if ((this.#cursor?.owed.size ?? 0) === 0 && (this.#cursor?.held.size ?? 0) === 0) this.#problem = undefined;
    }
  }

  /** @param limit - Undefined: until something wakes it. */
  async #rest(state: FetchState, limit: DurationMs | undefined): Promise<void> {
    this.#state = state;
    this.#wake = new AbortController();
    if (this.#isStopping || this.#resetting !== undefined || this.#isPaused !== (state === 'paused')) return;
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
    const { store, log, clock } = this.#deps;
    const { start, name } = this.rule;
    const { uidValidity, uidNext } = source;
    const cursor = this.#cursor;
    if (cursor === undefined) {
      const isFromNow = start === 'now';
      const notBefore = isFromNow ? clock.now() : start === 'all' ? undefined : start;
      const first = startingCursor(placeOf(this.rule), uidValidity, isFromNow ? uidNext - 1 : 0, notBefore);
      await store.replace(name, first);
      this.#cursor = first;
      log.info({ event: 'fetch-begun', ...this.#fields, uid: first.lastUid }, `the rule begins behind UID ${first.lastUid}`);
      return;
    }
    if (cursor.uidValidity === uidValidity && uidNext > cursor.lastUid) return;
    await this.#save({ kind: 'renumbered', uidValidity, upTo: uidNext - 1 });
    this.#later.clear();
    const why = cursor.uidValidity === uidValidity ? 'UIDs are used again' : `UIDVALIDITY ${cursor.uidValidity} has become ${uidValidity}`;
    log.warn({ event: 'fetch-renumbered', ...this.#fields }, `${why}: messages fetched before are recognised by their header`);
  }

  /** @throws ProblemError `FETCH_CURSOR_FAILED` */
  async #save(change: CursorChange): Promise<void> {
    await this.#deps.store.save(this.rule.name, change);
    this.#cursor = applyChange(this.#current, change);
  }

  get #current(): Cursor {
    if (this.#cursor === undefined) throw new Error('no cursor yet');
    return this.#cursor;
  }

  #leaveAt({ tokenExpiresAt }: OpenSource): EpochMs | undefined {
    if (tokenExpiresAt === undefined) return undefined;
    const life = tokenExpiresAt - this.#deps.clock.now();
    return (tokenExpiresAt - Math.min(BEFORE_TOKEN_ENDS, life / 4)) as EpochMs;
  }

  /** Until something that was put off is due. */
  #untilDue(): DurationMs | undefined {
    const now = this.#deps.clock.monotonic();
    const moments = [...this.#current.held.keys()].map((uid) => this.#later.get(uid)?.at ?? now);
    const soonest = moments.length === 0 ? undefined : (Math.min(...moments) as MonotonicMs);
    const dues = [this.#sinkRestsUntil ?? soonest, this.#current.owed.size > 0 ? this.#owedRestUntil : undefined];
    const known = dues.filter((moment): moment is MonotonicMs => moment !== undefined);
    return known.length === 0 ? undefined : milliseconds(Math.max(100, Math.min(...known) - now));
  }

  /** What was handed on and has not been marked, moved or deleted. */
  async #tellMailbox(source: OpenSource): Promise<void> {
    if (this.#owedRestUntil !== undefined && this.#deps.clock.monotonic() < this.#owedRestUntil) return;
    this.#owedRestUntil = undefined;
    for (const uid of this.#current.owed) {
      if (this.#isInterrupted || this.#owedRestUntil !== undefined) return;
      await this.#tell(source, uid);
    }
  }

  async #tell(source: OpenSource, uid: number): Promise<void> {
    try {
      await source.change(uid, this.rule.after);
    } catch (error) {
      if (!(error instanceof ProblemError) || error.problem.code !== 'FETCH_CHANGE_FAILED') throw error;
      this.#problem = error.problem;
      this.#owedRestUntil = plus(this.#deps.clock.monotonic(), minutes(5));
      this.#deps.log.warn({ event: 'fetch-change-failed', ...this.#fields, uid, problem: error.problem }, 'the mailbox could not be told');
      return;
    }
    await this.#save({ kind: 'told', uid });
  }

  /** Everything that is due, then everything that is new. */
  async #pass(source: OpenSource): Promise<void> {
    const { clock } = this.#deps;
    if (this.#sinkRestsUntil !== undefined && clock.monotonic() < this.#sinkRestsUntil) return;
    this.#sinkRestsUntil = undefined;
    for (const uid of [...this.#current.held.keys()].toSorted((one, other) => one - other)) {
      if (this.#isInterrupted || this.#sinkRestsUntil !== undefined) return;
      if ((this.#later.get(uid)?.at ?? 0) <= clock.monotonic()) await this.#offer(source, uid);
    }
    for (let span = WINDOW; ; ) {
      const from = this.#current.lastUid + 1;
      const isLast = from + span >= source.uidNext;
      const to = isLast ? undefined : from + span - 1;
      const uids = await source.search(from, to, this.rule.filter);
      for (const uid of uids) {
        if (this.#isInterrupted || this.#sinkRestsUntil !== undefined || this.#current.held.size >= MOST_HELD) return;
        // The end of `n:*` is the last message, even where it is before n (RFC 9051 §9, seq-range).
        if (uid >= from) await this.#offer(source, uid);
      }
      const reached = to ?? source.uidNext - 1;
      if (reached > this.#current.lastUid) await this.#save({ kind: 'reached', uid: reached });
      if (isLast) return;
      span = uids.length === 0 ? span * 2 : WINDOW;
    }
  }

  /** Hand one message over, and note what came of it. Throws where the session is over. */
  async #offer(source: OpenSource, uid: number): Promise<void> {
    const facts = await this.#describe(source, uid);
    if (facts === undefined) return;
    const key = messageKey(this.rule, source.uidValidity, facts);
    if (!this.#unrecorded.has(key)) {
      const outcome = await this.#handOver(source, facts, key);
      if (outcome.kind === 'unreadable') return this.#unreadable(uid, outcome.error);
      if (outcome.kind === 'later') return this.#putOff(uid, outcome.problem, outcome.afterMs);
      if (outcome.kind === 'refused') return this.#refused(uid, outcome.problem);
      this.#unrecorded.add(key);
    }
    await this.#save({ kind: 'taken', uid, print: facts.print, owed: this.rule.after.kind !== 'keep' });
    this.#unrecorded.delete(key);
    this.#took(facts);
    if (this.rule.after.kind !== 'keep' && this.#owedRestUntil === undefined) await this.#tell(source, uid);
    return undefined;
  }

  /** Offer it to the sink. `unreadable`: the mailbox did not give it out. */
  async #handOver(source: OpenSource, facts: MessageFacts, key: string): Promise<SinkOutcome | Unreadable> {
    const { clock, hostname, sink, log } = this.#deps;
    const { uid } = facts;
    let failure: Unreadable | undefined;
    const trace = traceField(this.rule, source.upstream, key, hostname, clock.now());
    const sized = { ...facts, size: this.#sizes.get(uid) ?? facts.size };
    const counted = countingSource(source, (size) => (size === facts.size ? undefined : this.#sizes.set(uid, size)));
    const message = fetchedMessage(this.rule, counted, sized, trace, key, (error) => (failure = { kind: 'unreadable', error }));
    try {
      const outcome = await sink.deliver(message, this.#stopping.signal);
      if (outcome.kind === 'stored') {
        log.info({ event: 'message-fetched', ...this.#fields, uid, size: message.size }, `fetched; ${outcome.detail}`);
      }
      return outcome;
    } catch (error) {
      if (this.#isStopping || failure === undefined) throw error;
      return failure;
    }
  }

  #took({ uid, receivedAt }: MessageFacts): void {
    const { clock } = this.#deps;
    this.#later.delete(uid);
    this.#sizes.delete(uid);
    this.#sinkFailures = 0;
    this.#fetched += 1;
    this.#lastFetchedAt = clock.now();
    if (receivedAt !== undefined) this.#lag = milliseconds(Math.max(0, clock.now() - receivedAt.getTime()));
  }

  /** Undefined where the message is not to be handed over; that is noted. */
  async #describe(source: OpenSource, uid: number): Promise<MessageFacts | undefined> {
    let facts: MessageFacts | undefined;
    try {
      facts = await source.describe(uid);
    } catch (error) {
      await this.#unreadable(uid, error);
      return undefined;
    }
    if (facts === undefined) {
      this.#deps.log.debug({ event: 'fetch-gone', ...this.#fields, uid }, 'the message is gone');
      await this.#save({ kind: 'passed', uid });
      return undefined;
    }
    const { recheck, notBefore } = this.#current;
    const arrived = facts.receivedAt?.getTime();
    if (recheck !== undefined && uid <= recheck.upTo) {
      if (recheck.known.includes(facts.print)) {
        await this.#save({ kind: 'passed', uid, known: facts.print });
        return undefined;
      }
      if (notBefore !== undefined && arrived !== undefined && arrived < notBefore - CLOCKS_APART) {
        await this.#save({ kind: 'passed', uid });
        return undefined;
      }
    }
    // SEARCH knows days only.
    const since = Math.max(this.rule.filter.since ?? 0, typeof this.rule.start === 'number' ? this.rule.start : 0);
    if (arrived === undefined || arrived >= since) return facts;
    await this.#save({ kind: 'passed', uid });
    return undefined;
  }

  /** It could not be read: its own fault where that happens again and again. */
  async #unreadable(uid: number, error: unknown): Promise<void> {
    if (this.#isStopping || !(error instanceof ProblemError)) throw error;
    await this.#refused(uid, error.problem);
    // Anything else than this code means that the session is over.
    if (error.problem.code !== 'FETCH_MESSAGE_UNREADABLE') throw error;
  }

  async #refused(uid: number, what: Problem): Promise<void> {
    const { clock, random, log, onAside } = this.#deps;
    const tries = (this.#current.held.get(uid)?.tries ?? 0) + 1;
    if (tries < this.rule.tries) {
      await this.#save({ kind: 'held', uid, tries });
      this.#later.set(uid, { at: plus(clock.monotonic(), waitAfter(tries + 2, random.fraction())), count: tries });
      log.warn({ event: 'fetch-refused', ...this.#fields, uid, problem: what, attempt: tries }, 'the message could not be handed on');
      return;
    }
    await this.#save({ kind: 'aside', uid, at: clock.now(), code: what.code, cause: what.cause });
    this.#later.delete(uid);
    log.error({ event: 'fetch-set-aside', ...this.#fields, uid, problem: what, attempt: tries }, 'the message is set aside');
    onAside(this.rule, this.#current.aside.size, what);
  }

  async #putOff(uid: number, what: Problem, afterMs: number | undefined): Promise<void> {
    const { clock, random, log } = this.#deps;
    const count = (this.#later.get(uid)?.count ?? 0) + 1;
    const wait = afterMs === undefined ? waitAfter(count, random.fraction()) : milliseconds(afterMs);
    const tries = this.#current.held.get(uid)?.tries;
    if (tries === undefined) await this.#save({ kind: 'held', uid, tries: 0 });
    this.#later.set(uid, { at: plus(clock.monotonic(), wait), count });
    this.#problem = what;
    this.#sinkFailures += 1;
    log.warn({ event: 'fetch-deferred', ...this.#fields, uid, problem: what, attempt: count }, 'the message is held in its mailbox');
    if (this.#sinkFailures < SINK_DOWN) return;
    const rest = milliseconds(Math.max(waitAfter(this.#sinkFailures - SINK_DOWN + 1, random.fraction()), seconds(2)));
    this.#sinkRestsUntil = plus(clock.monotonic(), rest);
    this.#nextAttemptAt = plus(clock.now(), rest);
  }
}

const isoOf = (moment: EpochMs | undefined): string | undefined => (moment === undefined ? undefined : new Date(moment).toISOString());

const placeOf = ({ account, mailbox }: FetchRule): string => JSON.stringify([account, mailbox]);

/** The same source; `onEnd` hears how many octets a message really has. */
function countingSource(source: OpenSource, onEnd: (octets: number) => void): Pick<OpenSource, 'uidValidity' | 'content'> {
  return {
    uidValidity: source.uidValidity,
    async *content(uid, size, signal) {
      let octets = 0;
      for await (const chunk of source.content(uid, size, signal)) {
        octets += chunk.length;
        yield chunk;
      }
      onEnd(octets);
    },
  };
}

function shortest(limits: readonly (DurationMs | undefined)[]): DurationMs {
  return milliseconds(Math.max(0, Math.min(...limits.filter((limit) => limit !== undefined))));
}
