/**
 * docs/metrics.md, made from the list of metrics.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { type LabelValues, type MetricDefinition, METRICS } from '../core/metric.ts';

const INTRODUCTION = `# Metrics

<!-- Made by \`npm run generate\` from src/core/metric.ts. Do not edit. -->

\`GET /metrics\` on the [admin port](config.md#admin), in the text format of Prometheus. deploy/prometheus has the alert rules that we use, deploy/grafana a
dashboard.

The label sets are bounded: a label holds one of the values named here, or the name of an account, client or listener in the configuration; whatever else comes
counts as \`other\`. No address, message or secret is ever in a label. A metric is there once something feeds it.

| metric | type | labels | means |
| --- | --- | --- | --- |
`;

/** The whole document. */
export function renderMetrics(): string {
  const rows = Object.entries(METRICS).map(([name, definition]: [string, MetricDefinition]) => {
    const labels = Object.entries(definition.labels).map(([label, values]) => `\`${label}\`${describeValues(label, values)}`);
    return `| \`${name}\` | ${definition.type} | ${labels.join('; ')} | ${definition.help} |\n`;
  });
  return INTRODUCTION + rows.join('');
}

function describeValues(label: string, values: LabelValues): string {
  if (typeof values === 'string') return values === label || values === 'process' ? '' : `: name of a ${values}`;
  if (values.length <= 10) return `: ${values.join(', ')}`;
  const own = values.filter((value) => value !== value.toUpperCase());
  return `: ${own.length === 0 ? 'a' : `${own.join(', ')}, or a`} code of [errors.md](errors.md)`;
}
