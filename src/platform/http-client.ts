/**
 * Requests over HTTP/1.1: Node's own client and parser, which the control socket has loaded anyway, on connections from the dialer of the whole program (TLS 1.2 or newer,
 * verified; no proxy of the environment).
 *
 * Each request has a connection of its own: what is kept open would mostly be closed by the other side before the next one. No redirect, no retry, no deadline but that
 * of the connection: the caller's signal ends the rest, at whatever step it is.
 *
 * Source: RFC 9112.
 *
 * @packageDocumentation
 */
import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { DurationMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Dial, dial as systemDial } from './dial.ts';
import { HttpPlaces } from './http-places.ts';
import { LinkedAbort } from './linked-abort.ts';

/** How connections come about. */
export interface HttpClientOptions {
  readonly clock: Clock;
  readonly dial?: Dial | undefined;
  /** PEM text trusted in addition to the system's roots. */
  readonly ca?: string | undefined;
  /** For the connection, TLS included. */
  readonly deadline: DurationMs;
  /** To one origin at once; further requests wait. */
  readonly connections: number;
}

/** One request. */
export interface HttpRequest {
  /** https, or http where the caller has made sure that this is safe. */
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  /** Besides `host`, `connection`, and the length of a text. */
  readonly headers: Readonly<Record<string, string>>;
  /** What comes piece by piece goes out as it comes, in chunks, unless `content-length` is among the header fields. */
  readonly body?: string | AsyncIterable<Uint8Array>;
  /** Ends the request, and the reading of its answer. */
  readonly signal: AbortSignal;
}

/** Why a request ended: {@link HttpClient.close}. */
export class HttpClosedError extends Error {
  override readonly name = 'HttpClosedError';
}

export class HttpClient {
  readonly #options: HttpClientOptions;
  readonly #places: HttpPlaces;
  /** What ends each request that is in progress or waits; undefined once closed. */
  #requests: Set<LinkedAbort> | undefined = new Set();

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.#places = new HttpPlaces(options.connections);
  }

  /**
   * Resolves with the head of the answer. Its body is read, or destroyed, by the caller: the connection lasts as long.
   *
   * @throws DialError, HttpClosedError, the reason of the signal, what a body is broken by, and what Node has for a connection or an answer that goes wrong: {@link speaksNonsense}.
   */
  async request(request: HttpRequest): Promise<IncomingMessage> {
    const requests = this.#requests;
    if (requests === undefined) throw new HttpClosedError('closed');
    const ending = new LinkedAbort([request.signal]);
    requests.add(ending);
    const { signal } = ending;
    let leave = (): void => undefined;
    const over = (): void => {
      requests.delete(ending);
      ending.release();
      leave();
    };
    try {
      leave = await this.#places.take(request.url.origin, signal);
      const socket = await this.#dial(request.url, signal);
      socket.once('close', over);
      return await exchange(socket, request, signal);
    } catch (error) {
      over();
      signal.throwIfAborted();
      throw error;
    }
  }

  /** Cuts what is in progress. */
  close(): void {
    for (const ending of this.#requests ?? []) ending.abort(new HttpClosedError('closed'));
    this.#requests = undefined;
  }

  #dial({ protocol, hostname, port }: URL, signal: AbortSignal): Promise<Socket> {
    const { dial = systemDial, clock, ca, deadline } = this.#options;
    const isTls = protocol === 'https:';
    const usual = isTls ? 443 : 80;
    return dial({
      host: withoutBrackets(hostname),
      port: port === '' ? usual : Number(port),
      tls: isTls ? 'implicit' : 'none',
      clock,
      ca,
      deadline,
      signal,
    });
  }
}

/** The socket is destroyed where this fails. */
function exchange(socket: Socket, { url, method, headers, body }: HttpRequest, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let response: IncomingMessage | undefined;
    const fail = (error: Error): void => {
      // Whoever reads the answer is told why it ends here. One that is whole stays: what comes behind it is no part of it.
      if (response?.complete !== true) response?.destroy(error);
      socket.destroy();
      reject(error);
    };
    if (signal.aborted) return fail(reasonOf(signal));
    const callOff = (): void => fail(reasonOf(signal));
    signal.addEventListener('abort', callOff, { once: true });
    socket.once('close', () => signal.removeEventListener('abort', callOff));
    let outgoing: ClientRequest;
    try {
      outgoing = httpRequest({
        createConnection: () => socket,
        path: url.pathname + url.search,
        method,
        headers: { host: url.host, ...headers },
      });
    } catch (error) {
      return fail(error instanceof Error ? error : new Error(String(error)));
    }
    outgoing.on('error', fail);
    outgoing.once('response', (incoming) => {
      response = incoming;
      resolve(incoming);
    });
    // Node says nothing else where the answer is a change of protocols (101).
    outgoing.once('close', () => reject(Object.assign(new Error('the connection ended without an answer'), { code: 'ECONNRESET' })));
    if (typeof body !== 'object') outgoing.end(body);
    else pipeline(measured(body, headers['content-length']), outgoing, (error) => void (error && response === undefined && fail(error)));
  });
}

/** What is longer than was said would be taken for the next request. @throws Error where the length is another one. */
async function* measured(body: AsyncIterable<Uint8Array>, said: string | undefined): AsyncGenerator<Uint8Array, void, undefined> {
  const length = said === undefined ? undefined : Number(said);
  let gone = 0;
  for await (const chunk of body) {
    gone += chunk.length;
    if (length !== undefined && gone > length) break;
    yield chunk;
  }
  if (length !== undefined && gone !== length) throw new Error('the body is not as long as its content-length');
}

const reasonOf = (signal: AbortSignal): Error => (signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));

/** `[::1]` of a URL as an address. */
export const withoutBrackets = (hostname: string): string => hostname.replace(/^\[(.*)\]$/, '$1');

/** What an error code of Node says of an answer: `too-much` header section, or no HTTP at all. Undefined: it is about something else. */
export function speaksNonsense(code: string): 'too-much' | 'no-http' | undefined {
  if (code === 'HPE_HEADER_OVERFLOW') return 'too-much';
  return code.startsWith('HPE_') ? 'no-http' : undefined;
}
