import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MonotonicMs } from '../../../src/core/clock.ts';
import { MessageRate } from '../../../src/policy/rate.ts';

const at = (milliseconds: number): MonotonicMs => milliseconds as MonotonicMs;

test('a burst of one minute passes, then one message per interval', () => {
  const rate = new MessageRate();
  for (let count = 0; count < 60; count += 1) expect(rate.take('erp', 60, at(0))).toBe(0);
  expect(rate.take('erp', 60, at(0))).toBe(1000);
  expect(rate.take('erp', 60, at(400))).toBe(600);
  expect(rate.take('erp', 60, at(1000))).toBe(0);
  expect(rate.take('erp', 60, at(1000))).toBe(1000);
});

test('clients do not share a bucket', () => {
  const rate = new MessageRate();
  expect(rate.take('one', 1, at(0))).toBe(0);
  expect(rate.take('one', 1, at(0))).toBe(60_000);
  expect(rate.take('other', 1, at(0))).toBe(0);
});

test('in no minute do more than twice the pace pass, and waiting as told is always enough', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), fc.array(fc.nat({ max: 20_000 }), { maxLength: 300 }), (pace, gaps) => {
      const rate = new MessageRate();
      const passed: number[] = [];
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        const wait = rate.take('erp', pace, at(now));
        if (wait > 0) now += wait;
        expect(wait > 0 ? rate.take('erp', pace, at(now)) : wait).toBe(0);
        passed.push(now);
      }
      for (const start of passed)
        expect(passed.filter((moment) => moment >= start && moment < start + 60_000).length).toBeLessThanOrEqual(2 * pace);
    }),
    { numRuns: 100 },
  );
});
