import { describe, expect, it } from 'vitest';
import { days, type EpochMs, hours, minutes, type MonotonicMs, seconds } from '../../../src/core/clock.ts';
import { type RelayResult, type StagedReply, UpstreamError, type UpstreamStage } from '../../../src/core/ports/upstream.ts';
import { type ProblemCode, problem } from '../../../src/core/problem.ts';
import { reply } from '../../../src/core/reply.ts';
import { type AccountState, afterRepair, afterSuccess, afterTrouble, mayBegin, OPEN } from '../../../src/delivery/account-state.ts';
import { Calendar } from '../../../src/delivery/calendar.ts';
import { type AccountTrouble, judge } from '../../../src/delivery/outcome.ts';
import { LONGEST_WAIT, retryWait } from '../../../src/delivery/retry-schedule.ts';
import { classifyReply } from '../../../src/upstream/reply-table.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { replyOf } from '../../support/scripted-upstream.ts';

const staged = (stage: UpstreamStage, line: string): StagedReply => ({ stage, reply: replyOf(line) });
const result = (answers: RelayResult['answers'], failure?: UpstreamError): RelayResult => ({
  answers,
  isDsnPassedOn: true,
  ...(failure === undefined ? {} : { failure }),
});
const failed = (stage: UpstreamStage, code: ProblemCode, heals?: 'by-itself'): UpstreamError =>
  new UpstreamError(stage, problem(code, 'why', heals === undefined ? {} : { heals }), reply(451, '4.4.2', 'no'));
const judged = (answers: RelayResult['answers'], failure?: UpstreamError) => judge(result(answers, failure), classifyReply);

describe('an attempt is judged', () => {
  it.each<[string, UpstreamStage, string, string]>([
    ['250 2.0.0 OK', 'final-reply', 'delivered', 'works'],
    ['550 5.1.1 Unknown', 'rcpt', 'refused', 'works'],
    ['550 9.9.9 Whatever', 'rcpt', 'refused', 'works'],
    ['452 4.2.2 Mailbox full', 'rcpt', 'retry', 'works'],
    ['499 4.9.9 Whatever', 'final-reply', 'retry', 'works'],
    ['554 5.2.0 SubmissionQuotaExceededException', 'final-reply', 'waits', 'quota'],
    ['550 5.7.233 Tenant limit', 'final-reply', 'waits', 'quota'],
    ['550 5.1.8 bad outbound sender', 'final-reply', 'waits', 'hold'],
    ['554 5.2.2 mailbox full', 'final-reply', 'waits', 'hold'],
    ['550 5.7.708 Access denied', 'mail', 'waits', 'hold'],
    ['432 4.3.2 Concurrent connections limit exceeded', 'mail', 'waits', 'back-off'],
    ['421 4.3.2 Service not active', 'mail', 'waits', 'back-off'],
    ['451 4.7.650 Reputation', 'data', 'waits', 'back-off'],
  ])('%s at %s: %s, the account: %s', (line, stage, recipient, account) => {
    const { recipients, account: said, isAmbiguous } = judged([staged(stage, line)]);
    expect(recipients).toMatchObject([{ kind: recipient, reply: replyOf(line) }]);
    expect(said.kind === 'trouble' ? said.trouble.kind : said.kind).toBe(account);
    expect(isAmbiguous).toBe(false);
  });

  it.each<[UpstreamStage, ProblemCode, string, string]>([
    ['wait', 'UPSTREAM_BUSY', 'waits', 'unknown'],
    ['token', 'TOKEN_ENDPOINT_BUSY', 'waits', 'back-off'],
    ['token', 'TOKEN_REAUTH_REQUIRED', 'waits', 'hold'],
    ['connect', 'UPSTREAM_UNREACHABLE', 'waits', 'back-off'],
    ['starttls', 'UPSTREAM_TLS_FAILED', 'waits', 'hold'],
    ['auth', 'UPSTREAM_SMTP_AUTH_DISABLED', 'waits', 'hold'],
    ['mail', 'UPSTREAM_TIMEOUT', 'retry', 'back-off'],
    ['rcpt', 'UPSTREAM_LOST', 'retry', 'unknown'],
    ['content', 'UPSTREAM_LOST', 'retry', 'unknown'],
    ['final-reply', 'UPSTREAM_AMBIGUOUS', 'retry', 'unknown'],
    ['content', 'SUBMISSION_ABORTED', 'waits', 'unknown'],
  ])('a failure at %s (%s): %s, the account: %s', (stage, code, recipient, account) => {
    const { recipients, account: said, isAmbiguous } = judged([undefined], failed(stage, code));
    expect(recipients).toMatchObject([{ kind: recipient, problem: { code } }]);
    expect(said.kind === 'trouble' ? said.trouble.kind : said.kind).toBe(account);
    expect(isAmbiguous).toBe(stage === 'final-reply');
  });

  it('U06 recipient by recipient; what is said after somebody has got it is not about the account', () => {
    const { recipients, account } = judged([
      staged('final-reply', '250 2.0.0 OK'),
      staged('rcpt', '550 5.7.64 Relay Access Denied'),
      staged('rcpt', '550 5.1.1 Unknown'),
    ]);
    expect(recipients.map(({ kind }) => kind)).toEqual(['delivered', 'retry', 'refused']);
    expect(account).toEqual({ kind: 'works' });
  });

  it('keeps refusals where the rest is ambiguous; with nobody left, nothing is', () => {
    const lost = failed('final-reply', 'UPSTREAM_AMBIGUOUS');
    expect(judged([staged('rcpt', '550 5.1.1 Unknown'), undefined], lost)).toMatchObject({
      recipients: [{ kind: 'refused' }, { kind: 'retry' }],
      isAmbiguous: true,
    });
    expect(judged([staged('rcpt', '550 5.1.1 Unknown')], lost).isAmbiguous).toBe(false);
  });
});

describe('the state of an account', () => {
  const at = (moment: number): MonotonicMs => moment as MonotonicMs;
  const trouble = (kind: AccountTrouble['kind'], changes: Partial<AccountTrouble> = {}): AccountTrouble => ({
    kind,
    problem: problem('UPSTREAM_DEFERRED'),
    name: kind,
    ...changes,
  });
  const troubled = (state: AccountState, what: AccountTrouble, now: number, began = now) =>
    afterTrouble(state, what, { began: at(began), now: at(now) }, 0);

  it('backs off for longer and longer, up to a minute', () => {
    let state: AccountState = OPEN;
    const waits: number[] = [];
    let now = 0;
    for (let index = 0; index < 6; index += 1) {
      const next = troubled(state, trouble('back-off'), now);
      waits.push((next.until - now) / 1000);
      state = next;
      now = next.until;
    }
    expect(waits).toEqual([5, 10, 20, 40, 60, 60]);
  });

  it('lets one attempt begin once the time has come', () => {
    const state = troubled(OPEN, trouble('back-off'), 0);
    expect(mayBegin(OPEN, at(0))).toBe('all');
    expect(mayBegin(state, at(4_999))).toBe('none');
    expect(mayBegin(state, at(5_000))).toBe('one');
  });

  it('waits at least as long as the upstream asks', () => {
    expect(troubled(OPEN, trouble('back-off', { retryAfter: minutes(15) }), 0).until).toBe(minutes(15));
    expect(troubled(OPEN, trouble('quota', { retryAfter: hours(24) }), 0).until).toBe(hours(24));
  });

  it('counts the same trouble, met by several attempts under way, once', () => {
    const first = troubled(OPEN, trouble('back-off'), 1_000, 0);
    expect(troubled(first, trouble('back-off'), 1_200, 0)).toBe(first);
    expect(troubled(troubled(OPEN, trouble('hold'), 1_000, 0), trouble('back-off'), 1_200, 0)).toMatchObject({ kind: 'held' });
    expect(troubled(first, trouble('hold'), 1_200, 0)).toMatchObject({ kind: 'held' });
  });

  it('is not opened by an attempt that began before the trouble', () => {
    const state = troubled(OPEN, trouble('back-off', { retryAfter: minutes(15) }), 1_000);
    expect(afterSuccess(state, at(999))).toBe(state);
    expect(afterSuccess(state, at(1_000))).toEqual(OPEN);
  });

  it('becomes held by trouble that lasts, for the time or for the attempts that the table says', () => {
    const often = trouble('back-off', { escalates: { attempts: 3 } });
    let state: AccountState = OPEN;
    const kinds: string[] = [];
    for (let index = 0; index < 3; index += 1) {
      state = troubled(state, often, index * 100_000);
      kinds.push(state.kind);
    }
    expect(kinds).toEqual(['backing-off', 'backing-off', 'held']);
    const long = trouble('back-off', { escalates: { after: hours(6) } });
    expect(troubled(troubled(OPEN, long, 0), long, hours(5))).toMatchObject({ kind: 'backing-off', since: 0 });
    expect(troubled(troubled(OPEN, long, 0), long, hours(6))).toMatchObject({ kind: 'held' });
  });

  it('is looked at at once after a repair, but a quota is not cut short', () => {
    const held = troubled(OPEN, trouble('hold'), 0);
    expect(mayBegin(afterRepair(held, at(1)), at(1))).toBe('one');
    const quota = troubled(OPEN, trouble('quota'), 0);
    expect(afterRepair(quota, at(1))).toBe(quota);
    expect(afterRepair(OPEN, at(1))).toBe(OPEN);
  });
});

describe('waits between attempts', () => {
  it.each([
    [1, seconds(30)],
    [2, minutes(1)],
    [5, minutes(10)],
    [8, hours(1)],
    [500, hours(1)],
  ])('after failure %i: %i ms and up to a fifth more', (failures, wait) => {
    expect(retryWait(failures, 0)).toBe(wait);
    expect(retryWait(failures, 0.999)).toBeLessThan(wait * 1.2);
    expect(retryWait(failures, 0.999)).toBeLessThanOrEqual(LONGEST_WAIT);
  });

  it.each([0, -1, 1.5, Number.NaN])('are not defined after %d failures', (failures) => {
    expect(() => retryWait(failures, 0)).toThrow(RangeError);
  });
});

describe('the calendar', () => {
  it('goes on steadily whatever the wall clock does', async () => {
    const clock = new FakeClock();
    const calendar = new Calendar(clock);
    const begun = calendar.now();
    clock.jump(days(3650));
    await clock.advance(minutes(1));
    expect(calendar.now() - begun).toBe(minutes(1));
  });

  it('says the lesser age where the clocks differ, and none for what is in the future', async () => {
    const clock = new FakeClock();
    const calendar = new Calendar(clock);
    const begun = calendar.now();
    await clock.advance(hours(1));
    clock.jump(days(10));
    expect(calendar.age(begun)).toBe(hours(1));
    clock.jump(minutes(-10 * 24 * 60 - 30));
    expect(calendar.age(begun)).toBe(minutes(30));
    expect(calendar.age((begun + days(99)) as EpochMs)).toBe(hours(1));
  });
});
