/**
 * What listens to the log of a relay: the metrics, traces, and what is remembered for the admin page.
 *
 * @packageDocumentation
 */
import type { Log } from '../core/ports/log.ts';
import { ActivityDesk } from '../observability/activity-desk.ts';
import { countEvents } from '../observability/event-metrics.ts';
import { type ConfiguredNames, MetricRegistry } from '../observability/metric-registry.ts';
import { LogDesk } from '../observability/log-desk.ts';
import { observedLog } from '../observability/observed-log.ts';
import { processMetrics } from '../observability/process-metrics.ts';
import type { Scrubber } from '../observability/scrubber.ts';
import { TraceDesk } from '../observability/trace-desk.ts';
import { systemClock } from '../platform/system-clock.ts';

/** What a relay is watched with. */
export interface Telemetry {
  /** For all rooms of the relay: what goes in here is counted. */
  readonly log: Log;
  readonly metrics: MetricRegistry;
  readonly traces: TraceDesk;
  readonly activity: ActivityDesk;
  readonly lines: LogDesk;
}

/** @param names - Those that labels may hold. */
export function openTelemetry(log: Log, scrubber: Scrubber, names: () => ConfiguredNames): Telemetry {
  const metrics = new MetricRegistry({ names, log });
  metrics.attach(processMetrics(metrics, systemClock));
  const traces = new TraceDesk({ clock: systemClock, scrubber });
  const lines = new LogDesk({ clock: systemClock, scrubber });
  const activity = new ActivityDesk({ clock: systemClock, scrubber });
  return {
    log: observedLog(log, [countEvents(metrics), traces.observe, activity.observe, lines.observe]),
    metrics,
    traces,
    activity,
    lines,
  };
}
