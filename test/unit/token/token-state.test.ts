import { describe, expect, it } from 'vitest';
import { type DurationMs, type EpochMs, hours, milliseconds, minutes, type MonotonicMs, seconds } from '../../../src/core/clock.ts';
import { problem } from '../../../src/core/problem.ts';
import {
  advise,
  changed,
  failed,
  granted,
  holdToken,
  INITIAL_STATE,
  isLiving,
  type Moment,
  refusedUpstream,
  started,
  type TokenState,
  troubleOf,
  type Verdict,
  wakeAt,
} from '../../../src/token/token-state.ts';

const at = (afterMs: number): Moment => ({ wall: (1_000_000_000_000 + afterMs) as EpochMs, steady: (5_000 + afterMs) as MonotonicMs });
const hold = (generation: number, lifetime: DurationMs = hours(1), since = at(0), random = 0) =>
  holdToken({ value: `access-${generation}`, expiresAt: (since.wall + lifetime) as EpochMs, generation }, since, lifetime, random);

const verdict = (kind: Verdict['kind'], retryAfter?: DurationMs): Verdict => ({
  kind,
  problem: problem(kind === 'refused' || kind === 'doubtful' ? 'TOKEN_REAUTH_REQUIRED' : 'TOKEN_ENDPOINT_BUSY', `verdict ${kind}`),
  ...(retryAfter === undefined ? {} : { retryAfter }),
});

/** The state after tries that ended so, each begun when the one before allowed it. */
function after(verdicts: readonly Verdict[], from: TokenState = INITIAL_STATE, random = 0): TokenState {
  let state = from;
  for (const each of verdicts) {
    const now = at((wakeAt(state) ?? at(0).steady) - at(0).steady);
    state = failed(started(state), state.generation, each, now, random);
  }
  return state;
}

const waitOf = (before: TokenState, state: TokenState): number => (wakeAt(state) ?? 0) - (wakeAt(before) ?? at(0).steady);
const active = granted(started(INITIAL_STATE), 0, hold(1));

describe('a held token', () => {
  it('is renewed between 6 and 9 minutes before the end of an hour', () => {
    expect(hold(1, hours(1), at(0), 0).refreshAt).toBe(at(hours(1) - minutes(6)).steady);
    expect(hold(1, hours(1), at(0), 0.999).refreshAt).toBeGreaterThan(at(hours(1) - minutes(9.01)).steady);
  });

  it('of 24 hours is renewed a tenth before its end', () => {
    expect(hold(1, hours(24)).refreshAt).toBe(at(hours(21.6)).steady);
  });

  it('of five minutes is renewed at half its life, and one of seconds not at once', () => {
    expect(hold(1, minutes(5)).refreshAt).toBe(at(minutes(2.5)).steady);
    expect(hold(1, seconds(5)).refreshAt).toBe(at(seconds(30)).steady);
  });

  it('lives until ten seconds before its end', () => {
    expect(isLiving(hold(1), at(hours(1) - 10_001))).toBe(true);
    expect(isLiving(hold(1), at(hours(1) - 10_000))).toBe(false);
  });

  it('is dead when either clock says so', () => {
    const { wall, steady } = at(minutes(1));
    expect(isLiving(hold(1), { wall: (wall + hours(2)) as EpochMs, steady })).toBe(false); // The machine slept.
    expect(isLiving(hold(1), { wall: (wall - hours(10)) as EpochMs, steady: at(hours(2)).steady })).toBe(false); // The clock was set back.
  });
});

describe('advice to a caller', () => {
  const problemIn = (state: TokenState) => troubleOf(state)?.problem;
  const troubled = after([verdict('unreachable')]);
  const troubledHolding = failed(started(active), 1, verdict('misconfigured'), at(hours(0.95)), 0);
  it.each<[string, TokenState, Moment, unknown]>([
    ['empty: start', INITIAL_STATE, at(0), { kind: 'start' }],
    ['active: use', active, at(1), { kind: 'use', token: hold(1).token, isDue: false }],
    ['active, renewal due: use and start', active, at(minutes(55)), { kind: 'use', token: hold(1).token, isDue: true }],
    ['active, expired: start', active, at(hours(1)), { kind: 'start' }],
    ['refreshing without a living token: join', started(INITIAL_STATE), at(0), { kind: 'join' }],
    ['refreshing with one: use', started(active), at(minutes(55)), { kind: 'use', token: hold(1).token, isDue: false }],
    ['refreshing with an expired one: join', started(active), at(hours(1)), { kind: 'join' }],
    ['backing off: fail at once', troubled, at(999), { kind: 'fail', problem: problemIn(troubled) }],
    ['backing off, time has come: start', troubled, at(1000), { kind: 'start' }],
    ['misconfigured with a living token: use', troubledHolding, at(hours(0.96)), { kind: 'use', token: hold(1).token, isDue: false }],
    ['misconfigured without: fail', troubledHolding, at(hours(1)), { kind: 'fail', problem: problemIn(troubledHolding) }],
  ])('%s', (_what, state, now, expected) => {
    expect(advise(state, now)).toEqual(expected);
  });
});

describe('after failures', () => {
  it.each<[string, Verdict[], TokenState['kind'], number]>([
    ['network once', [verdict('unreachable')], 'backing-off', seconds(1)],
    ['network twice', [verdict('unreachable'), verdict('unreachable')], 'backing-off', seconds(2)],
    ['network for ever', Array.from({ length: 500 }, () => verdict('unreachable')), 'backing-off', minutes(1)],
    ['busy', [verdict('busy')], 'backing-off', seconds(5)],
    ['busy for ever', Array.from({ length: 500 }, () => verdict('busy')), 'backing-off', minutes(5)],
    ['busy, asked to wait', [verdict('busy', seconds(77))], 'backing-off', seconds(77)],
    ['busy, asked to wait less than we would', [verdict('busy', seconds(1))], 'backing-off', seconds(5)],
    ['busy, asked to wait a day', [verdict('busy', hours(24))], 'backing-off', hours(1)],
    ['store', [verdict('store')], 'backing-off', seconds(1)],
    ['loop', [verdict('loop')], 'backing-off', minutes(5)],
    ['loop again', [verdict('loop'), verdict('loop')], 'backing-off', minutes(10)],
    ['doubtful once', [verdict('doubtful')], 'backing-off', minutes(1)],
    ['doubtful twice', [verdict('doubtful'), verdict('doubtful')], 'reauth-required', minutes(1)],
    ['doubtful, network, doubtful', [verdict('doubtful'), verdict('unreachable'), verdict('doubtful')], 'reauth-required', minutes(1)],
    ['refused', [verdict('refused')], 'reauth-required', minutes(1)],
    ['refused four times', Array.from({ length: 4 }, () => verdict('refused')), 'reauth-required', minutes(8)],
    ['refused for ever', Array.from({ length: 50 }, () => verdict('refused')), 'reauth-required', hours(1)],
    ['misconfigured', [verdict('misconfigured')], 'misconfigured', hours(1)],
    ['refused, then network', [verdict('refused'), verdict('unreachable')], 'reauth-required', minutes(2)],
    ['misconfigured, then busy', [verdict('misconfigured'), verdict('busy')], 'misconfigured', hours(1)],
    ['misconfigured, then refused', [verdict('misconfigured'), verdict('refused')], 'reauth-required', minutes(1)],
  ])('%s', (_what, verdicts, kind, wait) => {
    const state = after(verdicts);
    expect(state.kind).toBe(kind);
    expect(waitOf(after(verdicts.slice(0, -1)), state)).toBe(wait);
  });

  it('chance adds up to a quarter to a wait and takes nothing away', () => {
    expect(waitOf(INITIAL_STATE, after([verdict('refused')], INITIAL_STATE, 0.999))).toBeGreaterThan(seconds(74));
    expect(waitOf(INITIAL_STATE, after([verdict('refused')], INITIAL_STATE, 0.999))).toBeLessThanOrEqual(seconds(75));
  });

  it('an account that needs a new sign-in keeps saying so while the network is down', () => {
    const state = after([verdict('refused'), verdict('unreachable')]);
    expect(troubleOf(state)?.problem.cause).toBe('verdict refused');
  });

  it.each(['unreachable', 'busy', 'store', 'loop', 'doubtful', 'refused', 'misconfigured'] as const)('keeps a held token (%s)', (kind) => {
    expect(failed(started(active), 1, verdict(kind), at(0), 0).held).toEqual(hold(1));
  });

  it('a token ends all trouble', () => {
    const state = granted(started(after([verdict('doubtful'), verdict('doubtful')])), 0, hold(1));
    expect(state).toEqual({ kind: 'active', generation: 1, held: hold(1) });
    expect(after([verdict('doubtful')], state).kind).toBe('backing-off');
  });
});

describe('the generation fence', () => {
  const overtaken = changed(started(active), { keepsToken: false });
  it('every change and every token makes the generation grow', () => {
    expect(active.generation).toBe(1);
    expect(overtaken.generation).toBe(2);
    expect(granted(started(overtaken), 2, hold(3)).generation).toBe(3);
  });

  it('throws away what an older try brings', () => {
    expect(granted(overtaken, 1, hold(2))).toBe(overtaken);
    expect(failed(overtaken, 1, verdict('refused'), at(0), 0)).toBe(overtaken);
    const refreshing = started(overtaken);
    expect(granted(refreshing, 1, hold(2))).toBe(refreshing);
    expect(failed(refreshing, 1, verdict('refused'), at(0), 0)).toBe(refreshing);
  });

  it('never shrinks, even where a token claims an old generation', () => {
    expect(granted(started(overtaken), 2, hold(1)).generation).toBe(2);
  });

  it('a change clears trouble; a secret alone leaves the token', () => {
    const bad = failed(started(active), 1, verdict('misconfigured'), at(0), 0);
    expect(changed(bad, { keepsToken: true })).toEqual({ kind: 'active', generation: 2, held: hold(1) });
    expect(changed(bad, { keepsToken: false })).toEqual({ kind: 'empty', generation: 2 });
  });
});

describe('a token that the upstream refused', () => {
  it('is dropped', () => {
    expect(refusedUpstream(active, hold(1).token)).toEqual({ kind: 'empty', generation: 1 });
    expect(refusedUpstream(started(active), hold(1).token)).toEqual({ kind: 'refreshing', generation: 1 });
    expect(refusedUpstream(failed(started(active), 1, verdict('busy'), at(0), 0), hold(1).token)).not.toHaveProperty('held');
  });

  it('does not take a newer one with it', () => {
    const newer = granted(started(active), 1, hold(2));
    expect(refusedUpstream(newer, hold(1).token)).toBe(newer);
  });
});

describe('waking', () => {
  it('comes by itself in every state that needs it', () => {
    expect(wakeAt(INITIAL_STATE)).toBeUndefined();
    expect(wakeAt(started(INITIAL_STATE))).toBeUndefined();
    expect(wakeAt(active)).toBe(hold(1).refreshAt);
    expect(wakeAt(after([verdict('refused')]))).toBe(at(milliseconds(60_000)).steady);
  });
});
