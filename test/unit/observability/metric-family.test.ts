/** The text format of Prometheus, line by line. */
import { expect, it } from 'vitest';
import { HistogramFamily, NumberFamily } from '../../../src/observability/metric-family.ts';

const LABELS = { account: 'account', state: ['open', 'held'] } as const;

it('writes a number for each combination of labels, in the order of the definition', () => {
  const family = new NumberFamily('mail_total', { type: 'counter', help: 'Mail.', labels: LABELS });
  family.add(['a', 'open'], 2);
  family.add(['b', 'held'], 0);
  family.add(['a', 'open'], 1);
  expect(family.text()).toBe(
    '# HELP mail_total Mail.\n# TYPE mail_total counter\nmail_total{account="a",state="open"} 3\nmail_total{account="b",state="held"} 0\n',
  );
});

it('keeps combinations apart that would be the same when run together', () => {
  const family = new NumberFamily('m', { type: 'gauge', help: 'M.', labels: { one: 'account', other: 'client' } });
  family.set(['ab', 'c'], 1);
  family.set(['a', 'bc'], 2);
  expect(family.text().split('\n').slice(2, 4)).toEqual(['m{one="ab",other="c"} 1', 'm{one="a",other="bc"} 2']);
});

it('has no line for what was cleared and not set again', () => {
  const family = new NumberFamily('m', { type: 'gauge', help: 'M.', labels: {} });
  family.set([], 1.5);
  expect(family.text()).toContain('\nm 1.5\n');
  family.clear();
  expect(family.text()).toBe('# HELP m M.\n# TYPE m gauge\n');
});

it('escapes what would end a label or a line, and writes numbers that are none', () => {
  const family = new NumberFamily('m', { type: 'gauge', help: 'back\\slash\nand "quotes"', labels: { account: 'account' } });
  family.set(['a"b\\c\nd'], Number.NaN);
  family.set(['up'], Infinity);
  family.set(['down'], -Infinity);
  expect(family.text()).toBe(
    '# HELP m back\\\\slash\\nand "quotes"\n# TYPE m gauge\nm{account="a\\"b\\\\c\\nd"} NaN\nm{account="up"} +Inf\nm{account="down"} -Inf\n',
  );
});

it('counts durations up to each bound, those at the bound and above all among them', () => {
  const family = new HistogramFamily('t_seconds', { type: 'histogram', help: 'T.', labels: { client: 'client' }, buckets: [0.5, 1] });
  for (const seconds of [0.25, 0.5, 1, 8]) family.observe(['erp'], seconds);
  expect(family.text()).toBe(
    [
      '# HELP t_seconds T.',
      '# TYPE t_seconds histogram',
      't_seconds_bucket{le="0.5",client="erp"} 2',
      't_seconds_bucket{le="1",client="erp"} 3',
      't_seconds_bucket{le="+Inf",client="erp"} 4',
      't_seconds_sum{client="erp"} 9.75',
      't_seconds_count{client="erp"} 4',
      '',
    ].join('\n'),
  );
});
