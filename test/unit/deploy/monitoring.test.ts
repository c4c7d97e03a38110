/** Dashboard and alert rules ask for nothing that is not there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type MetricDefinition, METRICS } from '../../../src/core/metric.ts';
import { renderMetrics } from '../../../src/observability/render-metrics.ts';

const root = join(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}
interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const dashboard = JSON.parse(read('deploy/grafana/postern.json')) as { panels: Panel[]; templating: { list: { query: unknown }[] } };
const rules = (parse(read('deploy/prometheus/postern.rules.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const variables = JSON.stringify(dashboard.templating.list);

const expressions = [
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [`panel ${title}`, expr] as const)),
  ...rules.map(({ alert, expr }) => [`rule ${alert}`, expr] as const),
];

/** Of Prometheus itself: it adds them to what it scrapes. */
const OF_PROMETHEUS = new Set(['job', 'instance', 'le']);

/** Every metric in an expression, with the labels in its braces and their values. */
function uses(expr: string): { readonly name: string; readonly labels: readonly (readonly [string, string])[] }[] {
  return [...expr.matchAll(/\b((?:postern|process|nodejs)_[a-z_]+)(?:\{([^}]*)\})?/g)].map(([, name = '', braces = '']) => ({
    name,
    labels: [...braces.matchAll(/([a-z_]+)\s*(?:=~|!=|=)\s*"([^"]*)"/g)].map(([, label = '', value = '']) => [label, value] as const),
  }));
}

/** The definition; a histogram is asked for by its parts. */
function definitionOf(name: string): MetricDefinition | undefined {
  const all: Readonly<Record<string, MetricDefinition>> = METRICS;
  const part = /^(.*)_(bucket|sum|count)$/.exec(name)?.[1] ?? '';
  return all[name]?.type === 'histogram' ? undefined : (all[name] ?? (all[part]?.type === 'histogram' ? all[part] : undefined));
}

describe.each(expressions)('%s', (_, expr) => {
  it('names metrics that exist', () => {
    const names = uses(expr).map(({ name }) => name);
    expect(names.length > 0 || expr.startsWith('up{')).toBe(true);
    expect(names.filter((name) => definitionOf(name) === undefined)).toEqual([]);
  });

  it('names labels and values that exist', () => {
    for (const { name, labels } of uses(expr)) {
      for (const [label, value] of labels) {
        if (OF_PROMETHEUS.has(label)) continue;
        const values = definitionOf(name)?.labels[label];
        expect({ name, label, isKnown: values !== undefined }).toEqual({ name, label, isKnown: true });
        if (typeof values === 'object') expect(values).toContain(value);
      }
    }
  });

  it('groups by labels that exist', () => {
    const known = new Set(uses(expr).flatMap(({ name }) => Object.keys(definitionOf(name)?.labels ?? {})));
    const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/));
    expect(grouped.filter((label) => !known.has(label) && !OF_PROMETHEUS.has(label))).toEqual([]);
  });

  it('has balanced brackets', () => {
    const open: string[] = [];
    const closes: Readonly<Record<string, string>> = { ')': '(', '}': '{', ']': '[' };
    for (const character of expr.replace(/"[^"]*"/g, '')) {
      if ('({['.includes(character)) open.push(character);
      else if (character in closes) expect(open.pop()).toBe(closes[character]);
    }
    expect(open).toEqual([]);
  });
});

describe('the dashboard', () => {
  it('shows every metric of the list that is fed', () => {
    const shown = new Set(
      dashboard.panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => uses(expr).map(({ name }) => name))),
    );
    const isShown = (name: string): boolean => shown.has(name) || shown.has(`${name}_bucket`);
    expect(Object.keys(METRICS).filter((name) => !isShown(name))).toEqual([]);
  });

  it('fills its variables from metrics that exist', () => {
    expect(uses(variables).length).toBeGreaterThan(0);
    expect(uses(variables).filter(({ name }) => definitionOf(name) === undefined)).toEqual([]);
  });
});

describe('the alert rules', () => {
  it('each tell what is wrong and what to do', () => {
    expect(rules.length).toBeGreaterThan(10);
    for (const { annotations, labels } of rules) {
      expect(annotations.summary.length).toBeGreaterThan(20);
      expect(annotations.description.length).toBeGreaterThan(10);
      expect(['warning', 'critical']).toContain(labels.severity);
    }
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });

  it('use only labels in their texts that their expression keeps', () => {
    for (const { alert, expr, annotations } of rules) {
      const kept = new Set(['instance', ...uses(expr).flatMap(({ name }) => Object.keys(definitionOf(name)?.labels ?? {}))]);
      const used = [...JSON.stringify(annotations).matchAll(/\$labels\.([a-z_]+)/g)].map(([, label = '']) => label);
      expect({ alert, strange: used.filter((label) => !kept.has(label)) }).toEqual({ alert, strange: [] });
    }
  });
});

it('docs/metrics.md is up to date (npm run generate)', () => {
  expect(read('docs/metrics.md')).toBe(renderMetrics());
});
