/** A clock whose time can be over. */
import { describe, expect, it } from 'vitest';
import { EndableClock } from '../../../src/app/endable-clock.ts';
import { between, days, minutes } from '../../../src/core/clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('EndableClock', () => {
  it('is like the one it is made of, until it ends', async () => {
    const fake = new FakeClock();
    const clock = new EndableClock(fake);
    const fired: string[] = [];
    clock.startTimer(minutes(1), () => fired.push('one'));
    clock.startTimer(minutes(1), () => fired.push('cancelled')).cancel();
    await fake.advance(minutes(2));
    expect(fired).toEqual(['one']);
    expect([clock.now(), clock.monotonic()]).toEqual([fake.now(), fake.monotonic()]);
  });

  it('fires every timer once when it ends, and has every deadline behind it', async () => {
    const fake = new FakeClock();
    const clock = new EndableClock(fake);
    const fired: string[] = [];
    const before = clock.monotonic();
    clock.startTimer(minutes(10), () => fired.push('pending'));
    clock.startTimer(minutes(10), () => fired.push('cancelled')).cancel();
    clock.end();
    expect(fired).toEqual(['pending']);
    expect(between(before, clock.monotonic())).toBe(days(1));
    clock.startTimer(minutes(10), () => fired.push('late'));
    await fake.advance(minutes(30));
    expect(fired).toEqual(['pending', 'late']);
    expect(fake.pendingTimers).toBe(0);
  });
});
