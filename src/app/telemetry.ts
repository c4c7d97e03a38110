/**
 * What listens to the log of a relay: the metrics, traces, and what is remembered for the admin page.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { ProblemError } from '../core/problem.ts';
import { ActivityDesk } from '../observability/activity-desk.ts';
import { countEvents } from '../observability/event-metrics.ts';
import { type ConfiguredNames, MetricRegistry } from '../observability/metric-registry.ts';
import { LogDesk } from '../observability/log-desk.ts';
import { MessageSpans } from '../observability/message-spans.ts';
import { type LogObserver, observedLog } from '../observability/observed-log.ts';
import { type Environment, type TraceSettings, traceSettings } from '../observability/otel-environment.ts';
import { OtlpHttp } from '../observability/otlp-http.ts';
import { processMetrics } from '../observability/process-metrics.ts';
import type { Scrubber } from '../observability/scrubber.ts';
import { SpanExporter } from '../observability/span-exporter.ts';
import { TraceDesk } from '../observability/trace-desk.ts';
import { systemClock } from '../platform/system-clock.ts';

/** Shorter values (`tenant-1`, `Bearer`) are words, and blotting them out would hide ordinary ones. */
const SHORTEST_CREDENTIAL = 12;

/** What a relay is watched with. */
export interface Telemetry {
  /** For all rooms of the relay: what goes in here is counted. */
  readonly log: Log;
  readonly metrics: MetricRegistry;
  readonly traces: TraceDesk;
  readonly activity: ActivityDesk;
  readonly lines: LogDesk;
  /** Brings to the collector what it has not got yet. */
  close(grace: DurationMs): Promise<void>;
}

/**
 * @param names - Those that labels may hold.
 * @param environment - Of the process, where OpenTelemetry's variables may be.
 */
export function openTelemetry(log: Log, scrubber: Scrubber, names: () => ConfiguredNames, environment: Environment): Telemetry {
  const metrics = new MetricRegistry({ names, log });
  metrics.attach(processMetrics(metrics, systemClock));
  const traces = new TraceDesk({ clock: systemClock, scrubber });
  const lines = new LogDesk({ clock: systemClock, scrubber });
  const activity = new ActivityDesk({ clock: systemClock, scrubber });
  const observers: LogObserver[] = [countEvents(metrics), traces.observe, activity.observe, lines.observe];
  const observed = observedLog(log, observers, () => traces.isListening);
  const settings = settingsFrom(environment, observed);
  let exporter: SpanExporter | undefined;
  if (settings !== undefined) {
    for (const value of secretsOf(settings)) scrubber.add(value);
    const sink = new OtlpHttp({ ...settings, clock: systemClock, scrubber });
    exporter = new SpanExporter({ sink, clock: systemClock, metrics, log: observed });
    observers.push(new MessageSpans({ clock: systemClock, sampler: settings.sampler, emit: exporter.add }).observe);
    observed.info({ event: 'traces-on', upstream: settings.url.host }, 'traces go to the collector');
  }
  return {
    log: observed,
    metrics,
    traces,
    activity,
    lines,
    close: async (grace) => exporter?.close(grace),
  };
}

/** What cannot be followed stops nothing: a relay without traces is better than none. */
function settingsFrom(environment: Environment, log: Log): TraceSettings | undefined {
  try {
    return traceSettings(environment);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    log.error({ event: 'traces-off', problem: error.problem }, 'no traces are exported');
    return undefined;
  }
}

/** `Bearer TOKEN` is known by its token, too. The query of an endpoint may hold a key. */
function secretsOf({ headers, url }: TraceSettings): string[] {
  const values = [...Object.values(headers), ...url.searchParams.values()];
  return values.flatMap((value) => [value, ...value.split(/\s+/)]).filter((value) => value.length >= SHORTEST_CREDENTIAL);
}
