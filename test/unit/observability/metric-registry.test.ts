/** What `/metrics` says, and how much of it there can be. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { LogFields } from '../../../src/core/ports/log.ts';
import { METRICS } from '../../../src/core/metric.ts';
import { COUNTED_EVENTS, countEvents } from '../../../src/observability/event-metrics.ts';
import { MetricRegistry } from '../../../src/observability/metric-registry.ts';
import { processMetrics } from '../../../src/observability/process-metrics.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const NAMES = {
  account: new Set(['billing', 'alarms']),
  client: new Set(['erp']),
  listener: new Set(['127.0.0.1:2525']),
  rule: new Set(['billing-INBOX']),
};

let log: MemoryLog;
let registry: MetricRegistry;
let names: typeof NAMES;

beforeEach(() => {
  log = new MemoryLog();
  names = NAMES;
  registry = new MetricRegistry({ names: () => names, log });
});

const seriesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const series = async (): Promise<string[]> => seriesOf(await registry.render());

describe('the registry', () => {
  it('counts, with every label of the list', async () => {
    registry.add('postern_messages_total', { account: 'billing', outcome: 'relayed' });
    registry.add('postern_messages_total', { account: 'billing', outcome: 'relayed' }, 2);
    expect(await series()).toContain('postern_messages_total{account="billing",outcome="relayed"} 3');
  });

  it('begins at 0 for configured names, those that come later as well', async () => {
    expect(await series()).toContain('postern_messages_total{account="alarms",outcome="dead-letter"} 0');
    names = { ...NAMES, account: new Set(['new']) };
    expect(await series()).toContain('postern_messages_total{account="new",outcome="queued"} 0');
  });

  it('puts durations into the buckets of the list', async () => {
    registry.observe('postern_accept_seconds', { client: 'erp' }, 0.03);
    const lines = await series();
    expect(lines).toContain('postern_accept_seconds_bucket{le="0.025",client="erp"} 0');
    expect(lines).toContain('postern_accept_seconds_bucket{le="0.05",client="erp"} 1');
    expect(lines).toContain('postern_accept_seconds_count{client="erp"} 1');
  });

  it('forgets what a source no longer says', async () => {
    let state: 'open' | 'held' = 'open';
    registry.attach((gauges) => gauges.set('postern_account_state', { account: 'billing', state }, 1));
    expect(await series()).toContain('postern_account_state{account="billing",state="open"} 1');
    state = 'held';
    const lines = await series();
    expect(lines).toContain('postern_account_state{account="billing",state="held"} 1');
    expect(lines.filter((line) => line.includes('state="open"'))).toEqual([]);
  });

  it('goes on where a source fails, and says so', async () => {
    registry.attach(() => Promise.reject(new Error('no spool')));
    registry.attach((gauges) => gauges.set('postern_queue_bytes', {}, 7));
    expect(await series()).toContain('postern_queue_bytes 7');
    expect(log.of('defect')).toHaveLength(1);
  });

  it('asks its sources once for all who wait', async () => {
    let asked = 0;
    registry.attach(async (gauges) => {
      asked += 1;
      await new Promise((resolve) => void setImmediate(resolve));
      gauges.set('postern_queue_bytes', {}, asked);
    });
    const [one, other] = await Promise.all([registry.render(), registry.render()]);
    expect([asked, one]).toEqual([1, other]);
    await registry.render();
    expect(asked).toBe(2);
  });

  it('has metrics of the process', async () => {
    registry.attach(processMetrics(registry, systemClock));
    const text = await registry.render();
    expect(text).toMatch(/process_resident_memory_bytes \d{7,}/);
    expect(text).toMatch(/postern_build_info\{version="[^"]+",node="[0-9.]+"\} 1/);
    expect(text).toMatch(/process_cpu_seconds_total 0\.\d+|process_cpu_seconds_total \d+/);
  });
});

describe('the number of series', () => {
  /** One event of each name, by a sender, peer, client and account that nobody knows. */
  const stormOf = (index: number): LogFields[] =>
    COUNTED_EVENTS.map(
      (event) =>
        ({
          event,
          account: `account-${index}`,
          client: `client-${index}`,
          peer: `10.0.${index >> 8}.${index & 255}`,
          user: `user-${index}`,
          reversePath: `sender-${index}@example.com`,
          forwardPaths: [`recipient-${index}@example.com`],
          messageId: `<${index}@example.com>`,
          alert: `alert-${index}`,
          listener: event.startsWith('message-') ? undefined : `10.0.0.1:${index}`,
          reply: `250 2.0.0 ${index}`,
          durationMs: index,
        }) as unknown as LogFields,
    );

  it('does not depend on how many senders, peers and clients there are', async () => {
    const observe = countEvents(registry);
    for (const fields of stormOf(0)) observe('warn', fields, '');
    const before = (await series()).map(nameOf);
    for (let index = 1; index <= 10_000; index += 1) for (const fields of stormOf(index)) observe('warn', fields, '');
    const text = await registry.render();
    expect(seriesOf(text).map(nameOf)).toEqual(before);
    expect(text).not.toMatch(/sender-|recipient-|account-\d|client-\d|alert-\d|user-\d/);
    expect(text).toContain('postern_messages_total{account="other",outcome="relayed"} 10001');
  });

  it('is what configuration and list allow, at most', () => {
    for (const [name, { labels }] of Object.entries(METRICS)) {
      const closed = Object.values(labels).filter((values) => typeof values !== 'string');
      const most = closed.reduce((product, values) => product * values.length, 1);
      expect({ name, isBounded: most <= 200 }).toEqual({ name, isBounded: true });
    }
  });
});

const nameOf = (line: string): string => line.slice(0, line.lastIndexOf(' '));
