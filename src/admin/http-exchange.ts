/**
 * From an HTTP request to its route, and from what that says to an HTTP response: the same on the control socket and on the admin port.
 *
 * Nothing of an answer may be kept by a cache, framed, sniffed or read by a page of another origin.
 *
 * @packageDocumentation
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Log } from '../core/ports/log.ts';
import { problem } from '../core/problem.ts';
import { type ApiAnswer, ApiRefusal, defectAnswer, EVENT_STREAM, failureAnswer, PROBLEM_TYPE, type Route, type Routes } from './api.ts';
import { findRoute } from './find-route.ts';
import { readJson } from './read-json.ts';

/** What decides whether a request is served at all. */
export interface Door {
  /** @throws ProblemError where it is not. */
  admit(request: IncomingMessage, route: Route): Promise<void> | void;
}

/** What serving requests needs. */
export interface ExchangeOptions {
  readonly routes: Routes;
  readonly door: Door;
  /** Of a request's body, in octets. */
  readonly bodyLimit: number;
  readonly log: Log;
}

const COMMON_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

/** Answers requests one by one. */
export class HttpExchange {
  readonly #options: ExchangeOptions;

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await send(response, await this.#answer(request));
    } catch (error) {
      // What has begun cannot be taken back: cut, so that nobody takes a part for the whole.
      if (response.headersSent) response.destroy();
      const answer = failureAnswer(error);
      if (answer === undefined && !isGone(error, response)) {
        this.#options.log.error({ event: 'defect', problem: problem('INTERNAL'), error }, 'a request of an operator failed');
      }
      if (!response.headersSent) sendWhole(response, answer ?? defectAnswer());
    }
  }

  async #answer(request: IncomingMessage): Promise<ApiAnswer> {
    const { routes, door, bodyLimit } = this.#options;
    const [path = '', query = ''] = (request.url ?? '').split(/\?(.*)/s, 2);
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
    const found = findRoute(await routes(), method, path);
    // Who may not come in is not told what there is.
    await door.admit(request, found.kind === 'found' ? found.route : { method: 'POST', path: '/', run: nothing });
    if (found.kind === 'no-path') throw new ApiRefusal(404, 'API_REQUEST_INVALID', 'there is nothing at this path');
    if (found.kind === 'no-method') {
      throw new ApiRefusal(405, 'API_REQUEST_INVALID', 'not with this method', { allow: found.allowed.join(', ') });
    }
    const body = method === 'GET' ? undefined : await readJson(request, bodyLimit);
    const { parameters, route } = found;
    const peer = request.socket.remoteAddress ?? '';
    const answer = await route.run({ parameters, query: new URLSearchParams(query), body, headers: request.headers, peer });
    const isMessage = 'chunks' in answer && answer.type !== EVENT_STREAM;
    if (method !== 'GET' || isMessage) this.#note(`${method} ${path}`, peer);
    return answer;
  }

  /** Who has changed something, or read a message. Paths that lead somewhere hold nothing but names. */
  #note(what: string, peer: string): void {
    const by = peer === '' ? 'the control socket' : peer;
    this.#options.log.info({ event: 'admin-request', ...(peer === '' ? {} : { peer }) }, `${what} from ${by}`);
  }
}

const nothing = (): Promise<never> => Promise.reject(new Error('never run'));

/** The peer has left before its answer was complete. */
function isGone(error: unknown, response: ServerResponse): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return response.destroyed && (code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET' || code === 'EPIPE');
}

async function send(response: ServerResponse, answer: ApiAnswer): Promise<void> {
  if (!('chunks' in answer)) return sendWhole(response, answer);
  response.writeHead(answer.status, { ...COMMON_HEADERS, 'content-type': answer.type });
  await pipeline(Readable.from(answer.chunks), response);
}

function sendWhole(response: ServerResponse, answer: Exclude<ApiAnswer, { chunks: unknown }>): void {
  const { status } = answer;
  const isJson = 'json' in answer;
  const body = Buffer.from(isJson ? `${JSON.stringify(answer.json)}\n` : answer.text);
  const { headers = {} } = answer;
  // After a refusal the rest of the request may still be on its way; a new connection is cheap.
  const connection = status >= 400 ? { connection: 'close' } : {};
  response.writeHead(status, {
    ...COMMON_HEADERS,
    'content-type': isJson ? (status >= 400 && isProblem(answer.json) ? PROBLEM_TYPE : 'application/json') : answer.type,
    'content-length': body.length,
    ...connection,
    ...headers,
  });
  response.end(body);
}

const isProblem = (document: unknown): boolean =>
  typeof document === 'object' && document !== null && 'code' in document && 'detail' in document;
