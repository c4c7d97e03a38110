/**
 * Makes spans of what the log says about messages: one more listener of the log.
 *
 * A trace is: `message` (from MAIL to the answer that the application reads), below it `accept` (from the end of the content to that answer) and `relay`
 * for each attempt at the upstream. A queued message has its later attempts below the same `message`, hours later or after a restart: ids and begin
 * follow from the queue id (core/trace-parent.ts), so nothing has to be remembered for them. So `message` ends with the answer, not with the delivery: a
 * span that lasts for days is one that no collector keeps. `give-up`, `dead-letter` and `drop` are spans without length.
 *
 * Held is only what cannot be told yet: direct attempts, and refusals, of a message whose content, and so its `traceparent`, is still to come. That is
 * bounded: {@link MOST_OPEN} messages, and each ends with its session.
 *
 * Attributes are names of the configuration, the queue id, the address of the server, numbers and codes. Addresses of people, texts of replies and causes are none.
 *
 * @packageDocumentation
 */
import type { DurationMs, EpochMs } from '../core/clock.ts';
import { beginOf, type QueueId } from '../core/ids.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { LogFields } from '../core/ports/log.ts';
import { parseReplyLine } from '../core/reply.ts';
import { parseTraceParent, spanIdOf, type TraceParent, traceIdOf } from '../core/trace-parent.ts';
import type { LogObserver } from './observed-log.ts';
import type { Span } from './span.ts';
import type { Sampler } from './trace-sampler.ts';

const MOST_OPEN = 1_000;

/** Where an attempt stands in the log, and what it means for recipients. */
const ATTEMPT_EVENTS: Readonly<Record<string, 'relayed' | 'refused' | 'deferred'>> = {
  'message-relayed': 'relayed',
  'message-refused': 'refused',
  'message-deferred': 'deferred',
};

/** Ends that no attempt has brought about. */
const END_EVENTS: Readonly<Record<string, { readonly name: string; readonly isFailure: boolean }>> = {
  'message-given-up': { name: 'give-up', isFailure: true },
  'dead-letter': { name: 'dead-letter', isFailure: true },
  'queue-drop': { name: 'drop', isFailure: false },
};

/** Names that the tables have. */
export const SPAN_EVENTS: readonly string[] = [
  ...Object.keys(ATTEMPT_EVENTS),
  ...Object.keys(END_EVENTS),
  'message-answered',
  'session-ended',
];

/** One attempt, as its lines have told it so far. */
interface Attempt {
  readonly first: LogFields;
  /** Of the newest line, which knows most: of a direct attempt, the reply to the final dot. */
  last: LogFields;
  begin: EpochMs;
  end: EpochMs;
  readonly recipients: Record<'relayed' | 'refused' | 'deferred', number>;
  /** The first that is about the message as a whole, or its first refusal. */
  failure: string | undefined;
}

/** A message in a session that is not answered yet. */
interface OpenMessage {
  readonly sessionId: string;
  attempt: Attempt | undefined;
  last: LogFields;
  failure: string | undefined;
}

/** What spans are made with. */
export interface MessageSpansOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly sampler: Sampler;
  /** Takes each span; must not throw. */
  readonly emit: (span: Span) => void;
}

export class MessageSpans {
  readonly #options: MessageSpansOptions;
  readonly #open = new Map<QueueId, OpenMessage>();
  /** Attempts of the queue whose lines, which come one upon the other, are being heard. */
  readonly #told = new Map<QueueId, Attempt>();

  constructor(options: MessageSpansOptions) {
    this.#options = options;
  }

  /** For the log of the relay. */
  readonly observe: LogObserver = (level, fields) => {
    if (level === 'trace') return; // Dialogues.
    if (fields.event === 'session-ended') this.#endSession(fields);
    const { queueId, event } = fields;
    if (queueId === undefined) return;
    if (event === 'message-answered') this.#answered(queueId, fields);
    else if (Object.hasOwn(END_EVENTS, event)) this.#ended(queueId, fields);
    else if (Object.hasOwn(ATTEMPT_EVENTS, event)) this.#heard(queueId, fields);
  };

  /** Messages held. */
  get openCount(): number {
    return this.#open.size;
  }

  #heard(queueId: QueueId, fields: LogFields): void {
    if (fields.attempt !== undefined) this.#heardOfQueue(queueId, fields);
    else if (fields.sessionId !== undefined) this.#heardInSession(queueId, fields.sessionId, fields);
  }

  #heardOfQueue(queueId: QueueId, fields: LogFields): void {
    const known = this.#told.get(queueId);
    const attempt = this.#merge(known, fields);
    if (known !== undefined) return;
    this.#told.set(queueId, attempt);
    // The lines of an attempt are written in one go (delivery-log.ts), so at the next turn it is complete.
    queueMicrotask(() => {
      this.#told.delete(queueId);
      this.#emitAttempt(queueId, attempt, attempt.last.traceParent);
    });
  }

  #heardInSession(queueId: QueueId, sessionId: string, fields: LogFields): void {
    const open = this.#open.get(queueId) ?? { sessionId, attempt: undefined, last: fields, failure: undefined };
    open.last = { ...open.last, ...fields };
    open.failure ??= fields.event === 'message-relayed' ? undefined : codeOf(fields);
    // A line with a listener is about a refusal of ours; a line without a duration, about the spool.
    if (fields.listener === undefined && fields.durationMs !== undefined) open.attempt = this.#merge(open.attempt, fields);
    this.#open.set(queueId, open);
    if (this.#open.size <= MOST_OPEN) return;
    for (const [oldest, { last }] of this.#open) return this.#conclude(oldest, last, this.#options.clock.now());
  }

  #merge(known: Attempt | undefined, fields: LogFields): Attempt {
    const end = this.#options.clock.now();
    const attempt = known ?? {
      first: fields,
      last: fields,
      begin: begun(end, fields.durationMs),
      end,
      recipients: { relayed: 0, refused: 0, deferred: 0 },
      failure: undefined,
    };
    const outcome = ATTEMPT_EVENTS[fields.event] ?? 'deferred';
    attempt.last = { ...attempt.last, ...fields };
    attempt.end = end;
    attempt.recipients[outcome] += fields.forwardPaths?.length ?? 0;
    if (outcome !== 'relayed') attempt.failure ??= codeOf(fields);
    return attempt;
  }

  #answered(queueId: QueueId, fields: LogFields): void {
    const now = this.#options.clock.now();
    const { durationMs } = fields;
    const trace = this.#traceOf(queueId, fields.traceParent);
    if (durationMs !== undefined && trace !== undefined) {
      const attributes = namesOf(queueId, fields);
      const ids = { ...trace.below, spanId: spanIdOf(queueId, 'accept') };
      this.#options.emit({ ...ids, name: 'accept', kind: 'internal', begin: begun(now, durationMs), end: now, attributes });
    }
    this.#conclude(queueId, fields, now);
  }

  /** Refused before its content, or given up by its application. */
  #endSession({ sessionId }: LogFields): void {
    for (const [queueId, open] of this.#open) {
      if (open.sessionId === sessionId) this.#conclude(queueId, open.last, this.#options.clock.now());
    }
  }

  /** The message has its answer, or will not have one. */
  #conclude(queueId: QueueId, fields: LogFields, end: EpochMs): void {
    const open = this.#open.get(queueId);
    this.#open.delete(queueId);
    const { traceParent } = fields;
    if (open?.attempt !== undefined) this.#emitAttempt(queueId, open.attempt, traceParent);
    const trace = this.#traceOf(queueId, traceParent);
    if (trace === undefined) return;
    const { parent, traceId, below } = trace;
    const code = replyCode(fields);
    // What was refused to one of several recipients is no failure of the message: the answer counts.
    const failure = code !== undefined && code < 400 ? undefined : (open?.failure ?? codeOf(fields));
    this.#options.emit({
      traceId,
      spanId: below.parentSpanId,
      ...(parent === undefined ? {} : { parentSpanId: parent.parentId, isParentRemote: true }),
      name: 'message',
      kind: 'server',
      begin: earlier(beginOf(queueId), end),
      end,
      attributes: { ...namesOf(queueId, { ...open?.last, ...fields }), 'postern.listener': fields.listener, ...codes(fields, failure) },
      ...failed(failure),
    });
  }

  #emitAttempt(queueId: QueueId, { first, last, begin, end, recipients, failure }: Attempt, traceParent: string | undefined): void {
    const trace = this.#traceOf(queueId, traceParent);
    if (trace === undefined) return;
    const { traceId, below } = trace;
    const { attempt = 1, reversePath, sessionId } = last;
    const { host, port } = serverOf(last.upstream);
    // A report of ours (null reverse-path) has come by no session, so there is no `message` to stand below.
    const isOwn = reversePath === '' && sessionId === undefined;
    // Of one recipient it is told; an attempt that the upstream has taken for somebody has not failed.
    const whole = recipients.relayed > 0 ? undefined : failure;
    this.#options.emit({
      ...(isOwn ? { traceId } : below),
      spanId: spanIdOf(queueId, `relay ${attempt} ${begin}`),
      name: 'relay',
      kind: 'client',
      begin: later(beginOf(queueId), begin, end),
      end,
      attributes: {
        ...namesOf(queueId, last),
        'server.address': host,
        'server.port': port,
        'postern.attempt': attempt,
        'postern.stage': last.stage,
        'postern.recipients.relayed': recipients.relayed,
        'postern.recipients.refused': recipients.refused,
        'postern.recipients.deferred': recipients.deferred,
        ...codes(recipients.relayed > 0 ? last : first, whole),
      },
      ...failed(whole),
    });
  }

  #ended(queueId: QueueId, fields: LogFields): void {
    const how = END_EVENTS[fields.event];
    const trace = this.#traceOf(queueId, fields.traceParent);
    if (how === undefined || trace === undefined) return;
    const now = this.#options.clock.now();
    const failure = how.isFailure ? codeOf(fields) : undefined;
    this.#options.emit({
      ...trace.below,
      spanId: spanIdOf(queueId, `${how.name} ${now}`),
      name: how.name,
      kind: 'internal',
      begin: now,
      end: now,
      attributes: { ...namesOf(queueId, fields), ...codes(fields, failure) },
      ...failed(failure),
    });
  }

  /** The trace of a message and what its parts have in common; undefined where it is not sampled. */
  #traceOf(queueId: QueueId, traceParent: string | undefined) {
    const parent: TraceParent | undefined = traceParent === undefined ? undefined : parseTraceParent(traceParent);
    const traceId = parent?.traceId ?? traceIdOf(queueId);
    if (!this.#options.sampler(traceId, parent)) return undefined;
    return { parent, traceId, below: { traceId, parentSpanId: spanIdOf(queueId, 'message') } };
  }
}

function namesOf(queueId: QueueId, { account, client, size }: Partial<LogFields>): Span['attributes'] {
  return { 'postern.queue_id': queueId, 'postern.account': account, 'postern.client': client, 'messaging.message.body.size': size };
}

/** `error.type` is OpenTelemetry's own name. */
function codes(fields: Partial<LogFields>, failure: string | undefined): Span['attributes'] {
  return { 'smtp.reply.code': replyCode(fields), 'error.type': failure };
}

const failed = (failure: string | undefined): Pick<Span, 'failure'> => (failure === undefined ? {} : { failure });

const codeOf = (fields: Partial<LogFields>): string => fields.problem?.code ?? String(replyCode(fields) ?? 'INTERNAL');

/** The first line of a reply begins with its code. */
function replyCode({ reply }: Partial<LogFields>): number | undefined {
  return reply === undefined ? undefined : parseReplyLine(reply)?.code;
}

/** `host:port`. */
function serverOf(upstream: string | undefined): { readonly host?: string; readonly port?: number } {
  const [, host, port] = /^(.*):(\d+)$/.exec(upstream ?? '') ?? [];
  return host === undefined ? {} : { host, port: Number(port) };
}

const begun = (end: EpochMs, duration: DurationMs | undefined): EpochMs => (duration === undefined ? end : ((end - duration) as EpochMs));

/** The clock of the wall may have been put back meanwhile. */
const earlier = (moment: EpochMs | undefined, end: EpochMs): EpochMs => (moment === undefined || moment > end ? end : moment);

/** An attempt not before its message, whose id comes from another reading of the clock. */
const later = (message: EpochMs | undefined, begin: EpochMs, end: EpochMs): EpochMs =>
  message === undefined || begin >= message ? begin : earlier(message, end);
