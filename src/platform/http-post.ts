/**
 * Hands something to a web server: one POST, one answer, bounded in time and size, no redirect, no retry.
 *
 * A deadline stands over everything. Of the answer only status and `Retry-After` count: its body may repeat what was sent, is not read, and the connection ends with it.
 *
 * Sources: RFC 9110 §10.2.3 (Retry-After), §15.
 *
 * @packageDocumentation
 */
import { type DurationMs, milliseconds, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { withinDeadline } from './deadline.ts';
import type { Dial } from './dial.ts';
import { DialError, errorCode } from './dial-error.ts';
import { HttpClient, speaksNonsense } from './http-client.ts';

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

export class HttpPost {
  /** With the port, where it is not the usual one. */
  readonly host: string;
  readonly #options: HttpPostOptions;
  readonly #closing = new AbortController();
  readonly #client: HttpClient;

  constructor(options: HttpPostOptions) {
    this.#options = options;
    this.host = options.url.host;
    const { clock, dial, ca, deadline } = options;
    this.#client = new HttpClient({ clock, dial, ca, deadline: Math.min(deadline, CONNECT_DEADLINE) as DurationMs, connections: 1 });
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
      throw explained(this.host, error);
    }
  }

  /** Cuts what is in progress. */
  close(): Promise<void> {
    this.#closing.abort(new PostError('stopped', `${this.host}: given up, since Postern stops`));
    return Promise.resolve();
  }

  async #send({ headers, body }: PostRequest, signal: AbortSignal): Promise<PostAnswer> {
    const { url, clock } = this.#options;
    const response = await this.#client.request({ url, method: 'POST', signal, headers: { 'user-agent': 'postern', ...headers }, body });
    // A body that was not read is reported to have been cut off; that was the purpose.
    response.on('error', () => undefined).destroy();
    const retryAfter = waitOf(response.headers['retry-after'], clock);
    return { status: response.statusCode ?? 0, ...(retryAfter === undefined ? {} : { retryAfter }) };
  }
}

/** Seconds, or a date. Undefined where it is neither. */
function waitOf(text: string | undefined, clock: Clock): DurationMs | undefined {
  if (text === undefined) return undefined;
  const wait = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - clock.now();
  return Number.isNaN(wait) ? undefined : milliseconds(Math.max(0, wait));
}

/** In words of ours: texts of libraries may hold the URL. */
function explained(host: string, error: unknown): Error {
  if (error instanceof DialError || error instanceof PostError) return error;
  const told = (fault: PostError['fault'], what: string): PostError => new PostError(fault, `${host}${what}`, { cause: error });
  const code = errorCode(error);
  switch (speaksNonsense(code)) {
    case 'no-http':
      return told('nonsense', ' does not speak HTTP');
    case 'too-much':
      return told('nonsense', ' sent too many header fields');
    case undefined:
  }
  switch (code) {
    case 'ECONNRESET':
    case 'EPIPE':
      return told('broken', ` closed the connection before it answered (${code})`);
    default:
      return told('broken', `: the request failed (${code === '' ? 'unknown error' : code})`);
  }
}
