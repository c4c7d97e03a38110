/**
 * The series of one metric, and the text that Prometheus reads of them.
 *
 * Labels are given as their values, in the order in which the metric has them. Pure. Source: Prometheus, "Exposition formats", text format 0.0.4.
 *
 * @packageDocumentation
 */
import type { MetricDefinition } from '../core/metric.ts';

/** What {@link MetricFamily.text} is. */
export const TEXT_FORMAT = 'text/plain; version=0.0.4; charset=utf-8';

/** A metric with what it has counted so far. */
export interface MetricFamily {
  /** Its lines, each with a line end: what it means, and one for each number. */
  text(): string;
}

/** A counter or a gauge. */
export class NumberFamily implements MetricFamily {
  readonly #head: string;
  readonly #series: Series<{ value: number }>;

  constructor(name: string, definition: MetricDefinition) {
    this.#head = headOf(name, definition);
    this.#series = new Series(name, definition, () => ({ value: 0 }));
  }

  /** Where there was nothing yet it begins at 0. */
  add(labels: readonly string[], by: number): void {
    this.#series.of(labels).value += by;
  }

  set(labels: readonly string[], value: number): void {
    this.#series.of(labels).value = value;
  }

  /** Of nothing there is a value any more. */
  clear(): void {
    this.#series.clear();
  }

  text(): string {
    return this.#head + this.#series.lines((line, { value }) => line('', [], value));
  }
}

/** Durations, by upper bounds. */
export class HistogramFamily implements MetricFamily {
  readonly #head: string;
  readonly #bounds: readonly number[];
  /** `counts[n]`: how many were within bound n and above the one before; the last one: above all. */
  readonly #series: Series<{ readonly counts: number[]; sum: number }>;

  /** @param definition - Bounds ascend. */
  constructor(name: string, definition: MetricDefinition) {
    const { buckets = [] } = definition;
    this.#head = headOf(name, definition);
    this.#bounds = buckets;
    this.#series = new Series(name, definition, () => ({ counts: Array.from({ length: buckets.length + 1 }, () => 0), sum: 0 }));
  }

  observe(labels: readonly string[], value: number): void {
    const seen = this.#series.of(labels);
    let place = 0;
    for (const bound of this.#bounds) {
      if (value <= bound) break;
      place += 1;
    }
    seen.counts[place] = (seen.counts[place] ?? 0) + 1;
    seen.sum += value;
  }

  text(): string {
    const bounds = [...this.#bounds, Infinity];
    return (
      this.#head +
      this.#series.lines((line, { counts, sum }) => {
        let count = 0;
        const buckets = bounds.map((bound, place) => {
          count += counts[place] ?? 0;
          return line('_bucket', [['le', numberText(bound)]], count);
        });
        return [...buckets, line('_sum', [], sum), line('_count', [], count)].join('');
      })
    );
  }
}

/** Makes one line: a suffix of the name, labels in front of those of the series, and the number. */
type Line = (suffix: string, first: readonly (readonly [string, string])[], value: number) => string;

/** What is remembered for each combination of label values. */
class Series<Kept> {
  readonly #name: string;
  readonly #labels: readonly string[];
  readonly #begin: () => Kept;
  readonly #kept = new Map<string, { readonly values: readonly string[]; readonly kept: Kept }>();

  constructor(name: string, { labels }: MetricDefinition, begin: () => Kept) {
    this.#name = name;
    this.#labels = Object.keys(labels);
    this.#begin = begin;
  }

  of(values: readonly string[]): Kept {
    let key = values[0] ?? '';
    for (let place = 1; place < values.length; place += 1) key += `\n${values[place] ?? ''}`;
    const known = this.#kept.get(key);
    if (known !== undefined) return known.kept;
    const kept = this.#begin();
    this.#kept.set(key, { values, kept });
    return kept;
  }

  clear(): void {
    this.#kept.clear();
  }

  lines(describe: (line: Line, kept: Kept) => string): string {
    return [...this.#kept.values()].map(({ values, kept }) => describe(this.#line(values), kept)).join('');
  }

  #line(values: readonly string[]): Line {
    const own = this.#labels.map((label, place) => [label, values[place] ?? ''] as const);
    return (suffix, first, value) => {
      const labels = [...first, ...own].map(([label, text]) => `${label}="${labelText(text)}"`).join(',');
      return `${this.#name}${suffix}${labels === '' ? '' : `{${labels}}`} ${numberText(value)}\n`;
    };
  }
}

const headOf = (name: string, { help, type }: MetricDefinition): string =>
  `# HELP ${name} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}\n# TYPE ${name} ${type}\n`;

const labelText = (text: string): string => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

function numberText(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? '+Inf' : '-Inf';
}
