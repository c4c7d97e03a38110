/**
 * Remembers what went through the relay lately: hears the log at all levels, whatever of it is written, and is told subjects, which the log is not.
 *
 * Bounded: {@link MOST_MESSAGES} messages with {@link MOST_STEPS} steps each, {@link MOST_CALLERS} callers, and texts that are cut. What is
 * heard is kept as it came and scrubbed of known secrets when it is read, so that a message costs a few map operations and no more.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import type {
  Activity,
  Caller,
  MessageFilter,
  MessageOutcome,
  MessageStep,
  Rate,
  RateWindow,
  SeenMessage,
  SeenMessageInFull,
} from '../core/ports/activity.ts';
import type { QueueId } from '../core/ids.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { LogFields } from '../core/ports/log.ts';
import { LONGEST_SUBJECT, type MessageNotes } from '../core/ports/message-notes.ts';
import type { Problem } from '../core/problem.ts';
import { boundedFields, cut, scrubbedDocument } from './kept-fields.ts';
import type { LogObserver } from './observed-log.ts';
import { RecentMap } from './recent-map.ts';
import { RateCounter, type RateCounts, type RateKind } from './rate-counter.ts';
import type { Scrubber } from './scrubber.ts';

const MOST_MESSAGES = 2_000;
const MOST_STEPS = 30;
/** The first steps are kept: how it came is asked for more often than what was in the middle. */
const FIRST_STEPS = 6;
const MOST_CALLERS = 500;
/** Recipients of a message. */
const MOST_SHOWN = 20;
/** Characters of a subject. What is kept beyond them lets the scrubber know a secret of which the cut would leave the beginning. */
const SHOWN_OF_SUBJECT = 200;

const OUTCOMES: ReadonlyMap<string, MessageOutcome> = new Map([
  ['message-queued', 'queued'],
  ['message-relayed', 'relayed'],
  ['message-deferred', 'deferred'],
  ['message-refused', 'refused'],
  ['message-given-up', 'given-up'],
  ['dead-letter', 'dead-letter'],
  ['queue-drop', 'dropped'],
]);

const RATES: ReadonlyMap<string, RateKind> = new Map([
  ['message-queued', 'queued'],
  ['message-relayed', 'relayed'],
  ['message-refused', 'failed'],
  ['message-given-up', 'failed'],
  ['dead-letter', 'failed'],
]);

/** What pages show besides messages and callers. */
const OF_INTEREST = /^(account|token|fetch)-|^(alert|message-fetched)$/;

interface Step {
  readonly at: EpochMs;
  readonly level: string;
  readonly fields: LogFields;
  readonly message: string;
}

interface MessageRecord {
  outcome: MessageOutcome;
  subject: string | undefined;
  steps: Step[];
  dropped: number;
}

interface CallerRecord {
  readonly peer: string;
  client: string | undefined;
  readonly firstAt: EpochMs;
  lastAt: EpochMs;
  sessions: number;
  messages: number;
  refusals: number;
  tls: string | undefined;
  mechanism: string | undefined;
  refusal: { readonly at: EpochMs; readonly problem: Problem } | undefined;
}

/** What a desk needs. */
export interface ActivityDeskOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly scrubber: Pick<Scrubber, 'scrub'>;
}

export class ActivityDesk implements Activity, MessageNotes {
  readonly #options: ActivityDeskOptions;
  /** By queue id. */
  readonly #messages = new RecentMap<MessageRecord>(MOST_MESSAGES);
  /** By client and address. */
  readonly #callers = new RecentMap<CallerRecord>(MOST_CALLERS);
  readonly #rates = new RateCounter();
  readonly #waiting = new Set<() => void>();
  #count = 0;
  #isClosed = false;
  #keepsSubjects = false;

  constructor(options: ActivityDeskOptions) {
    this.#options = options;
  }

  /** For the log of the relay. */
  readonly observe: LogObserver = (level, fields, message) => {
    if (level === 'trace') return; // Dialogues: the trace desk's.
    const isOfMessage = this.#hearOfMessage(level, fields, message);
    const isOfCaller = this.#hearOfCaller(level, fields);
    if (isOfMessage || isOfCaller || OF_INTEREST.test(fields.event)) {
      this.#count += 1;
      for (const wake of this.#waiting) wake();
    }
  };

  /** Whether subjects are kept; until told, they are not. Those that are there are forgotten where not. */
  keepSubjects(isWanted: boolean): void {
    this.#keepsSubjects = isWanted;
    if (!isWanted) for (const [, record] of this.#messages.newestFirst()) record.subject = undefined;
  }

  noteSubject(queueId: QueueId, read: () => string | undefined): void {
    if (!this.#keepsSubjects) return;
    const subject = read()?.slice(0, LONGEST_SUBJECT);
    if (subject === undefined) return;
    this.#messages.use(queueId, newMessage).subject = subject;
  }

  messages({ text, subject, outcome, account, client }: MessageFilter, limit: number): readonly SeenMessage[] {
    const found: SeenMessage[] = [];
    for (const [queueId, record] of this.#messages.newestFirst()) {
      if (found.length >= limit) break;
      if (!isHeardOf(record)) continue;
      if (outcome !== undefined && record.outcome !== outcome) continue;
      const seen = describe(queueId, record);
      if ((account !== undefined && seen.account !== account) || (client !== undefined && seen.client !== client)) continue;
      if (subject !== undefined && !holds(seen.subject, subject)) continue;
      if (text === undefined || isAbout(seen, text)) found.push(seen);
    }
    return this.#scrubbed(found).map(withShortSubject);
  }

  message(queueId: string): SeenMessageInFull | undefined {
    const record = this.#messages.get(queueId);
    if (record === undefined || !isHeardOf(record)) return undefined;
    return withShortSubject(
      this.#scrubbed({ ...describe(queueId, record), steps: record.steps.map(describeStep), dropped: record.dropped }),
    );
  }

  callers(): readonly Caller[] {
    return this.#scrubbed(Array.from(this.#callers.newestFirst(), ([, caller]) => describeCaller(caller)));
  }

  /** For a file that outlives the process. */
  get rateCounts(): RateCounts {
    return this.#rates.counts;
  }

  /** From such a file. A span that lies in the future, by a clock that was wrong, would hide the present. */
  restoreRates({ byMinute, byHour }: RateCounts): void {
    const now = this.#options.clock.now();
    const past = (spans: RateCounts['byHour']): RateCounts['byHour'] => spans.filter(({ from }) => from <= now);
    this.#rates.restore({ byMinute: past(byMinute), byHour: past(byHour) });
  }

  rates(window: RateWindow): readonly Rate[] {
    return this.#rates.read(window, this.#options.clock.now());
  }

  changed(known: number, signal: AbortSignal): Promise<number> {
    if (this.#count > known || signal.aborted || this.#isClosed) return Promise.resolve(this.#count);
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve(this.#count);
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake);
    });
  }

  /** Nobody waits any more. */
  close(): void {
    this.#isClosed = true;
    for (const wake of this.#waiting) wake();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  #scrubbed<Document>(document: Document): Document {
    return scrubbedDocument(document, this.#options.scrubber);
  }

  #hearOfMessage(level: string, fields: LogFields, message: string): boolean {
    const { queueId, event } = fields;
    if (queueId === undefined) return false;
    const rate = RATES.get(event);
    const now = this.#options.clock.now();
    if (rate !== undefined) this.#rates.add(rate, now);
    const record = this.#messages.use(queueId, newMessage);
    record.outcome = OUTCOMES.get(event) ?? refusedByReply(record.outcome, fields) ?? record.outcome;
    record.steps.push({ at: now, level, fields: boundedFields(fields), message: cut(message) });
    if (record.steps.length > MOST_STEPS) {
      record.steps.splice(FIRST_STEPS, 1);
      record.dropped += 1;
    }
    return true;
  }

  #hearOfCaller(level: string, fields: LogFields): boolean {
    const { listener, peer, client, event, problem, tls, mechanism, reply = '' } = fields;
    if (listener === undefined || peer === undefined) return false;
    const now = this.#options.clock.now();
    const record = this.#callers.use(`${peer} ${client ?? ''}`, () => newCaller(peer, client, now));
    record.lastAt = now;
    if (event === 'session-ended') record.sessions += 1;
    if (event === 'message-answered' && reply.startsWith('2')) record.messages += 1;
    if (tls !== undefined) record.tls = tls;
    if (mechanism !== undefined) record.mechanism = mechanism;
    if (problem !== undefined && level !== 'debug') {
      record.refusals += 1;
      const { cause, remedy } = problem;
      record.refusal = { at: now, problem: { ...problem, cause: cut(cause), remedy: cut(remedy) } };
    }
    return true;
  }
}

/** Where nothing but the answer says what became of it. */
function refusedByReply(known: MessageOutcome, { event, reply = '' }: LogFields): MessageOutcome | undefined {
  if (known !== 'accepted' || event !== 'message-answered' || reply.startsWith('2')) return undefined;
  return reply.startsWith('4') ? 'deferred' : 'refused';
}

const newMessage = (): MessageRecord => ({ outcome: 'accepted', subject: undefined, steps: [], dropped: 0 });

/** A subject alone is not worth a line: the log's word about its message is still to come. */
const isHeardOf = ({ steps }: MessageRecord): boolean => steps.length > 0;

const newCaller = (peer: string, client: string | undefined, now: EpochMs): CallerRecord => ({
  peer,
  client,
  firstAt: now,
  lastAt: now,
  sessions: 0,
  messages: 0,
  refusals: 0,
  tls: undefined,
  mechanism: undefined,
  refusal: undefined,
});

function describe(queueId: string, { outcome, subject, steps }: MessageRecord): SeenMessage {
  const latest = <Name extends keyof LogFields>(name: Name): LogFields[Name] | undefined =>
    steps.findLast(({ fields }) => fields[name] !== undefined)?.fields[name];
  const [first] = steps;
  const last = steps.at(-1);
  const forwardPaths = new Set(steps.flatMap(({ fields }) => fields.forwardPaths ?? []));
  const problem = outcome === 'relayed' || outcome === 'accepted' ? undefined : latest('problem');
  return defined({
    queueId,
    outcome,
    firstAt: moment(first?.at),
    lastAt: moment(last?.at),
    account: latest('account'),
    client: latest('client'),
    peer: latest('peer'),
    reversePath: latest('reversePath'),
    forwardPaths: [...forwardPaths].slice(0, MOST_SHOWN),
    subject,
    messageId: latest('messageId'),
    size: latest('size'),
    reply: latest('reply'),
    problem,
  });
}

function describeStep({ at, level, fields, message }: Step): MessageStep {
  const { event, forwardPaths, upstream, reply, attempt, durationMs, problem } = fields;
  const duration = durationMs === undefined ? undefined : Math.round(durationMs);
  return defined({ at: moment(at), level, event, message, forwardPaths, upstream, reply, attempt, durationMs: duration, problem });
}

function describeCaller({ firstAt, lastAt, refusal, ...rest }: CallerRecord): Caller {
  const last = refusal === undefined ? undefined : { at: moment(refusal.at), problem: refusal.problem };
  return defined({ ...rest, firstAt: moment(firstAt), lastAt: moment(lastAt), refusal: last });
}

function withShortSubject<Seen extends SeenMessage>(seen: Seen): Seen {
  const { subject } = seen;
  if (subject === undefined || subject.length <= SHOWN_OF_SUBJECT) return seen;
  // No character is cut in two.
  return { ...seen, subject: subject.slice(0, SHOWN_OF_SUBJECT).replace(/[\ud800-\udbff]$/, '') };
}

function isAbout(seen: SeenMessage, wanted: string): boolean {
  const { queueId, reversePath, forwardPaths, subject, client, account, peer, messageId, reply } = seen;
  return [queueId, reversePath, ...forwardPaths, subject, client, account, peer, messageId, reply].some((text) => holds(text, wanted));
}

/** Letters with marks may be written in two ways (Unicode Normalization Forms), which nobody who searches can see. */
const comparable = (text: string): string => text.normalize('NFC').toLowerCase();

const holds = (text: string | undefined, wanted: string): boolean => text !== undefined && comparable(text).includes(comparable(wanted));

const moment = (at: EpochMs | undefined): string => new Date(at ?? 0).toISOString();

/** Without the keys that have no value. */
function defined<Shape extends object>(shape: { [Key in keyof Shape]: Shape[Key] | undefined }): Shape {
  return Object.fromEntries(Object.entries(shape).filter(([, value]) => value !== undefined)) as Shape;
}
