/**
 * A relay that runs, asked over its control socket: for its queue, for traces, and whether it is ready.
 *
 * What comes back is bounded in size and time, and checked against the schemas: the other side may be another version.
 *
 * @packageDocumentation
 */
import { type IncomingMessage, type OutgoingHttpHeaders, request as httpRequest } from 'node:http';
import type * as z from 'zod';
import { type DurationMs, minutes, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { FetchControl, FetchView } from '../core/ports/fetch-control.ts';
import type {
  QueueChange,
  QueueControl,
  QueueFilter,
  QueueItemInFull,
  QueueListing,
  QueueSelection,
  QueueVerb,
} from '../core/ports/queue-control.ts';
import type { Readiness } from '../core/ports/relay-view.ts';
import type { NewSignInLink } from '../core/ports/sign-in-links.ts';
import type { TraceReading, TraceSubject, TraceView } from '../core/ports/traces.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { openSocketPath, type SocketPath } from '../platform/socket-path.ts';
import { absent, problemIn } from './api.ts';
import { newLinkSchema } from './link-routes.ts';
import { fetchViewSchema, fetchViewsSchema } from './fetch-routes.ts';
import { readingSchema, removedSchema, traceSchema, tracesSchema } from './trace-routes.ts';
import { readySchema } from './relay-routes.ts';
import { changeSchema, itemInFullSchema, listingSchema } from './queue-schemas.ts';

/** What the client needs. */
export interface ControlClientOptions {
  /** Of the socket. */
  readonly path: string;
  readonly clock: Clock;
}

const ANSWER_LIMIT = 256 * 1024 * 1024;
/** Until an answer begins, and between two parts of one. */
const PATIENCE = seconds(60);
const CHANGE_PATIENCE = minutes(10);

export class ControlClient implements QueueControl {
  readonly #options: ControlClientOptions;

  constructor(options: ControlClientOptions) {
    this.#options = options;
  }

  list(filter: QueueFilter, limit: number, after?: string): Promise<QueueListing> {
    const given = Object.entries({ ...filter, limit, after }).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, String(value)]],
    );
    return this.#ask(listingSchema, 'GET', `/api/v1/queue?${new URLSearchParams(given).toString()}`);
  }

  async show(queueId: string): Promise<QueueItemInFull> {
    return this.#ask(itemInFullSchema, 'GET', `/api/v1/queue/${pathPart(queueId)}`);
  }

  change(verb: QueueVerb, selection: QueueSelection): Promise<QueueChange> {
    return this.#ask(changeSchema, 'POST', `/api/v1/queue/${verb}`, selection);
  }

  startTrace(subject: TraceSubject, duration?: DurationMs): Promise<TraceView> {
    const asked = { [subject.kind]: subject.name, ...(duration === undefined ? {} : { seconds: duration / 1000 }) };
    return this.#ask(traceSchema, 'POST', '/api/v1/traces', asked);
  }

  async traces(): Promise<readonly TraceView[]> {
    return (await this.#ask(tracesSchema, 'GET', '/api/v1/traces')).items;
  }

  /** @throws ProblemError `API_REQUEST_INVALID` where there is no such trace. */
  readTrace(id: string, after: number): Promise<TraceReading> {
    return this.#ask(readingSchema, 'GET', `/api/v1/traces/${traceId(id)}?after=${after}`);
  }

  /** @throws ProblemError `API_REQUEST_INVALID` where there is no such trace. */
  async removeTrace(id: string): Promise<void> {
    await this.#ask(removedSchema, 'DELETE', `/api/v1/traces/${traceId(id)}`);
  }

  /** What an operator does to fetch rules. */
  get fetch(): FetchControl {
    const ask = (rule: string, verb: string, body?: unknown): Promise<FetchView> =>
      this.#ask(fetchViewSchema, 'POST', `/api/v1/fetch/${namePart(rule, noRule)}/${verb}`, body);
    return {
      list: async () => (await this.#ask(fetchViewsSchema, 'GET', '/api/v1/fetch')).items,
      run: (rule, isAside) => ask(rule, 'run', { aside: isAside }),
      reset: (rule) => ask(rule, 'reset'),
      setPaused: (rule, paused) => ask(rule, 'pause', { paused }),
    };
  }

  /** @throws ProblemError `API_REQUEST_INVALID` where there is no such account, `SIGN_IN_UNAVAILABLE` where nobody signs in for it. */
  makeSignInLink(account: string): Promise<NewSignInLink> {
    const part = namePart(account, (name) => absent(`there is no account ${name} in the configuration`));
    return this.#ask(newLinkSchema, 'POST', `/api/v1/accounts/${part}/sign-in-link`);
  }

  /** Whether applications can submit. @throws ProblemError `CONTROL_UNREACHABLE` */
  async readiness(patience: DurationMs): Promise<Pick<Readiness, 'isReady' | 'reasons'>> {
    const exchange = await this.#send('GET', '/readyz', undefined, patience);
    try {
      const { statusCode } = exchange.response;
      const answer = readySchema.safeParse(await readDocument(exchange.response));
      if (!answer.success || (statusCode !== 200 && statusCode !== 503)) throw this.#nonsense(`it answered ${statusCode ?? 0} to /readyz`);
      return { isReady: statusCode === 200, reasons: answer.data.reasons };
    } catch (error) {
      throw this.#unreachable(error);
    } finally {
      exchange.end();
    }
  }

  async *export(queueId: string): AsyncGenerator<Uint8Array, void, undefined> {
    const exchange = await this.#send('GET', `/api/v1/queue/${pathPart(queueId)}/content`, undefined, PATIENCE);
    try {
      if (exchange.response.statusCode !== 200) throw await this.#refusal(exchange.response);
      for await (const chunk of exchange.response as AsyncIterable<Buffer>) yield chunk;
    } catch (error) {
      throw this.#unreachable(error);
    } finally {
      exchange.end();
    }
  }

  async #ask<Answer>(schema: z.ZodType<Answer>, method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<Answer> {
    const exchange = await this.#send(method, path, body, method === 'POST' ? CHANGE_PATIENCE : PATIENCE);
    try {
      if (exchange.response.statusCode !== 200) throw await this.#refusal(exchange.response);
      const answer = schema.safeParse(await readDocument(exchange.response));
      if (!answer.success) throw this.#nonsense('its answer is not what this version understands');
      return answer.data;
    } catch (error) {
      throw this.#unreachable(error);
    } finally {
      exchange.end();
    }
  }

  /** Resolves when the head of the answer has come. */
  async #send(method: string, target: string, body: unknown, patience: DurationMs): Promise<Exchange> {
    const socket = await this.#socketPath();
    try {
      return await this.#exchange(socket.path, method, target, body, patience);
    } finally {
      await socket.close(); // Connected, it needs no path any more.
    }
  }

  async #socketPath(): Promise<SocketPath> {
    try {
      return await openSocketPath(this.#options.path);
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  #exchange(socketPath: string, method: string, path: string, body: unknown, patience: DurationMs): Promise<Exchange> {
    const document = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers: OutgoingHttpHeaders =
      document === undefined ? {} : { 'content-type': 'application/json', 'content-length': document.length };
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest({
        socketPath,
        method,
        path,
        headers: { host: 'localhost', ...headers },
        agent: false,
      });
      const late = this.#options.clock.startTimer(patience, () => outgoing.destroy(new Error(`no answer within ${patience / 1000} s`)));
      const end = (): void => {
        late.cancel();
        outgoing.destroy();
      };
      outgoing.once('response', (response) => {
        late.cancel();
        response.socket.setTimeout(PATIENCE, () => response.destroy(new Error(`nothing came for ${PATIENCE / 1000} s`)));
        resolve({ response, end });
      });
      outgoing.once('error', (error) => {
        end();
        reject(this.#unreachable(error));
      });
      outgoing.end(document);
    });
  }

  async #refusal(response: IncomingMessage): Promise<ProblemError> {
    return problemIn(await readDocument(response)) ?? this.#nonsense(`it answered ${response.statusCode ?? 0}`);
  }

  #nonsense(why: string): ProblemError {
    return new ProblemError(problem('CONTROL_UNREACHABLE', `${this.#options.path}: ${why}`));
  }

  #unreachable(error: unknown): ProblemError {
    if (error instanceof ProblemError) return error;
    const why = error instanceof Error ? error.message : String(error);
    return new ProblemError(problem('CONTROL_UNREACHABLE', `${this.#options.path}: ${why}`), { cause: error });
  }
}

/** A request with the head of its answer. */
interface Exchange {
  readonly response: IncomingMessage;
  /** Give the connection up, whatever its state. */
  readonly end: () => void;
}

/** @throws ProblemError: what a path cannot hold names no trace. */
function traceId(id: string): string {
  if (/^[0-9a-f]{12}$/.test(id)) return id;
  throw absent(`there is no trace ${id}`);
}

const noRule = (rule: string): ProblemError => new ProblemError(problem('FETCH_RULE_UNKNOWN', `there is no fetch rule ${rule}`));

/** @throws ProblemError: what the configuration cannot hold names nothing in it. */
function namePart(name: string, unknown: (name: string) => ProblemError): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return name;
  throw unknown(name);
}

/** @throws ProblemError `SPOOL_ENTRY_UNKNOWN`: what a path cannot hold names no message. */
function pathPart(queueId: string): string {
  if (/^[A-Za-z0-9-]{1,64}$/.test(queueId)) return queueId;
  throw new ProblemError(problem('SPOOL_ENTRY_UNKNOWN', `there is no message ${queueId} in the queue`));
}

async function readDocument(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > ANSWER_LIMIT) throw new Error('its answer is too large');
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
