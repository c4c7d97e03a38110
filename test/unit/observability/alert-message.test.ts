import { describe, expect, it } from 'vitest';
import type { RecoveryAlert, TroubleAlert } from '../../../src/core/alert.ts';
import { days, type EpochMs, hours, minutes, plus } from '../../../src/core/clock.ts';
import { problem } from '../../../src/core/problem.ts';
import { alertBody, describeLength } from '../../../src/observability/alert-message.ts';

const at = Date.UTC(2026, 10, 23, 12) as EpochMs;
const origin = { host: 'relay-1', version: '1.2.3' };

const trouble = (cause?: string): TroubleAlert => ({
  event: 'account_blocked',
  account: 'billing',
  topic: 'upstream',
  at,
  problem: problem('UPSTREAM_BLOCKED', cause),
  isReminder: false,
});

const recovery: RecoveryAlert = {
  event: 'recovered',
  account: 'billing',
  topic: 'tokens',
  at,
  was: { event: 'reauth_required', code: 'TOKEN_REAUTH_REQUIRED', since: plus(at, hours(-3)) },
};

const bodyOf = (alert: TroubleAlert | RecoveryAlert): Record<string, unknown> =>
  JSON.parse(alertBody(alert, 'id-1', origin)) as Record<string, unknown>;

describe('what a webhook gets', () => {
  it('of trouble', () => {
    const what = problem('UPSTREAM_BLOCKED', '550 5.1.8 Access denied');
    expect(bodyOf(trouble(what.cause))).toEqual({
      id: 'id-1',
      event: 'account_blocked',
      account: 'billing',
      topic: 'upstream',
      at: '2026-11-23T12:00:00.000Z',
      host: 'relay-1',
      version: '1.2.3',
      isReminder: false,
      problem: { ...what, remedy: what.remedy },
      text: expect.stringContaining(
        'Postern on relay-1: account billing: account_blocked. [UPSTREAM_BLOCKED] 550 5.1.8 Access denied',
      ) as string,
    });
  });

  it('of a recovery', () => {
    expect(bodyOf(recovery)).toEqual({
      id: 'id-1',
      event: 'recovered',
      account: 'billing',
      topic: 'tokens',
      at: '2026-11-23T12:00:00.000Z',
      host: 'relay-1',
      version: '1.2.3',
      was: { event: 'reauth_required', code: 'TOKEN_REAUTH_REQUIRED', since: '2026-11-23T09:00:00.000Z' },
      text: 'Postern on relay-1: account billing recovered. reauth_required (TOKEN_REAUTH_REQUIRED) is over after 3 h.',
    });
  });

  it('calls nobody and links nowhere, whatever a server said', () => {
    expect(bodyOf(trouble('550 <!channel> <https://evil.test|click>'))['text']).not.toMatch(/[<>]/);
  });

  it('stays small and on one line', () => {
    const body = alertBody(trouble(`${'x'.repeat(100_000)}\r\n\u2028y`), 'id-1', { host: 'h'.repeat(10_000), version: '1' });
    expect(body.length).toBeLessThan(4096);
    expect(JSON.parse(body)).toMatchObject({ problem: { cause: 'x'.repeat(450) } });
  });

  it('has a time, even where the clock has gone mad', () => {
    expect(bodyOf({ ...trouble(), at: -1e20 as EpochMs })['at']).toBe('1970-01-01T00:00:00.000Z');
    expect(bodyOf({ ...trouble(), at: 1e20 as EpochMs })['at']).toMatch(/^\+275760/);
  });
});

describe('a length of time', () => {
  it.each([
    [minutes(-5), '0 min'],
    [minutes(12), '12 min'],
    [minutes(119), '119 min'],
    [hours(5), '5 h'],
    [hours(47), '47 h'],
    [days(3), '3 d'],
  ])('%d is %s', (length, text) => {
    expect(describeLength(length)).toBe(text);
  });
});
