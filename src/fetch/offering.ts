/**
 * What becomes of one message of a rule: whether it is wanted, handed over, put off, refused, set aside; each noted durably before anything follows from it.
 *
 * The order is what keeps mail from being lost or doubled: the sink's durable word first, then the cursor, then the mailbox. A process that dies between the first
 * two offers the message again under the same key; one that dies between the last two tells the mailbox without handing anything on.
 *
 * @packageDocumentation
 */
import { type DurationMs, type EpochMs, milliseconds, minutes } from '../core/clock.ts';
import type { FetchRule } from '../core/fetch-rule.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { MessageSink, SinkOutcome } from '../core/ports/message-sink.ts';
import { type Problem, type ProblemCode, ProblemError } from '../core/problem.ts';
import { fetchedMessage, messageKey, traceField } from './fetched-content.ts';
import type { MessageFacts, OpenSource } from './mailbox-source.ts';
import type { OfferDelays } from './offer-delays.ts';
import type { RuleCursor } from './rule-cursor.ts';

/** What offering needs. */
export interface OfferingDependencies {
  readonly sink: MessageSink;
  readonly clock: Clock;
  readonly log: Log;
  /** Of this machine, for the trace field. */
  readonly hostname: string;
  /** Messages set aside have become more or fewer. */
  readonly onAside: (rule: FetchRule, count: number, newest: Problem | undefined) => void;
}

/** What it works on. */
export interface OfferingParts {
  readonly rule: FetchRule;
  readonly cursor: RuleCursor;
  readonly delays: OfferDelays;
  /** A message under way is broken off. */
  readonly stopping: AbortSignal;
  /** The sink, or the mailbox that is to be told, is in the way. `rest`: for so long nothing is offered. */
  readonly onTrouble: (what: Problem, rest: DurationMs | undefined) => void;
}

/** What was handed on since the process began. */
export interface HandedOn {
  readonly count: number;
  /** The last one. */
  readonly at?: EpochMs;
  /** Of the last one that the mailbox has a time for: from its arrival. */
  readonly lag?: DurationMs;
}

/** The provider's clock and ours may differ by this much. */
const CLOCKS_APART = minutes(10);

/** A message can be what ends a session. Throttling, tokens and the like are about the account, whichever message they meet. */
const MAY_BE_ITS_FAULT: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'FETCH_MESSAGE_UNREADABLE',
  'UPSTREAM_LOST',
  'UPSTREAM_PROTOCOL',
  'UPSTREAM_TIMEOUT',
]);

/** What the mailbox threw while a message was read. */
interface Unreadable {
  readonly kind: 'unreadable';
  readonly error: unknown;
}

export class Offering {
  readonly #deps: OfferingDependencies;
  readonly #parts: OfferingParts;
  readonly #rule: FetchRule;
  readonly #cursor: RuleCursor;
  readonly #delays: OfferDelays;
  /** Taken by the sink while the cursor could not be written. */
  readonly #unrecorded = new Set<string>();
  /** Sizes that turned out to be others than the server says. */
  readonly #sizes = new Map<number, number>();
  #sofar: HandedOn = { count: 0 };

  constructor(parts: OfferingParts, deps: OfferingDependencies) {
    this.#deps = deps;
    this.#parts = parts;
    this.#rule = parts.rule;
    this.#cursor = parts.cursor;
    this.#delays = parts.delays;
  }

  get handedOn(): HandedOn {
    return this.#sofar;
  }

  /** Hand one message over, and note what came of it. Throws where the session is over. */
  async offer(source: OpenSource, uid: number): Promise<void> {
    const facts = await this.#describe(source, uid);
    if (facts === undefined) return;
    const key = messageKey(this.#rule, source.uidValidity, facts);
    if (!this.#unrecorded.has(key)) {
      const outcome = await this.#handOver(source, facts, key);
      if (outcome.kind === 'unreadable') return this.#unreadable(uid, outcome.error);
      if (outcome.kind === 'later') return this.#putOff(uid, outcome.problem, outcome.afterMs);
      if (outcome.kind === 'refused') return this.#refused(uid, outcome.problem);
      this.#unrecorded.add(key);
    }
    await this.#cursor.save({ kind: 'taken', uid, print: facts.print, owed: this.#rule.after.kind !== 'keep' });
    this.#unrecorded.delete(key);
    this.#took(facts);
    if (this.#rule.after.kind !== 'keep' && !this.#delays.isOwedResting) await this.tell(source, uid);
    return undefined;
  }

  /** Offer it to the sink. `unreadable`: the mailbox did not give it out. */
  async #handOver(source: OpenSource, facts: MessageFacts, key: string): Promise<SinkOutcome | Unreadable> {
    const { clock, hostname, sink, log } = this.#deps;
    const { uid } = facts;
    let failure: Unreadable | undefined;
    const trace = traceField(this.#rule, source.upstream, key, hostname, clock.now());
    const sized = { ...facts, size: this.#sizes.get(uid) ?? facts.size };
    const counted = countingSource(source, (size) => (size === facts.size ? undefined : this.#sizes.set(uid, size)));
    const message = fetchedMessage(this.#rule, counted, sized, trace, key, (error) => (failure = { kind: 'unreadable', error }));
    try {
      const outcome = await sink.deliver(message, this.#parts.stopping);
      if (outcome.kind === 'stored') {
        log.info({ event: 'message-fetched', ...this.#fields, uid, size: message.size }, `fetched; ${outcome.detail}`);
      }
      return outcome;
    } catch (error) {
      if (this.#parts.stopping.aborted || failure === undefined) throw error;
      return failure;
    }
  }

  #took({ uid, receivedAt }: MessageFacts): void {
    const now = this.#deps.clock.now();
    this.#delays.taken(uid);
    this.#sizes.delete(uid);
    const { count, lag } = this.#sofar;
    const newest = receivedAt === undefined ? lag : milliseconds(Math.max(0, now - receivedAt.getTime()));
    this.#sofar = { count: count + 1, at: now, ...(newest === undefined ? {} : { lag: newest }) };
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
      await this.#cursor.save({ kind: 'passed', uid });
      return undefined;
    }
    const { recheck, notBefore } = this.#cursor.current;
    const arrived = facts.receivedAt?.getTime();
    if (recheck !== undefined && uid <= recheck.upTo) {
      if (recheck.known.includes(facts.print)) {
        await this.#cursor.save({ kind: 'passed', uid, known: facts.print });
        return undefined;
      }
      if (notBefore !== undefined && arrived !== undefined && arrived < notBefore - CLOCKS_APART) {
        await this.#cursor.save({ kind: 'passed', uid });
        return undefined;
      }
    }
    // SEARCH knows days only.
    const since = Math.max(this.#rule.filter.since ?? 0, typeof this.#rule.start === 'number' ? this.#rule.start : 0);
    if (arrived === undefined || arrived >= since) return facts;
    await this.#cursor.save({ kind: 'passed', uid });
    return undefined;
  }

  /** It could not be read: its own fault where that happens again and again. */
  async #unreadable(uid: number, error: unknown): Promise<void> {
    if (this.#parts.stopping.aborted || !(error instanceof ProblemError) || !MAY_BE_ITS_FAULT.has(error.problem.code)) throw error;
    await this.#refused(uid, error.problem);
    // Anything else than this code means that the session is over.
    if (error.problem.code !== 'FETCH_MESSAGE_UNREADABLE') throw error;
  }

  async #refused(uid: number, what: Problem): Promise<void> {
    const { clock, log, onAside } = this.#deps;
    const tries = (this.#cursor.current.held.get(uid)?.tries ?? 0) + 1;
    if (tries < this.#rule.tries) {
      await this.#cursor.save({ kind: 'held', uid, tries });
      this.#delays.refused(uid, tries);
      log.warn({ event: 'fetch-refused', ...this.#fields, uid, problem: what, attempt: tries }, 'the message could not be handed on');
      return;
    }
    await this.#cursor.save({ kind: 'aside', uid, at: clock.now(), code: what.code, cause: what.cause });
    this.#delays.setAside(uid);
    log.error({ event: 'fetch-set-aside', ...this.#fields, uid, problem: what, attempt: tries }, 'the message is set aside');
    onAside(this.#rule, this.#cursor.current.aside.size, what);
  }

  async #putOff(uid: number, what: Problem, afterMs: number | undefined): Promise<void> {
    const { log } = this.#deps;
    const { onTrouble } = this.#parts;
    if (!this.#cursor.current.held.has(uid)) await this.#cursor.save({ kind: 'held', uid, tries: 0 });
    const { count, rest } = this.#delays.putOff(uid, afterMs);
    log.warn({ event: 'fetch-deferred', ...this.#fields, uid, problem: what, attempt: count }, 'the message is held in its mailbox');
    onTrouble(what, rest);
  }

  /** Mark, move or delete what was handed on. What the mailbox refuses stays owed. Throws where the session is over. */
  async tell(source: OpenSource, uid: number): Promise<void> {
    try {
      await source.change(uid, this.#rule.after);
    } catch (error) {
      if (!(error instanceof ProblemError) || error.problem.code !== 'FETCH_CHANGE_FAILED') throw error;
      this.#parts.onTrouble(error.problem, undefined);
      this.#delays.restOwed();
      this.#deps.log.warn({ event: 'fetch-change-failed', ...this.#fields, uid, problem: error.problem }, 'the mailbox could not be told');
      return;
    }
    await this.#cursor.save({ kind: 'told', uid });
  }

  get #fields() {
    const { name: rule, account, mailbox } = this.#rule;
    return { rule, account, mailbox };
  }
}

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
