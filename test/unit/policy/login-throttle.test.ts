import { expect, test } from 'vitest';
import { hours, type MonotonicMs, minutes, plus, seconds } from '../../../src/core/clock.ts';
import { type IpAddress, parseIpAddress } from '../../../src/core/ip-network.ts';
import { LoginThrottle } from '../../../src/policy/login-throttle.ts';

const START = 1_000 as MonotonicMs;

function peer(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new Error(text);
  return address;
}

function failedTimes(count: number, from = '10.0.0.1', username = 'erp'): LoginThrottle {
  const throttle = new LoginThrottle();
  for (let index = 0; index < count; index += 1) throttle.noteFailure(peer(from), username, START);
  return throttle;
}

test('nine failures are free, then the penalty doubles up to a quarter of an hour', () => {
  const penalties = [9, 10, 11, 12, 30].map((count) => failedTimes(count).penalty(peer('10.0.0.1'), 'erp', START));
  expect(penalties).toEqual([0, seconds(30), seconds(60), seconds(120), minutes(15)]);
});

test('the penalty runs out', () => {
  const throttle = failedTimes(10);
  expect(throttle.penalty(peer('10.0.0.1'), 'erp', plus(START, seconds(29)))).toBe(seconds(1));
  expect(throttle.penalty(peer('10.0.0.1'), 'erp', plus(START, seconds(30)))).toBe(0);
});

test('neither another user name on the same machine nor another machine with the same user name is touched', () => {
  const throttle = failedTimes(30);
  expect(throttle.penalty(peer('10.0.0.1'), 'crm', START)).toBe(0);
  expect(throttle.penalty(peer('10.0.0.2'), 'erp', START)).toBe(0);
  expect(throttle.penalty(peer('::ffff:10.0.0.1'), 'erp', START)).toBeGreaterThan(0);
});

test('a /64 of IPv6 is one machine', () => {
  const throttle = failedTimes(10, '2001:db8:0:1::1');
  expect(throttle.penalty(peer('2001:db8:0:1:ffff::9'), 'erp', START)).toBe(seconds(30));
  expect(throttle.penalty(peer('2001:db8:0:2::1'), 'erp', START)).toBe(0);
});

test('a success, or an hour without failure, wipes the slate', () => {
  const throttle = failedTimes(12);
  throttle.noteSuccess(peer('10.0.0.1'), 'erp');
  expect(throttle.penalty(peer('10.0.0.1'), 'erp', START)).toBe(0);
  const other = failedTimes(12);
  const later = plus(plus(START, hours(1)), seconds(1));
  other.noteFailure(peer('10.0.0.1'), 'erp', later);
  expect(other.penalty(peer('10.0.0.1'), 'erp', later)).toBe(0);
});

test('a flood of user names takes bounded room and forgets the oldest first', () => {
  const throttle = failedTimes(12, '10.0.0.1', 'first');
  for (let index = 0; index < 10_000; index += 1) throttle.noteFailure(peer('10.0.0.1'), `user${index}`, START);
  expect(throttle.penalty(peer('10.0.0.1'), 'first', START)).toBe(0);
});
