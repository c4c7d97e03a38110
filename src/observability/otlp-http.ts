/**
 * Hands a batch of spans to a collector: one POST of OTLP/HTTP in JSON, bounded in time, no redirect.
 *
 * Of the answer only status and Retry-After count; its body is not read, so it may be of any size, and the connection ends with it. Everything that is
 * sent passes the scrubber.
 *
 * Sources: OTLP 1.x, "OTLP/HTTP"; RFC 9110 §10.2.3 (Retry-After).
 *
 * @packageDocumentation
 */
import type { Clock } from '../core/ports/clock.ts';
import type { Dial } from '../platform/dial.ts';
import { DialError } from '../platform/dial-error.ts';
import { HttpPost, PostError } from '../platform/http-post.ts';
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
  readonly #post: HttpPost;

  constructor(options: OtlpHttpOptions) {
    this.#options = options;
    this.#post = new HttpPost(options);
  }

  async send(spans: readonly Span[]): Promise<Export> {
    const { headers, resource, scrubber } = this.#options;
    try {
      const body = scrubber.scrub(exportRequest(spans, resource));
      const { status, retryAfter } = await this.#post.send({ headers: { ...headers, 'content-type': 'application/json' }, body });
      if (status >= 200 && status < 300) return { kind: 'taken' };
      const cause = `${this.#post.host} answered HTTP ${status}`;
      if (!RETRYABLE.has(status)) return { kind: 'refused', cause };
      return { kind: 'later', cause, ...(retryAfter === undefined ? {} : { after: retryAfter }) };
    } catch (error) {
      if (!(error instanceof DialError) && !(error instanceof PostError)) throw error;
      return { kind: 'later', cause: error.message };
    }
  }

  close(): Promise<void> {
    return this.#post.close();
  }
}
