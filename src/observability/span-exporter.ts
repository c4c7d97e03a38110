/**
 * Brings spans to the collector in batches, behind everything else: bounded in number, one request at a time, and never waited for.
 *
 * What finds no room is dropped and counted. The log says once that the collector takes nothing, and once that it does again.
 *
 * Source: OTLP 1.x, "OTLP/HTTP Response": 429, 502, 503 and 504, and connections that fail, are tried again, after `Retry-After` where it is told; any other
 * refusal is final. Deviation: the answer's body (`partial_success`) is not read.
 *
 * @packageDocumentation
 */
import { type DurationMs, milliseconds, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import { problem } from '../core/problem.ts';
import type { Span } from './span.ts';

/** What came of one request. `cause` names the host and what it did, nothing else. */
export type Export =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly cause: string }
  | { readonly kind: 'later'; readonly cause: string; readonly after?: DurationMs };

/** Takes a batch, in bounded time. Never rejects. Implementation: otlp-http.ts. */
export interface SpanSink {
  send(spans: readonly Span[]): Promise<Export>;
  /** Cuts what is in progress. */
  close(): Promise<void>;
}

/** What an exporter needs. */
export interface SpanExporterOptions {
  readonly sink: SpanSink;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, 'add'>;
  readonly log: Log;
}

/** The defaults of OpenTelemetry's batch processor: about 2 MB of memory at the most. */
const MOST_WAITING = 2_048;
const LARGEST_BATCH = 512;
const BATCH_AFTER = seconds(5);
const FIRST_PAUSE = seconds(5);
const LONGEST_PAUSE = seconds(60);

export class SpanExporter {
  readonly #options: SpanExporterOptions;
  #waiting: Span[] = [];
  #timer: Timer | undefined;
  #sending: Promise<void> | undefined;
  #failures = 0;
  #isClosed = false;

  constructor(options: SpanExporterOptions) {
    this.#options = options;
  }

  /** Never throws, never waits. */
  readonly add = (span: Span): void => {
    if (this.#isClosed || this.#waiting.length >= MOST_WAITING) return this.#count('dropped', 1);
    this.#waiting.push(span);
    if (this.#sending !== undefined) return;
    if (this.#waiting.length >= LARGEST_BATCH && this.#failures === 0) this.#begin();
    else this.#timer ??= this.#startTimer(BATCH_AFTER);
  };

  /** Send what waits, for at most `grace`; the rest is dropped. */
  async close(grace: DurationMs): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    let giveUp: () => void = () => {};
    const over = new Promise<void>((resolve) => {
      giveUp = resolve;
    });
    const timer = this.#options.clock.startTimer(grace, giveUp);
    await Promise.race([this.#drain(), over]);
    timer.cancel();
    await this.#options.sink.close();
    await this.#sending; // It has been cut.
    this.#count('dropped', this.#waiting.length);
    this.#waiting = [];
  }

  /** Until nothing waits, or the collector says no: nobody would try again. */
  async #drain(): Promise<void> {
    await this.#sending;
    let failures = 0;
    while (this.#waiting.length > 0 && failures === 0) {
      this.#begin();
      await this.#sending;
      failures = this.#failures;
    }
  }

  #startTimer(delay: DurationMs): Timer {
    const action = (): void => {
      this.#timer = undefined;
      this.#begin();
    };
    return this.#options.clock.startTimer(delay, action, { isBackground: true });
  }

  #begin(): void {
    if (this.#sending !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sending = this.#send();
  }

  async #send(): Promise<void> {
    const batch = this.#waiting.splice(0, LARGEST_BATCH);
    const outcome = await this.#options.sink.send(batch);
    this.#sending = undefined;
    if (outcome.kind === 'taken') this.#count('exported', batch.length);
    else if (outcome.kind === 'refused') this.#count('dropped', batch.length);
    else this.#putBack(batch);
    this.#say(outcome);
    if (this.#isClosed || this.#waiting.length === 0) return;
    if (outcome.kind === 'taken' && this.#waiting.length >= LARGEST_BATCH) this.#begin();
    else this.#timer ??= this.#startTimer(this.#pauseAfter(outcome));
  }

  /** In front; what came meanwhile gives way. */
  #putBack(batch: readonly Span[]): void {
    const all = [...batch, ...this.#waiting];
    this.#waiting = all.slice(0, MOST_WAITING);
    this.#count('dropped', all.length - this.#waiting.length);
  }

  #pauseAfter(outcome: Export): DurationMs {
    if (outcome.kind === 'taken') return BATCH_AFTER;
    const asked = outcome.kind === 'later' ? (outcome.after ?? 0) : 0;
    return milliseconds(Math.min(LONGEST_PAUSE, Math.max(asked, FIRST_PAUSE * 2 ** Math.min(this.#failures - 1, 10))));
  }

  #say(outcome: Export): void {
    const { log } = this.#options;
    if (outcome.kind === 'taken') {
      if (this.#failures > 0) log.info({ event: 'traces-exported' }, 'the collector takes traces again');
      this.#failures = 0;
      return;
    }
    this.#failures += 1;
    if (this.#failures > 1) return;
    log.warn({ event: 'traces-not-exported', problem: problem('TRACES_NOT_EXPORTED', outcome.cause) }, 'traces were not exported');
  }

  #count(result: 'exported' | 'dropped', by: number): void {
    if (by > 0) this.#options.metrics.add('postern_spans_total', { result }, by);
  }
}
