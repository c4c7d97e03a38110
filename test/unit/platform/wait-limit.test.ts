import { beforeEach, expect, test } from 'vitest';
import { minutes, seconds } from '../../../src/core/clock.ts';
import { WaitLimit } from '../../../src/platform/wait-limit.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let clock: FakeClock;
let limit: WaitLimit;
let expired: string[];

beforeEach(() => {
  clock = new FakeClock();
  limit = new WaitLimit(clock);
  expired = [];
});

const wait = (name: string, time = seconds(60)): void => limit.begin(time, () => expired.push(name));

test('a wait that ends in time costs nothing later', async () => {
  wait('a');
  await clock.advance(seconds(59));
  limit.end();
  await clock.advance(minutes(10));
  expect(expired).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});

test('the last wait counts, each from its own beginning', async () => {
  wait('a');
  await clock.advance(seconds(40));
  wait('b');
  await clock.advance(seconds(59));
  expect(expired).toEqual([]);
  await clock.advance(seconds(1));
  expect(expired).toEqual(['b']);
});

test('a shorter wait behind a longer one ends in its own time', async () => {
  wait('long', minutes(10));
  limit.end();
  await clock.advance(seconds(1));
  wait('short', seconds(5));
  await clock.advance(seconds(4));
  expect(expired).toEqual([]);
  await clock.advance(seconds(1));
  expect(expired).toEqual(['short']);
});

test('a thousand waits have one timer', async () => {
  for (let count = 0; count < 1_000; count += 1) {
    wait('x');
    limit.end();
  }
  wait('last');
  expect(clock.pendingTimers).toBe(1);
  await clock.advance(seconds(60));
  expect(expired).toEqual(['last']);
});

test('once it is stopped nothing expires, and no timer is left', async () => {
  wait('a');
  limit.stop();
  expect(clock.pendingTimers).toBe(0);
  await clock.advance(minutes(10));
  expect(expired).toEqual([]);
});
