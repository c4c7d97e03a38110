/**
 * What listens to the log of a relay: the metrics.
 *
 * @packageDocumentation
 */
import type { Log } from '../core/ports/log.ts';
import { countEvents } from '../observability/event-metrics.ts';
import { type ConfiguredNames, MetricRegistry } from '../observability/metric-registry.ts';
import { observedLog } from '../observability/observed-log.ts';
import { processMetrics } from '../observability/process-metrics.ts';
import { systemClock } from '../platform/system-clock.ts';

/** What a relay is watched with. */
export interface Telemetry {
  /** For all rooms of the relay: what goes in here is counted. */
  readonly log: Log;
  readonly metrics: MetricRegistry;
}

/** @param names - Those that labels may hold. */
export function openTelemetry(log: Log, names: () => ConfiguredNames): Telemetry {
  const metrics = new MetricRegistry({ names, log });
  metrics.attach(processMetrics(metrics, systemClock));
  return { log: observedLog(log, [countEvents(metrics)]), metrics };
}
