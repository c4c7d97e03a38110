/**
 * Hands something to a web server: one POST, one answer, bounded in time and size, no redirect, no retry.
 *
 * Connections come from the dialer of the whole program (TLS 1.2 or newer, verified; no proxy of the environment), one for each request, since what is kept open
 * would mostly be closed by the other side before the next one. undici's own limits do not bound what drips, and hear a signal only once there is a connection, so a
 * deadline stands over everything. Of the answer only status and `Retry-After` count: its body may repeat what was sent, is not read, and the connection
 * ends with it. undici is loaded with the first request.
 *
 * Sources: RFC 9110 §10.2.3 (Retry-After), §15.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { buildConnector } from 'undici';
import { type DurationMs, milliseconds, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { withinDeadline } from './deadline.ts';
import { type Dial, dial as systemDial } from './dial.ts';
import { DialError, errorCode } from './dial-error.ts';
import { LaterAgent } from './http-agent.ts';

/** Where to, and how. */
export interface HttpPostOptions {
  /** https, or http where the caller has made sure that this is safe. */
  readonly url: URL;
  readonly clock: Clock;
  /** Of one request: DNS, connection, body, answer. */
  readonly deadline: DurationMs;
  readonly dial?: Dial | undefined;
  /** PEM text trusted in addition to the system's roots. */
  readonly ca?: string | undefined;
}

/** One request. */
export interface PostRequest {
  readonly headers: Readonly<Record<string, string>>;
  /** What comes piece by piece goes out as it comes, in chunks, unless `content-length` is among the header fields. */
  readonly body: string | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

/** What the server said. */
export interface PostAnswer {
  readonly status: number;
  /** When to come again. */
  readonly retryAfter?: DurationMs;
}

/** There is no answer. The message names the host and what happened, never the URL: that mostly is a credential. */
export class PostError extends Error {
  override readonly name = 'PostError';
  /** `nonsense`: it is no HTTP, or too much of it; `stopped`: {@link HttpPost.close}. */
  readonly fault: 'silent' | 'broken' | 'nonsense' | 'stopped';
  constructor(fault: PostError['fault'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

const CONNECT_DEADLINE = seconds(30);
/** Nobody reads the answer's body. */
const MOST_ANSWER = 65_536;

export class HttpPost {
  /** With the port, where it is not the usual one. */
  readonly host: string;
  readonly #options: HttpPostOptions;
  readonly #closing = new AbortController();
  readonly #agent: LaterAgent;

  constructor(options: HttpPostOptions) {
    this.#options = options;
    this.host = options.url.host;
    const { deadline } = options;
    this.#agent = new LaterAgent({
      connections: 1,
      headersTimeout: deadline,
      bodyTimeout: deadline,
      maxResponseSize: MOST_ANSWER,
      connect: undiciConnector({ ...options, deadline: Math.min(deadline, CONNECT_DEADLINE) as DurationMs }),
    });
  }

  /** @throws DialError, PostError, or the reason of the signal. */
  async send(request: PostRequest): Promise<PostAnswer> {
    const { clock, deadline } = this.#options;
    const { signal } = request;
    const expired = (): Error => new PostError('silent', `${this.host}: no answer within ${deadline / 1000} s`);
    const signals = [this.#closing.signal, ...(signal === undefined ? [] : [signal])];
    try {
      return await withinDeadline({ clock, deadline, expired, signals }, (ending) => this.#send(request, ending));
    } catch (error) {
      signal?.throwIfAborted();
      throw explained(this.host, error, deadline);
    }
  }

  /** Cuts what is in progress. */
  async close(): Promise<void> {
    this.#closing.abort(new PostError('stopped', `${this.host}: given up, since Postern stops`));
    await this.#agent.close();
  }

  async #send({ headers, body }: PostRequest, signal: AbortSignal): Promise<PostAnswer> {
    signal.throwIfAborted();
    const { url, clock } = this.#options;
    const agent = await this.#agent.get();
    // What goes wrong with a body is told by the request; without a listener an error that comes later would end the process.
    const stream = typeof body === 'string' ? body : Readable.from(body, { objectMode: false }).on('error', () => undefined);
    const response = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'POST',
      reset: true,
      signal,
      headers: { 'user-agent': 'postern', ...headers },
      body: stream,
    });
    // Destroying a body that was not read makes undici report that it was cut off; that was the purpose.
    response.body.on('error', () => undefined).destroy();
    const retryAfter = waitOf(response.headers['retry-after'], clock);
    return { status: response.statusCode, ...(retryAfter === undefined ? {} : { retryAfter }) };
  }
}

/** How undici's connections come from our dialer. */
export interface ConnectorOptions extends Pick<HttpPostOptions, 'clock' | 'dial' | 'ca'> {
  /** For the connection, TLS included. */
  readonly deadline: DurationMs;
}

/** For `connect` of an undici Agent. */
export const undiciConnector =
  (options: ConnectorOptions): buildConnector.connector =>
  (target, callback) =>
    void connect(options, target, callback);

async function connect(
  { dial = systemDial, ...how }: ConnectorOptions,
  target: buildConnector.Options,
  callback: buildConnector.Callback,
): Promise<void> {
  const isTls = target.protocol === 'https:';
  const port = target.port === '' ? (isTls ? 443 : 80) : Number(target.port);
  let socket: Socket;
  try {
    socket = await dial({ ...how, host: withoutBrackets(target.hostname), port, tls: isTls ? 'implicit' : 'none' });
  } catch (error) {
    callback(error instanceof Error ? error : new Error(String(error)), null);
    return;
  }
  callback(null, socket);
}

/** `[::1]` of a URL as an address. */
export const withoutBrackets = (hostname: string): string => hostname.replace(/^\[(.*)\]$/, '$1');

/** Seconds, or a date. Undefined where it is neither. */
function waitOf(header: string | string[] | undefined, clock: Clock): DurationMs | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined) return undefined;
  const wait = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - clock.now();
  return Number.isNaN(wait) ? undefined : milliseconds(Math.max(0, wait));
}

/** In words of ours: texts of libraries may hold the URL. */
function explained(host: string, error: unknown, deadline: DurationMs): Error {
  if (error instanceof DialError || error instanceof PostError) return error;
  const told = (fault: PostError['fault'], what: string): PostError => new PostError(fault, `${host}${what}`, { cause: error });
  if (error instanceof Error && error.name === 'HTTPParserError') return told('nonsense', ' does not speak HTTP');
  const code = errorCode(error);
  switch (code) {
    case 'UND_ERR_HEADERS_OVERFLOW':
      return told('nonsense', ' sent too many header fields');
    case 'UND_ERR_HEADERS_TIMEOUT':
      return told('silent', `: no answer within ${deadline / 1000} s`);
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return told('broken', ` closed the connection before it answered (${code})`);
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return told('stopped', ': given up, since Postern stops');
    default:
      return told('broken', `: the request failed (${code === '' ? 'unknown error' : code})`);
  }
}
