/**
 * The metrics of this process, in the text format of Prometheus.
 *
 * Names and labels are those of core/metric.ts. A metric appears once something feeds it; counters with few label values begin at 0 for every configured
 * name, so that the first event is an increase and not a new series. The number of series is bounded by the configuration.
 *
 * @packageDocumentation
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import {
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  type LabelValues,
  type MetricDefinition,
  METRICS,
  type MetricName,
  OTHER,
} from '../core/metric.ts';
import type { Log } from '../core/ports/log.ts';
import type { Gauges, GaugeSource, Metrics } from '../core/ports/metrics.ts';
import { problem } from '../core/problem.ts';

/** The names that may stand in labels now. */
export interface ConfiguredNames {
  readonly account: ReadonlySet<string>;
  readonly client: ReadonlySet<string>;
  readonly listener: ReadonlySet<string>;
  readonly rule: ReadonlySet<string>;
}

/** What a registry needs. */
export interface MetricRegistryOptions {
  /** Asked at each use, since the configuration may change. */
  readonly names: () => ConfiguredNames;
  readonly log: Log;
}

/** Labels that hold more values than this do not begin at 0 for each. */
const FEW = 10;

type Labels = Readonly<Record<string, string>>;

export class MetricRegistry implements Metrics {
  /** Of the text that {@link render} gives. */
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly #options: MetricRegistryOptions;
  readonly #registry = new Registry();
  readonly #metrics = new Map<MetricName, Counter | Gauge | Histogram>();
  readonly #sources: GaugeSource[] = [];
  #rendering: Promise<string> | undefined;

  constructor(options: MetricRegistryOptions) {
    this.#options = options;
  }

  add<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    this.#counter(name).inc(this.#bounded(name, labels), by);
  }

  observe<Name extends HistogramName>(name: Name, labels: LabelsOf<Name>, seconds: number): void {
    this.#histogram(name).observe(this.#bounded(name, labels), seconds);
  }

  /** Ask `source` each time the metrics are read. */
  attach(source: GaugeSource): void {
    this.#sources.push(source);
  }

  /** All metrics as of now. Who asks while somebody else is being answered gets the same text. Never rejects for what a source does. */
  render(): Promise<string> {
    this.#rendering ??= this.#collect().finally(() => {
      this.#rendering = undefined;
    });
    return this.#rendering;
  }

  async #collect(): Promise<string> {
    this.#beginAtZero();
    for (const metric of this.#metrics.values()) if (metric instanceof Gauge) metric.reset(); // Removed accounts have no state.
    const gauges: Gauges = { set: (name, labels, value) => this.#gauge(name).set(this.#bounded(name, labels), value) };
    for (const source of this.#sources) {
      try {
        await source(gauges);
      } catch (error) {
        this.#options.log.error({ event: 'defect', problem: problem('INTERNAL', 'some metrics could not be read'), error }, 'no metrics');
      }
    }
    return this.#registry.metrics();
  }

  /** What is not in the set of a label is counted as {@link OTHER}. */
  #bounded(name: MetricName, labels: Labels): Labels {
    const names = this.#options.names();
    const definition: MetricDefinition = METRICS[name];
    const bounded: Record<string, string> = {};
    for (const [label, values] of Object.entries(definition.labels)) {
      const value = labels[label] ?? '';
      bounded[label] = isAmong(value, values, names) ? value : OTHER;
    }
    return bounded;
  }

  /** In each turn anew: names that were configured meanwhile begin as well. */
  #beginAtZero(): void {
    const names = this.#options.names();
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const { type, labels }: MetricDefinition = METRICS[name];
      if (type !== 'counter') continue;
      const sets = Object.entries(labels).map(([label, values]) => [label, valuesOf(values, names)] as const);
      if (sets.some(([label, values]) => values.length > FEW && typeof labels[label] !== 'string')) continue;
      for (const combination of combinations(sets)) this.#counter(name as CounterName).inc(combination, 0);
    }
  }

  #counter(name: CounterName): Counter {
    return this.#once(name, Counter, (options) => new Counter(options));
  }

  #gauge(name: GaugeName): Gauge {
    return this.#once(name, Gauge, (options) => new Gauge(options));
  }

  #histogram(name: HistogramName): Histogram {
    const { buckets } = METRICS[name];
    return this.#once(name, Histogram, (options) => new Histogram({ ...options, buckets: [...buckets] }));
  }

  #once<Kind extends Counter | Gauge | Histogram>(
    name: MetricName,
    kind: abstract new (...given: never[]) => Kind,
    make: (options: { name: string; help: string; labelNames: string[]; registers: Registry[] }) => Kind,
  ): Kind {
    const known = this.#metrics.get(name);
    if (known instanceof kind) return known;
    const { help, labels }: MetricDefinition = METRICS[name];
    const made = make({ name, help, labelNames: Object.keys(labels), registers: [this.#registry] });
    this.#metrics.set(name, made);
    return made;
  }
}

function isAmong(value: string, values: LabelValues, names: ConfiguredNames): boolean {
  if (typeof values !== 'string') return values.includes(value);
  return values === 'process' || names[values].has(value);
}

function valuesOf(values: LabelValues, names: ConfiguredNames): readonly string[] {
  if (typeof values !== 'string') return values;
  return values === 'process' ? [] : [...names[values]];
}

/** Every way to choose one value for each label. */
function combinations(sets: readonly (readonly [string, readonly string[]])[]): Labels[] {
  return sets.reduce<Labels[]>(
    (chosen, [label, values]) => chosen.flatMap((labels) => values.map((value) => ({ ...labels, [label]: value }))),
    [{}],
  );
}
