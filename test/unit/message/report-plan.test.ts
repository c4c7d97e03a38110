import { describe, expect, it } from 'vitest';
import { days, hours, minutes, plus } from '../../../src/core/clock.ts';
import type { ForwardPath } from '../../../src/core/envelope.ts';
import type { RecipientStatus } from '../../../src/core/spool-entry.ts';
import { planReport, type ReportableAttempt, shouldReport } from '../../../src/message/report-plan.ts';
import { ACCEPTED_AT, BUSY, delivered, entryFor, expired, failed, NOT_FOUND, pending, POLICY } from '../../support/reports.ts';

const SOON = plus(ACCEPTED_AT, minutes(1));
const LATER = plus(ACCEPTED_AT, hours(4));
const A: ForwardPath = { address: 'a@example.test' };

const attempt = (
  forwardPaths: ForwardPath[],
  statuses: RecipientStatus[],
  changes: Partial<ReportableAttempt> = {},
): ReportableAttempt => ({
  entry: entryFor(forwardPaths),
  statuses,
  now: SOON,
  isDsnPassedOn: true,
  ...changes,
});

describe('who is told', () => {
  const NOTIFY: [ForwardPath['notify'], string][] = [
    [undefined, 'failure delay'],
    [['NEVER'], ''],
    [['FAILURE'], 'failure'],
    [['DELAY'], 'delay'],
    [['SUCCESS'], 'success'],
    [['SUCCESS', 'FAILURE'], 'failure success'],
    [['SUCCESS', 'FAILURE', 'DELAY'], 'failure delay success'],
  ];
  it.each(NOTIFY)('NOTIFY=%s: %s', (notify, expected) => {
    const about = { reversePath: 'x@y.test', ...(notify === undefined ? {} : { notify }) };
    const told = (['failure', 'delay', 'success'] as const).filter((kind) => shouldReport(about, kind, 'sender'));
    expect(told.join(' ')).toBe(expected);
    expect((['failure', 'delay', 'success'] as const).filter((kind) => shouldReport(about, kind, 'off'))).toEqual([]);
    for (const to of ['sender', 'operator'] as const) {
      expect((['failure', 'delay', 'success'] as const).some((kind) => shouldReport({ ...about, reversePath: '' }, kind, to))).toBe(false);
    }
  });
});

describe('a plan', () => {
  it('tells of a failure once, with the reply as it came', () => {
    const explain = (): string => 'No such mailbox.';
    const plan = planReport(attempt([A], [failed()], { remoteMta: 'smtp.test', explain }), POLICY);
    expect(plan).toEqual({
      statuses: [{ ...failed(), isReported: true }],
      report: {
        kind: 'failure',
        to: 'erp@contoso.test',
        isWhole: false,
        recipients: [
          {
            forwardPath: A,
            action: 'failed',
            reply: NOT_FOUND,
            remoteMta: 'smtp.test',
            lastAttemptAt: SOON,
            explanation: 'No such mailbox.',
          },
        ],
      },
    });
    expect(planReport(attempt([A], [...plan.statuses]), POLICY)).toEqual({ statuses: plan.statuses });
  });

  it('tells of mail that is given up, without naming a host that said nothing', () => {
    const nothing: RecipientStatus = { kind: 'expired', at: SOON, isReported: false };
    const plan = planReport(attempt([A, A], [expired(), nothing], { remoteMta: 'smtp.test', lastAttemptAt: ACCEPTED_AT }), POLICY);
    expect(plan.report?.recipients).toEqual([
      { forwardPath: A, action: 'failed', reply: BUSY, remoteMta: 'smtp.test', lastAttemptAt: ACCEPTED_AT },
      { forwardPath: A, action: 'failed', lastAttemptAt: ACCEPTED_AT },
    ]);
    expect(plan.statuses).toEqual([
      { ...expired(), isReported: true },
      { ...nothing, isReported: true },
    ]);
  });

  it.each<[string, ForwardPath['notify'], boolean]>([
    ['nobody who asked for none', ['NEVER'], false],
    ['those who asked for failures only', ['DELAY', 'SUCCESS'], false],
    ['those who asked', ['FAILURE'], true],
  ])('of a failure goes to %s (NOTIFY=%s): %s', (_, notify, isTold) => {
    const plan = planReport(attempt([{ ...A, ...(notify === undefined ? {} : { notify }) }], [failed()]), POLICY);
    expect(plan.report !== undefined).toBe(isTold);
    expect(plan.statuses).toEqual([{ ...failed(), isReported: isTold }]);
  });

  it('tells of a delay when it is due, once, and says until when', () => {
    expect(planReport(attempt([A], [pending()]), POLICY)).toEqual({ statuses: [pending()] });
    const plan = planReport(attempt([A], [pending()], { now: LATER }), POLICY);
    expect(plan).toEqual({
      statuses: [pending()],
      warnedAt: LATER,
      report: {
        kind: 'delay',
        to: 'erp@contoso.test',
        isWhole: false,
        recipients: [{ forwardPath: A, action: 'delayed', reply: BUSY, lastAttemptAt: LATER, willRetryUntil: plus(ACCEPTED_AT, days(5)) }],
      },
    });
    const warned = { ...entryFor([A]), warnedAt: LATER };
    expect(planReport(attempt([A], [pending()], { entry: warned, now: plus(LATER, hours(1)) }), POLICY).report).toBeUndefined();
  });

  it('tells of success where it was asked for and the upstream does not', () => {
    const asking: ForwardPath = { ...A, notify: ['SUCCESS'] };
    const plan = planReport(attempt([asking, A], [delivered(), delivered()], { isDsnPassedOn: false }), POLICY);
    expect(plan.report).toMatchObject({ kind: 'success', recipients: [{ forwardPath: asking, action: 'relayed' }] });
    expect(planReport(attempt([asking], [delivered()]), POLICY).report).toBeUndefined();
    const before = entryFor([asking], { statuses: [delivered()] });
    expect(planReport(attempt([asking], [delivered()], { entry: before, isDsnPassedOn: false }), POLICY).report).toBeUndefined();
  });

  it('puts all news of one attempt into one report, named after the gravest', () => {
    const paths: ForwardPath[] = [{ ...A, notify: ['SUCCESS'] }, A, A];
    const plan = planReport(attempt(paths, [delivered(), pending(), failed()], { now: LATER, isDsnPassedOn: false }), POLICY);
    expect(plan.report?.kind).toBe('failure');
    expect(plan.report?.recipients.map(({ action }) => action)).toEqual(['relayed', 'delayed', 'failed']);
    expect(plan.warnedAt).toBe(LATER);
  });

  it.each([
    ['failed', failed()],
    ['expired', expired()],
  ])('makes no bounce of a bounce (%s)', (_, status) => {
    const entry = entryFor([A], { reversePath: '' });
    for (const to of ['sender', 'operator'] as const) {
      expect(planReport(attempt([A], [status], { entry }), { ...POLICY, to })).toEqual({ statuses: [status] });
    }
  });

  it('goes to the operator in place of the reverse-path, or to nobody', () => {
    expect(planReport(attempt([A], [failed()]), { ...POLICY, to: 'operator' }).report?.to).toBe('billing@contoso.test');
    expect(planReport(attempt([A], [failed()]), { ...POLICY, to: 'off' })).toEqual({ statuses: [failed()] });
  });

  it.each([
    ['RET=FULL of a failure', 'FULL', 1000, [failed()], true],
    ['RET=FULL of a failure that is too large', 'FULL', 6_000_000, [failed()], false],
    ['RET=FULL of a delay', 'FULL', 1000, [pending()], false],
    ['RET=HDRS of a failure', 'HDRS', 1000, [failed()], false],
    ['a failure without RET', undefined, 1000, [failed()], false],
  ] as const)('returns the whole message for %s', (_, ret, size, statuses, isWhole) => {
    const parameters = { isSmtpUtf8: false, isRequireTls: false, ...(ret === undefined ? {} : { ret }) };
    const entry = entryFor([A], { parameters }, size);
    expect(planReport(attempt([A], [...statuses], { entry, now: LATER }), POLICY).report?.isWhole).toBe(isWhole);
  });
});
