import { describe, expect, it } from 'vitest';
import type { Alert, Condition } from '../../../src/core/alert.ts';
import { days, type DurationMs, type EpochMs, hours, minutes, plus } from '../../../src/core/clock.ts';
import { problem } from '../../../src/core/problem.ts';
import { cleared, isWorthKeeping, type LedgerEntry, MOST_CHANGES, seen } from '../../../src/observability/alert-ledger.ts';

const START = Date.UTC(2026, 10, 23) as EpochMs;

const reauth: Condition = {
  account: 'billing',
  topic: 'tokens',
  event: 'reauth_required',
  problem: problem('TOKEN_REAUTH_REQUIRED', 'AADSTS50173'),
};
const missing: Condition = { ...reauth, problem: problem('TOKEN_MISSING') };
const misconfigured: Condition = { ...reauth, event: 'account_misconfigured', problem: problem('TOKEN_MISCONFIGURED') };
const expiring = (mark: string): Condition => ({
  account: 'billing',
  topic: 'client-secret',
  event: 'secret_expiring',
  problem: problem('SECRET_ENDING'),
  mark,
});

/** A condition, or `ok`; and how long after the one before. */
type Observation = readonly [Condition | 'ok', DurationMs?];

/** What is told: event, `+` for a reminder. */
function tell(observations: readonly Observation[]): string[] {
  return run(observations).map((alert) => `${alert.event}${'isReminder' in alert && alert.isReminder ? '+' : ''}`);
}

function run(observations: readonly Observation[]): Alert[] {
  let entry: LedgerEntry | undefined;
  let now = START;
  const alerts: Alert[] = [];
  for (const [observed, wait = minutes(1)] of observations) {
    now = plus(now, wait);
    const step = observed === 'ok' ? cleared(entry, now, now) : seen(entry, observed, now);
    entry = step.entry;
    if (step.alert !== undefined) alerts.push(step.alert);
  }
  return alerts;
}

const times = (count: number, ...observations: Observation[]): Observation[] => Array.from({ length: count }, () => observations).flat();

describe('the ledger tells', () => {
  const rows: readonly (readonly [string, readonly Observation[], readonly string[]])[] = [
    ['nothing while all is well', times(50, ['ok']), []],
    ['trouble once, however often it is seen', times(50, [reauth]), ['reauth_required']],
    ['recovery once', [[reauth], ...times(50, ['ok'])], ['reauth_required', 'recovered']],
    ['trouble that came back', [[reauth], ['ok'], [reauth]], ['reauth_required', 'recovered', 'reauth_required']],
    [
      'another event of the topic, without a recovery',
      [[reauth], [misconfigured], ['ok']],
      ['reauth_required', 'account_misconfigured', 'recovered'],
    ],
    ['another problem of the same event', [[reauth], [missing], [missing]], ['reauth_required', 'reauth_required']],
    ['no reminder within a day', [[reauth], ...times(23, [reauth, hours(1)])], ['reauth_required']],
    ['a reminder after a day', [[reauth], ...times(25, [reauth, hours(1)])], ['reauth_required', 'reauth_required+']],
    [
      'one reminder a day',
      [[reauth], ...times(72, [reauth, hours(1)])],
      ['reauth_required', ...times(3, [reauth]).map(() => 'reauth_required+')],
    ],
    [
      'each threshold of a secret once, and no reminder',
      ['30', '30', '14', '7', '7', '1'].map((mark) => [expiring(mark), days(2)]),
      ['secret_expiring', 'secret_expiring', 'secret_expiring', 'secret_expiring'],
    ],
    [
      'a secret that was replaced',
      [[expiring('7')], ['ok', days(3)], [expiring('30'), days(300)]],
      ['secret_expiring', 'recovered', 'secret_expiring'],
    ],
  ];
  it.each(rows)('%s', (_name, observations, expected) => {
    expect(tell(observations)).toEqual(expected);
  });

  it('with a recovery what it was and since when', () => {
    const alerts = run([[reauth], [missing, hours(2)], ['ok', hours(1)]]);
    expect(alerts.at(-1)).toEqual({
      event: 'recovered',
      account: 'billing',
      topic: 'tokens',
      at: START + minutes(1) + hours(3),
      was: { event: 'reauth_required', code: 'TOKEN_MISSING', since: START + minutes(1) },
    });
  });
});

describe('a topic that changes to and fro', () => {
  it(`is told ${MOST_CHANGES} times in a day, then once an hour`, () => {
    expect(tell(times(200, [reauth, minutes(0)], ['ok', minutes(0)]))).toHaveLength(MOST_CHANGES);
    const hourly = run(times(60, [reauth], ['ok']));
    expect(hourly.length).toBeGreaterThan(MOST_CHANGES);
    const pauses = hourly.slice(MOST_CHANGES).map((alert, index) => alert.at - (hourly[MOST_CHANGES + index - 1]?.at ?? 0));
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(hours(1));
  });

  it('ends with what is so', () => {
    const flapping = times(20, [reauth], ['ok']);
    expect(tell([...flapping, ...times(70, ['ok'])]).at(-1)).toBe('recovered');
    expect(tell([...flapping, ...times(70, [reauth])]).at(-1)).toBe('reauth_required');
  });
});

describe('proof of recovery', () => {
  const { entry } = seen(undefined, reauth, START);

  it('from before the trouble proves nothing', () => {
    expect(cleared(entry, plus(START, minutes(-10)), plus(START, minutes(5)))).toEqual({ entry });
  });

  it('from after it counts', () => {
    expect(cleared(entry, plus(START, minutes(1)), plus(START, minutes(5))).alert).toMatchObject({ event: 'recovered' });
  });
});

describe('a wall clock that was set back by ten years', () => {
  const later = plus(START, days(3650));
  const { entry } = seen(undefined, reauth, later);

  it('repeats nothing at once, and reminds after a day', () => {
    const again = seen(entry, reauth, START);
    expect(again.alert).toBeUndefined();
    expect(seen(again.entry, reauth, plus(START, days(1))).alert).toMatchObject({ isReminder: true });
  });

  it('does not keep a recovery back', () => {
    expect(cleared(entry, START, START).alert).toMatchObject({ event: 'recovered' });
  });
});

describe('an entry is forgotten', () => {
  const trouble = seen(undefined, reauth, START).entry;
  const fine = cleared(trouble, START, START).entry;
  it.each([
    ['trouble, after two months', trouble, days(59), days(60)],
    ['recovery, after a day', fine, hours(23), hours(24)],
  ])('%s', (_name, entry, kept, forgotten) => {
    if (entry === undefined) throw new Error('no entry');
    expect(isWorthKeeping(entry, plus(START, kept))).toBe(true);
    expect(isWorthKeeping(entry, plus(START, forgotten))).toBe(false);
  });
});
