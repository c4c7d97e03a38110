/**
 * Traces that are switched on while the relay runs: hears the log, keeps what is about a subject.
 *
 * Bounded: {@link MOST_TRACES} traces, of each the last {@link MOST_LINES} lines and {@link MOST_CHARACTERS} characters. Without a trace it costs one look at an
 * empty list for each event. Each line is scrubbed of known secrets before it is kept, so that one learned of later is not found in what an earlier reader saw.
 *
 * What a session said before its client was known (greeting, EHLO, AUTH) is kept for a while for the sessions that came last, and becomes part of the
 * trace once it turns out to be about the subject.
 *
 * @packageDocumentation
 */
import { randomBytes } from 'node:crypto';
import { type DurationMs, type EpochMs, hours, minutes, type MonotonicMs, plus } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { LogFields } from '../core/ports/log.ts';
import type { TraceLine, TraceReading, Traces, TraceSubject, TraceView } from '../core/ports/traces.ts';
import { lineFields } from './log-fields.ts';
import type { LogObserver } from './observed-log.ts';
import type { Scrubber } from './scrubber.ts';

const MOST_TRACES = 10;
const MOST_LINES = 2_000;
const MOST_CHARACTERS = 1024 * 1024;
/** Longest line; a reply of an upstream may have a megabyte. */
const LONGEST_LINE = 8 * 1024;
const USUAL_DURATION = minutes(15);
const LONGEST_DURATION = hours(24);
/** Of sessions whose client is not known yet. */
const MOST_STRANGERS = 100;
const MOST_LINES_OF_STRANGER = 40;

type Heard = Omit<TraceLine, 'number'>;

/** What a desk needs. */
export interface TraceDeskOptions {
  readonly clock: Clock;
  readonly scrubber: Pick<Scrubber, 'scrub'>;
}

export class TraceDesk implements Traces {
  readonly #options: TraceDeskOptions;
  readonly #traces = new Map<string, Trace>();
  /** By session, the one that came last at the end. */
  readonly #strangers = new Map<string, Heard[]>();

  constructor(options: TraceDeskOptions) {
    this.#options = options;
  }

  start(subject: TraceSubject, duration: DurationMs = USUAL_DURATION): Promise<TraceView> {
    const { clock } = this.#options;
    const length = Math.min(duration, LONGEST_DURATION) as DurationMs;
    const id = randomBytes(6).toString('hex');
    const trace = new Trace(id, subject, clock.now(), plus(clock.now(), length), plus(clock.monotonic(), length));
    this.#traces.set(id, trace);
    forgetOldest(this.#traces, MOST_TRACES);
    return Promise.resolve(trace.view(clock.monotonic()));
  }

  list(): Promise<readonly TraceView[]> {
    const now = this.#options.clock.monotonic();
    return Promise.resolve([...this.#traces.values()].map((trace) => trace.view(now)));
  }

  read(id: string, after: number): Promise<TraceReading | undefined> {
    const trace = this.#traces.get(id);
    if (trace === undefined) return Promise.resolve(undefined);
    return Promise.resolve({ trace: trace.view(this.#options.clock.monotonic()), lines: trace.linesAfter(after) });
  }

  remove(id: string): Promise<boolean> {
    return Promise.resolve(this.#traces.delete(id));
  }

  /** Some trace is listening now. */
  get isListening(): boolean {
    if (this.#traces.size === 0) return false;
    const now = this.#options.clock.monotonic();
    return [...this.#traces.values()].some((trace) => trace.isListening(now));
  }

  /** For the log of the relay. */
  readonly observe: LogObserver = (level, fields, message) => {
    if (this.#traces.size === 0) return;
    const now = this.#options.clock.monotonic();
    const listening = [...this.#traces.values()].filter((trace) => trace.isListening(now));
    if (listening.length === 0) {
      this.#strangers.clear();
      return;
    }
    const interested = listening.filter((trace) => trace.isAbout(fields));
    const isStranger =
      interested.length === 0 && fields.client === undefined && fields.sessionId !== undefined && fields.listener !== undefined;
    if (interested.length === 0 && !isStranger) return;
    const line = this.#write(level, fields, message);
    if (isStranger) this.#remember(fields, line);
    else {
      const before = this.#introduced(fields);
      for (const trace of interested) trace.hear([...before, line]);
    }
  };

  #write(level: string, fields: LogFields, message: string): Heard {
    const { clock, scrubber } = this.#options;
    const text = JSON.stringify({ level, message: message.slice(0, LONGEST_LINE), fields: lineFields(fields) });
    return { at: new Date(clock.now()).toISOString(), ...readScrubbed(scrubber.scrub(text), level) };
  }

  #remember({ sessionId }: Partial<Pick<LogFields, 'sessionId'>>, line: Heard): void {
    if (sessionId === undefined) return;
    const lines = this.#strangers.get(sessionId) ?? [];
    this.#strangers.delete(sessionId);
    this.#strangers.set(sessionId, [...lines, line].slice(-MOST_LINES_OF_STRANGER));
    forgetOldest(this.#strangers, MOST_STRANGERS);
  }

  /** What a session said before its client was known. */
  #introduced({ sessionId }: Partial<Pick<LogFields, 'sessionId'>>): readonly Heard[] {
    const lines = sessionId === undefined ? undefined : this.#strangers.get(sessionId);
    if (sessionId === undefined || lines === undefined) return [];
    this.#strangers.delete(sessionId);
    return lines;
  }
}

/** One trace and what it has heard. */
class Trace {
  readonly #id: string;
  readonly #subject: TraceSubject;
  readonly #startedAt: EpochMs;
  readonly #endsAt: EpochMs;
  readonly #until: MonotonicMs;
  readonly #lines: TraceLine[] = [];
  #heard = 0;
  #characters = 0;

  constructor(id: string, subject: TraceSubject, startedAt: EpochMs, endsAt: EpochMs, until: MonotonicMs) {
    this.#id = id;
    this.#subject = subject;
    this.#startedAt = startedAt;
    this.#endsAt = endsAt;
    this.#until = until;
  }

  isListening(now: MonotonicMs): boolean {
    return now < this.#until;
  }

  isAbout({ client, account, queueId }: LogFields): boolean {
    const { kind, name } = this.#subject;
    return (kind === 'client' ? client : kind === 'account' ? account : queueId) === name;
  }

  hear(lines: readonly Heard[]): void {
    for (const line of lines) {
      this.#heard += 1;
      this.#lines.push({ number: this.#heard, ...line });
      this.#characters += sizeOf(line);
    }
    while (this.#lines.length > MOST_LINES || this.#characters > MOST_CHARACTERS) {
      const oldest = this.#lines.shift();
      if (oldest === undefined) return;
      this.#characters -= sizeOf(oldest);
    }
  }

  linesAfter(after: number): readonly TraceLine[] {
    return this.#lines.filter(({ number }) => number > after);
  }

  view(now: MonotonicMs): TraceView {
    return {
      id: this.#id,
      subject: this.#subject,
      startedAt: new Date(this.#startedAt).toISOString(),
      endsAt: new Date(this.#endsAt).toISOString(),
      isListening: this.isListening(now),
      heard: this.#heard,
      dropped: this.#heard - this.#lines.length,
    };
  }
}

/** A secret that was cut out may leave no JSON behind; then there is no telling what else it left, and nothing is shown. */
function readScrubbed(text: string, level: string): Omit<Heard, 'at'> {
  try {
    return JSON.parse(text) as Omit<Heard, 'at'>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { level, message: '[removed: it held a secret]', fields: {} };
  }
}

const sizeOf = ({ message, fields }: Pick<Heard, 'message' | 'fields'>): number => message.length + JSON.stringify(fields).length;

/** A Map keeps the order of insertion. */
function forgetOldest(map: Map<string, unknown>, most: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}
