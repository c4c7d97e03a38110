/**
 * What the process itself costs: memory, processor, and how late its event loop is.
 *
 * @packageDocumentation
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from '../core/ports/clock.ts';
import type { GaugeSource, Metrics } from '../core/ports/metrics.ts';
import { VERSION } from '../core/version.ts';

/** How often the event loop is looked at. */
const RESOLUTION_MS = 20;

/** The source of the `process_…` metrics, of the build and of the event loop. */
export function processMetrics(metrics: Metrics, clock: Clock): GaugeSource {
  const lag = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  lag.enable();
  const startedAt = clock.now() / 1000 - process.uptime();
  let counted = 0;
  return (gauges) => {
    const { rss, heapUsed } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    const used = (user + system) / 1e6;
    metrics.add('process_cpu_seconds_total', {}, Math.max(0, used - counted));
    counted = used;
    gauges.set('process_resident_memory_bytes', {}, rss);
    gauges.set('process_heap_bytes', {}, heapUsed);
    gauges.set('process_start_time_seconds', {}, startedAt);
    gauges.set('postern_build_info', { version: VERSION, node: process.versions.node }, 1);
    // The histogram holds the whole interval between two looks; what is above the resolution is lateness.
    gauges.set('postern_event_loop_lag_seconds', {}, Math.max(0, lag.max / 1e9 - RESOLUTION_MS / 1000));
    lag.reset();
  };
}
