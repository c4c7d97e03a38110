/** Batches, bounds and tries of the exporter, with a collector that does as it is told. */
import { beforeEach, describe, expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import type { Span } from '../../../src/observability/span.ts';
import { type Export, SpanExporter } from '../../../src/observability/span-exporter.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const TAKEN: Export = { kind: 'taken' };
const LATER: Export = { kind: 'later', cause: 'collector.test answered HTTP 503' };

let clock: FakeClock;
let log: MemoryLog;
let batches: string[][];
let answers: (Export | Promise<Export>)[];
let counts: Record<string, number>;
let exporter: SpanExporter;
let cut: () => void;

beforeEach(() => {
  clock = new FakeClock();
  log = new MemoryLog();
  [batches, answers, counts, cut] = [[], [], { exported: 0, dropped: 0 }, () => undefined];
  exporter = new SpanExporter({
    clock,
    log,
    metrics: {
      add: (_name, labels, by = 1) => {
        const { result } = labels as unknown as { result: string };
        counts[result] = (counts[result] ?? 0) + by;
      },
    },
    sink: {
      send: async (spans) => {
        batches.push(spans.map(({ name }) => name));
        return answers.shift() ?? TAKEN;
      },
      close: async () => cut(),
    },
  });
});

function add(count: number, from = 0): void {
  for (let index = from; index < from + count; index += 1) {
    const moment = clock.now();
    const span: Span = { traceId: '', spanId: '', name: `${index}`, kind: 'client', begin: moment, end: moment, attributes: {} };
    exporter.add(span);
  }
}

const sizes = (): number[] => batches.map(({ length }) => length);

describe('the exporter', () => {
  it('sends what came within five seconds together', async () => {
    add(3);
    await clock.advance(seconds(4));
    expect(sizes()).toEqual([]);
    await clock.advance(seconds(1));
    expect(sizes()).toEqual([3]);
    expect(counts).toEqual({ exported: 3, dropped: 0 });
    expect(clock.pendingTimers).toBe(0);
    add(1);
    await clock.advance(seconds(5));
    expect(sizes()).toEqual([3, 1]);
  });

  it('sends a full batch at once, and the rest of many', async () => {
    add(1_100);
    await clock.advance(seconds(0));
    expect(sizes()).toEqual([512, 512]);
    await clock.advance(seconds(5));
    expect(sizes()).toEqual([512, 512, 76]);
  });

  it('holds 2,048 and drops what comes beyond, while a request is under way', async () => {
    let answer: (outcome: Export) => void = () => undefined;
    answers = [new Promise<Export>((resolve) => (answer = resolve))];
    add(5_000);
    await clock.advance(seconds(60));
    expect(sizes()).toEqual([512]);
    expect(counts).toEqual({ exported: 0, dropped: 5_000 - 512 - 2_048 });
    answer(LATER);
    await clock.advance(seconds(0));
    expect(counts).toEqual({ exported: 0, dropped: 5_000 - 2_048 });
    await clock.advance(seconds(60));
    expect(counts['exported']).toBe(2_048);
    expect(batches[1]).toEqual(batches[0]);
  });

  it('tries again later and later, says so once, and once that it is over', async () => {
    answers = [LATER, LATER, LATER];
    add(1);
    await clock.advance(seconds(5));
    await clock.advance(seconds(5));
    expect(sizes()).toEqual([1, 1]);
    await clock.advance(seconds(10));
    expect(sizes()).toEqual([1, 1, 1]);
    await clock.advance(seconds(20));
    expect(counts).toEqual({ exported: 1, dropped: 0 });
    expect(log.lines.map(({ event }) => event)).toEqual(['traces-not-exported', 'traces-exported']);
    expect(log.lines[0]?.problem?.code).toBe('TRACES_NOT_EXPORTED');
  });

  it('waits as long as it is asked to, a minute at the most', async () => {
    answers = [
      { ...LATER, after: seconds(30) },
      { ...LATER, after: seconds(86_400) },
    ] as Export[];
    add(1);
    await clock.advance(seconds(5));
    await clock.advance(seconds(29));
    expect(sizes()).toEqual([1]);
    await clock.advance(seconds(1));
    expect(sizes()).toEqual([1, 1]);
    await clock.advance(seconds(60));
    expect(counts['exported']).toBe(1);
  });

  it('does not offer again what was refused', async () => {
    answers = [{ kind: 'refused', cause: 'collector.test answered HTTP 400' }];
    add(2);
    await clock.advance(seconds(120));
    expect(sizes()).toEqual([2]);
    expect(counts).toEqual({ exported: 0, dropped: 2 });
  });

  it('sends what waits before it closes, and takes nothing after', async () => {
    add(700);
    await exporter.close(seconds(1));
    expect(counts).toEqual({ exported: 700, dropped: 0 });
    add(1);
    expect(counts).toEqual({ exported: 700, dropped: 1 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('closes in time where the collector does not answer, and counts what is lost', async () => {
    answers = [new Promise<Export>((resolve) => (cut = () => resolve(LATER)))];
    add(10);
    const closed = exporter.close(seconds(1));
    await clock.advance(seconds(1));
    await closed;
    expect(counts).toEqual({ exported: 0, dropped: 10 });
    expect(clock.pendingTimers).toBe(0);
  });
});
