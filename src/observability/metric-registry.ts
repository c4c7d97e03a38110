/**
 * The metrics of this process, in the text format of Prometheus.
 *
 * Names and labels are those of core/metric.ts. A metric appears once something feeds it; counters with few label values begin at 0 for every configured
 * name, so that the first event is an increase and not a new series. The number of series is bounded by the configuration.
 *
 * @packageDocumentation
 */
import {
  type CounterName,
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
import { HistogramFamily, type MetricFamily, NumberFamily, TEXT_FORMAT } from './metric-family.ts';

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

/** The labels of each metric, in their order. */
const LABELS: ReadonlyMap<MetricName, readonly (readonly [string, LabelValues])[]> = new Map(
  (Object.entries(METRICS) as [MetricName, MetricDefinition][]).map(([name, { labels }]) => [name, Object.entries(labels)]),
);

export class MetricRegistry implements Metrics {
  /** Of the text that {@link render} gives. */
  readonly contentType = TEXT_FORMAT;
  readonly #options: MetricRegistryOptions;
  readonly #numbers = new Map<MetricName, NumberFamily>();
  readonly #histograms = new Map<MetricName, HistogramFamily>();
  readonly #sources: GaugeSource[] = [];
  #rendering: Promise<string> | undefined;

  constructor(options: MetricRegistryOptions) {
    this.#options = options;
  }

  add<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    this.#number(name).add(this.#bounded(name, labels), by);
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
    for (const [name, family] of this.#numbers) if (METRICS[name].type === 'gauge') family.clear(); // Removed accounts have no state.
    const gauges: Gauges = { set: (name, labels, value) => this.#number(name).set(this.#bounded(name, labels), value) };
    for (const source of this.#sources) {
      try {
        await source(gauges);
      } catch (error) {
        this.#options.log.error({ event: 'defect', problem: problem('INTERNAL', 'some metrics could not be read'), error }, 'no metrics');
      }
    }
    const families: MetricFamily[] = [...this.#numbers.values(), ...this.#histograms.values()];
    return families.map((family) => family.text()).join('\n');
  }

  /** The values of its labels, in their order. What is not in the set of a label is counted as {@link OTHER}. */
  #bounded(name: MetricName, labels: Labels): string[] {
    const names = this.#options.names();
    const bounded: string[] = [];
    for (const [label, values] of LABELS.get(name) ?? []) {
      const value = labels[label] ?? '';
      bounded.push(isAmong(value, values, names) ? value : OTHER);
    }
    return bounded;
  }

  /** In each turn anew: names that were configured meanwhile begin as well. */
  #beginAtZero(): void {
    const names = this.#options.names();
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const { type, labels }: MetricDefinition = METRICS[name];
      if (type !== 'counter') continue;
      const listed = Object.values(labels);
      if (listed.some((values) => values.length > FEW && typeof values !== 'string')) continue;
      for (const combination of combinations(listed.map((values) => valuesOf(values, names)))) this.#number(name).add(combination, 0);
    }
  }

  #number(name: MetricName): NumberFamily {
    return this.#numbers.get(name) ?? keep(this.#numbers, name, new NumberFamily(name, METRICS[name]));
  }

  #histogram(name: HistogramName): HistogramFamily {
    return this.#histograms.get(name) ?? keep(this.#histograms, name, new HistogramFamily(name, METRICS[name]));
  }
}

function keep<Kept>(kept: Map<MetricName, Kept>, name: MetricName, made: Kept): Kept {
  kept.set(name, made);
  return made;
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
function combinations(sets: readonly (readonly string[])[]): string[][] {
  return sets.reduce<string[][]>((chosen, values) => chosen.flatMap((before) => values.map((value) => [...before, value])), [[]]);
}
