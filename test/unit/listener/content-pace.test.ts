import { expect, it } from 'vitest';
import type { MonotonicMs } from '../../../src/core/clock.ts';
import { ContentPace } from '../../../src/listener/content-pace.ts';

const at = (seconds: number): MonotonicMs => (seconds * 1000) as MonotonicMs;

/** `octets` each second for so long; when it was found too slow, in seconds. */
function tooSlowAt(octets: number, length: number): number | undefined {
  const pace = new ContentPace();
  pace.wait(at(0));
  for (let second = 1; second <= length; second += 1) {
    pace.come(octets, at(second));
    pace.wait(at(second));
    if (pace.isTooSlow(at(second))) return second;
  }
  return undefined;
}

it.each([
  [1, 180],
  [499, 180],
  [501, undefined],
])('R03 %i octets a second: %s', (octets, when) => {
  expect(tooSlowAt(octets, 1000)).toBe(when);
});

it('R03 a burst at the beginning buys no time beyond its own three minutes', () => {
  const pace = new ContentPace();
  pace.wait(at(0));
  pace.come(1_000_000, at(1));
  pace.wait(at(1));
  expect(pace.isTooSlow(at(181))).toBe(false);
  expect(pace.isTooSlow(at(400))).toBe(true);
});

it('time in which the delivery holds the client back does not count', () => {
  const pace = new ContentPace();
  pace.wait(at(0));
  pace.come(10, at(1));
  expect(pace.isTooSlow(at(10_000))).toBe(false);
  pace.wait(at(10_000));
  expect(pace.isTooSlow(at(10_100))).toBe(false);
  expect(pace.isTooSlow(at(10_200))).toBe(true);
});

it('begins anew with each message', () => {
  const pace = new ContentPace();
  pace.wait(at(0));
  expect(pace.isTooSlow(at(200))).toBe(true);
  pace.end();
  expect(pace.isTooSlow(at(10_000))).toBe(false);
  pace.wait(at(10_000));
  expect(pace.isTooSlow(at(10_179))).toBe(false);
});
