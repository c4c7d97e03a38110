import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EpochMs, hours, milliseconds, minutes, type MonotonicMs, seconds } from '../../../src/core/clock.ts';
import { Calendar } from '../../../src/delivery/calendar.ts';
import { Pacer } from '../../../src/delivery/pacer.ts';
import { PaceWindows } from '../../../src/delivery/pace-windows.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryPaceStore } from '../../support/memory-pace-store.ts';

const START = Date.UTC(2026, 10, 23);
const moment = (passed: number) => ({ steady: (5_000 + passed) as MonotonicMs, calendar: (START + passed) as EpochMs });
const LIMITS = { messagesPerMinute: 30, recipientsPerDay: 100 };

describe('windows', () => {
  it('never let more through than the provider allows in any minute or any 24 hours, and always let something through in the end', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 80 });
    fc.assert(
      fc.property(sizes, (messages) => {
        const windows = new PaceWindows([], START as EpochMs);
        const sent: { at: number; recipients: number }[] = [];
        let now = 0;
        for (const recipients of messages) {
          for (
            let wait = windows.waitFor(recipients, LIMITS, moment(now));
            wait > 0;
            wait = windows.waitFor(recipients, LIMITS, moment(now))
          )
            now += wait;
          windows.add(recipients, moment(now));
          sent.push({ at: now, recipients });
        }
        for (const { at } of sent) {
          expect(sent.filter((one) => one.at <= at && one.at > at - minutes(1)).length).toBeLessThanOrEqual(30);
          const day = sent.filter((one) => one.at <= at && one.at > at - hours(24));
          expect(day.reduce((sum, one) => sum + one.recipients, 0)).toBeLessThanOrEqual(100);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('let a message to more recipients than a day allows go when it is alone', () => {
    const windows = new PaceWindows([], START as EpochMs);
    expect(windows.waitFor(500, LIMITS, moment(0))).toBe(0);
    windows.add(500, moment(0));
    expect(windows.waitFor(1, LIMITS, moment(0))).toBeGreaterThan(hours(23));
    expect(windows.waitFor(1, LIMITS, moment(hours(24.2)))).toBe(0);
  });

  it('take back what did not go', () => {
    const windows = new PaceWindows([], START as EpochMs);
    for (let index = 0; index < 30; index += 1) windows.add(3, moment(0));
    expect(windows.waitFor(20, LIMITS, moment(0))).toBeGreaterThan(minutes(1));
    for (let index = 0; index < 30; index += 1) windows.remove(3, moment(0));
    expect(windows.waitFor(100, LIMITS, moment(0))).toBe(0);
    expect(windows.buckets(START as EpochMs)).toEqual([]);
  });

  it('count what an earlier process sent, and what a wrong clock put into the future as of now', () => {
    const buckets = [
      { from: (START - hours(25)) as EpochMs, recipients: 1_000 },
      { from: (START - hours(2)) as EpochMs, recipients: 40 },
      { from: (START + hours(9_999)) as EpochMs, recipients: 60 },
    ];
    const windows = new PaceWindows(buckets, START as EpochMs);
    expect(windows.waitFor(1, LIMITS, moment(0))).toBeGreaterThan(hours(21));
    expect(windows.waitFor(1, LIMITS, moment(hours(23)))).toBe(0);
    expect(windows.waitFor(100, LIMITS, moment(hours(25)))).toBe(0);
  });
});

describe('the pacer', () => {
  const account = testAccount({ provider: testProvider({ limits: { ...testProvider().limits, recipientsPerDay: 10 } }) });
  const open = async (store = new MemoryPaceStore(), clock = new FakeClock(START)) => {
    const log = new MemoryLog();
    return { clock, store, log, pacer: await Pacer.open({ store, clock, calendar: new Calendar(clock), log }) };
  };

  it('writes the count of the day down some seconds after it changed, once for many changes', async () => {
    const { pacer, clock, store } = await open();
    for (let index = 0; index < 5; index += 1) pacer.count(account, 1);
    expect(store.saves).toBe(0);
    await clock.advance(seconds(5));
    expect(store.saves).toBe(1);
    await clock.advance(hours(1));
    expect(store.saves).toBe(1);
    expect([...store.saved.values()].flat().reduce((sum, { recipients }) => sum + recipients, 0)).toBe(5);
  });

  it('writes at its end what it has not written', async () => {
    const { pacer, store } = await open();
    pacer.count(account, 10);
    await pacer.close();
    const next = await open(store);
    expect(next.pacer.waitFor(account, 1)).toBeGreaterThan(hours(23));
  });

  it('counts accounts apart', async () => {
    const { pacer } = await open();
    pacer.count(account, 10);
    expect(pacer.waitFor(testAccount({ name: 'other' }), 1)).toBe(0);
  });

  it('corrects a count once', async () => {
    const { pacer } = await open();
    const counted = pacer.count(account, 10);
    counted.correct({ messages: 1, recipients: 4 });
    counted.correct({ messages: 0, recipients: 0 });
    expect(pacer.waitFor(account, 6)).toBe(0);
    expect(pacer.waitFor(account, 7)).toBeGreaterThan(0);
  });

  it('goes on without its store, and says so once', async () => {
    const store = new MemoryPaceStore();
    store.isBroken = true;
    const { pacer, clock, log } = await open(store);
    expect(log.of('pace-unknown')).toHaveLength(1);
    for (let index = 0; index < 3; index += 1) {
      pacer.count(account, 1);
      await clock.advance(seconds(6));
    }
    expect(log.of('pace-unsaved')).toHaveLength(1);
    store.isBroken = false;
    pacer.count(account, 1);
    await clock.advance(milliseconds(6_000));
    expect([...store.saved.keys()]).toEqual(['billing']);
  });
});
