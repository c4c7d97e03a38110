/**
 * Hands a batch of spans to a collector: one POST of OTLP/HTTP in JSON, bounded in time, no redirect.
 *
 * Of the answer only status and Retry-After count; its body is not read, so it may be of any size, and the connection ends with it. Everything that is
 * sent passes the scrubber. undici is loaded with the first batch.
 *
 * Sources: OTLP 1.x, "OTLP/HTTP"; RFC 9110 §10.2.3 (Retry-After).
 *
 * @packageDocumentation
 */
import type { Agent, buildConnector } from 'undici';
import { type DurationMs, milliseconds, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Dial, dial as systemDial } from '../platform/dial.ts';
import { DialError, errorCode } from '../platform/dial-error.ts';
import type { TraceSettings } from './otel-environment.ts';
import type { Scrubber } from './scrubber.ts';
import { exportRequest, type Span } from './span.ts';
import type { Export, SpanSink } from './span-exporter.ts';

/** What it needs. */
export interface OtlpHttpOptions extends Pick<TraceSettings, 'url' | 'headers' | 'deadline' | 'resource'> {
  readonly clock: Clock;
  readonly scrubber: Pick<Scrubber, 'scrub'>;
  readonly dial?: Dial;
}

/** OTLP 1.x, "Failures 1": these may be sent again. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

export class OtlpHttp implements SpanSink {
  readonly #options: OtlpHttpOptions;
  readonly #closing = new AbortController();
  #agent: Promise<Agent> | undefined;

  constructor(options: OtlpHttpOptions) {
    this.#options = options;
  }

  async send(spans: readonly Span[]): Promise<Export> {
    const { host } = this.#options.url;
    try {
      return await this.#withinDeadline((signal) => this.#post(spans, signal));
    } catch (error) {
      return { kind: 'later', cause: describeFailure(host, error) };
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new DialError('aborted', `${this.#options.url.host}: given up, since Postern stops`));
    const agent = this.#agent;
    this.#agent = undefined;
    await (await agent)?.destroy();
  }

  async #post(spans: readonly Span[], signal: AbortSignal): Promise<Export> {
    const { url, headers, resource, scrubber, clock } = this.#options;
    this.#agent ??= this.#makeAgent();
    const agent = await this.#agent;
    const response = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'POST',
      reset: true, // A connection kept open would be closed by the other side before the next batch.
      signal,
      headers: { 'user-agent': 'postern', ...headers, 'content-type': 'application/json' },
      body: scrubber.scrub(exportRequest(spans, resource)),
    });
    // Destroying a body that was not read makes undici report that it was cut off; that was the purpose.
    response.body.on('error', () => undefined).destroy();
    const { statusCode: status } = response;
    if (status >= 200 && status < 300) return { kind: 'taken' };
    const cause = `${url.host} answered HTTP ${status}`;
    if (!RETRYABLE.has(status)) return { kind: 'refused', cause };
    const after = retryAfter(response.headers['retry-after'], clock);
    return { kind: 'later', cause, ...(after === undefined ? {} : { after }) };
  }

  /** undici hears the signal only once it has a connection; so deadline and end are also kept beside it. */
  async #withinDeadline<Result>(action: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const { clock, deadline, url } = this.#options;
    const controller = new AbortController();
    let expire: (reason: Error) => void = () => {};
    const expired = new Promise<never>((_resolve, reject) => {
      expire = reject;
    });
    const end = (reason: Error): void => {
      controller.abort(reason);
      expire(reason);
    };
    const stop = (): void => end(this.#closing.signal.reason as Error);
    const timer = clock.startTimer(deadline, () => end(new DialError('timeout', `${url.host}: no answer within ${deadline / 1000} s`)));
    this.#closing.signal.addEventListener('abort', stop);
    if (this.#closing.signal.aborted) stop();
    try {
      return await Promise.race([action(controller.signal), expired]);
    } finally {
      timer.cancel();
      this.#closing.signal.removeEventListener('abort', stop);
    }
  }

  async #makeAgent(): Promise<Agent> {
    const { deadline } = this.#options;
    const { Agent: UndiciAgent } = await import('undici');
    return new UndiciAgent({
      connections: 1,
      headersTimeout: deadline,
      bodyTimeout: deadline,
      connect: (target, callback) => void this.#connect(target, callback),
    });
  }

  /** undici's connections come from our dialer. */
  async #connect(target: buildConnector.Options, callback: buildConnector.Callback): Promise<void> {
    const { clock, deadline, dial = systemDial } = this.#options;
    const isTls = target.protocol === 'https:';
    try {
      const socket = await dial({
        host: target.hostname.replace(/^\[(.*)\]$/, '$1'),
        port: target.port === '' ? (isTls ? 443 : 80) : Number(target.port),
        tls: isTls ? 'implicit' : 'none',
        deadline,
        clock,
      });
      callback(null, socket);
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)), null);
    }
  }
}

/** Seconds, or a date. */
function retryAfter(header: string | string[] | undefined, clock: Clock): DurationMs | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (text === undefined) return undefined;
  if (/^\d{1,6}$/.test(text)) return seconds(Number(text));
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : milliseconds(Math.max(0, date - clock.now()));
}

/** In words of ours: texts of libraries may hold the URL. */
function describeFailure(host: string, error: unknown): string {
  if (error instanceof DialError) return error.message;
  if (error instanceof Error && error.name === 'HTTPParserError') return `${host} does not speak HTTP`;
  return `${host}: the request failed (${errorCode(error) || 'unknown error'})`;
}
