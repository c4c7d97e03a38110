/**
 * Numbers for the operator: what is counted as it happens, and what is looked at when somebody asks.
 *
 * Names, labels and their values are in core/metric.ts; a value outside its set is counted as `other`.
 *
 * @packageDocumentation
 */
import type { CounterName, GaugeName, HistogramName, LabelsOf } from '../metric.ts';

/** Counts as things happen. Never throws. Implementation: observability/metric-registry.ts. */
export interface Metrics {
  /** Something has happened. @param by - How often; not negative. */
  add<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by?: number): void;

  /** Something has taken its time. @param seconds - As long as it took. */
  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, seconds: number): void;
}

/** Takes what is so at this moment. What is not set has no value. */
export interface Gauges {
  /** Say that it is so now. */
  set<Name extends GaugeName>(name: Name, labels: LabelsOf<Name>, value: number): void;
}

/** Called each time the metrics are read. What it rejects with is a defect; the gauges of other sources are there all the same. */
export type GaugeSource = (gauges: Gauges) => void | Promise<void>;
