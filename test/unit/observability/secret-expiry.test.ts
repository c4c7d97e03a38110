import { describe, expect, it } from 'vitest';
import { days, type EpochMs, hours, minutes, plus } from '../../../src/core/clock.ts';
import { ExpiryWatch, expiryCondition, type SecretEnd } from '../../../src/observability/secret-expiry.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { RecordedAlerts } from '../../support/recorded-alerts.ts';

const now = Date.UTC(2026, 10, 23) as EpochMs;
const end = (left: number, topic: SecretEnd['topic'] = 'client-secret'): SecretEnd => ({
  account: 'billing',
  topic,
  endsAt: plus(now, days(left)),
});

describe('a secret with days left', () => {
  it.each([
    [365, undefined, ''],
    [30.01, undefined, ''],
    [30, '30', 'ends on 2026-12-23, in 30 days'],
    [14.5, '30', 'in 15 days'],
    [14, '14', 'in 14 days'],
    [7, '7', 'in 7 days'],
    [1.5, '7', 'in 2 days'],
    [1, '1', 'in a day or less'],
    [0.2, '1', 'in a day or less'],
    [0, '1', 'ended on 2026-11-23'],
    [-100, '1', 'ended on 2026-08-15'],
  ])('%d: %s', (left, mark, cause) => {
    const condition = expiryCondition(end(left), now);
    expect(condition?.mark).toBe(mark);
    const expected = { event: 'secret_expiring', topic: 'client-secret', account: 'billing' };
    expect(condition ?? expected).toMatchObject(expected);
    expect(condition?.problem.cause ?? '').toContain(cause);
  });

  it.each(['client-secret', 'certificate', 'refresh-token'] as const)('%s: the remedy is a step', (topic) => {
    const { problem } = expiryCondition(end(5, topic), now) ?? {};
    expect(problem).toMatchObject({ code: 'SECRET_ENDING', heals: 'after-repair' });
    expect(problem?.remedy).toMatch(/clientSecret|certificate|postern login billing/);
    expect(problem?.remedy).not.toContain('ACCOUNT');
  });
});

describe('the watch', () => {
  function stage(endsAt: EpochMs) {
    const clock = new FakeClock(now);
    const alerts = new RecordedAlerts();
    let current = endsAt;
    const watch = new ExpiryWatch({ ends: async () => [{ account: 'billing', topic: 'certificate', endsAt: current }], alerts, clock });
    watch.start();
    return {
      clock,
      alerts,
      watch,
      renew: (moment: EpochMs) => {
        current = moment;
      },
    };
  }

  it('looks soon after the start, then now and then', async () => {
    const { clock, alerts } = stage(plus(now, days(20)));
    await clock.advance(minutes(1));
    expect(alerts.raised).toHaveLength(1);
    await clock.advance(days(20));
    expect(new Set(alerts.raised.map(({ mark }) => mark))).toEqual(new Set(['30', '14', '7', '1']));
  });

  it('tells each threshold within six hours', async () => {
    const { clock, alerts } = stage(plus(now, days(30)));
    await clock.advance(days(31));
    for (const [mark, left] of [
      ['14', 14],
      ['7', 7],
      ['1', 1],
    ] as const) {
      const first = alerts.raised.findIndex((condition) => condition.mark === mark);
      const moment = minutes(1) + first * hours(6);
      expect(moment).toBeGreaterThanOrEqual(days(30 - left));
      expect(moment).toBeLessThanOrEqual(days(30 - left) + hours(6));
    }
  });

  it('clears what was renewed', async () => {
    const { clock, alerts, renew } = stage(plus(now, days(5)));
    await clock.advance(minutes(1));
    renew(plus(now, days(365)));
    await clock.advance(hours(6));
    expect(alerts.raised).toHaveLength(1);
    expect(alerts.cleared).toEqual([{ account: 'billing', topic: 'certificate' }]);
  });

  it('ends', async () => {
    const { clock, alerts, watch } = stage(plus(now, days(5)));
    watch.close();
    await clock.advance(days(2));
    expect(alerts.raised).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });
});
