/** Whatever is observed in whatever order, with restarts in between: the operator hears of each change, of no change twice, and not too often. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Alert, Condition } from '../../src/core/alert.ts';
import { days, type DurationMs, type EpochMs, hours, minutes, plus } from '../../src/core/clock.ts';
import { problem } from '../../src/core/problem.ts';
import { CALM, cleared, isWorthKeeping, type LedgerEntry, MOST_CHANGES, REMIND_AFTER, seen } from '../../src/observability/alert-ledger.ts';

const START = Date.UTC(2026, 10, 23) as EpochMs;

const conditions: readonly Condition[] = [
  { account: 'billing', topic: 'tokens', event: 'reauth_required', problem: problem('TOKEN_REAUTH_REQUIRED') },
  { account: 'billing', topic: 'tokens', event: 'reauth_required', problem: problem('TOKEN_MISSING') },
  { account: 'billing', topic: 'tokens', event: 'account_misconfigured', problem: problem('TOKEN_MISCONFIGURED') },
  { account: 'billing', topic: 'tokens', event: 'secret_expiring', problem: problem('SECRET_ENDING'), mark: '14' },
  { account: 'billing', topic: 'tokens', event: 'secret_expiring', problem: problem('SECRET_ENDING'), mark: '7' },
];

const wait = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: minutes(10) }) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: hours(3) }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: days(3) }) },
);
const observation = fc.record({ what: fc.option(fc.integer({ min: 0, max: conditions.length - 1 })), wait, isRestart: fc.boolean() });

interface Told {
  readonly alert: Alert;
  /** Event, code and mark; `ok` for a recovery. */
  readonly what: string;
}

const nameOf = (condition: Condition | undefined): string =>
  condition === undefined ? 'ok' : [condition.event, condition.problem.code, condition.mark].join(' ');

/** What the file makes of an entry. */
function restarted(entry: LedgerEntry | undefined, now: EpochMs): LedgerEntry | undefined {
  if (entry === undefined || !isWorthKeeping(entry, now)) return undefined;
  return JSON.parse(JSON.stringify(entry)) as LedgerEntry;
}

function observe(observations: readonly { what: number | null; wait: number; isRestart: boolean }[]) {
  let entry: LedgerEntry | undefined;
  let now = START;
  let isKnown = 'ok';
  const told: Told[] = [];
  const keptBack: string[] = [];
  for (const { what, wait: pause, isRestart } of observations) {
    now = plus(now, pause as DurationMs);
    if (isRestart) entry = restarted(entry, now);
    const condition = what === null ? undefined : conditions[what];
    const step = condition === undefined ? cleared(entry, now, now) : seen(entry, condition, now);
    entry = step.entry;
    if (step.alert !== undefined) {
      isKnown = nameOf(condition);
      told.push({ alert: step.alert, what: isKnown });
    } else if (isKnown !== nameOf(condition)) {
      // A change may be kept back only by the limit for what changes to and fro.
      const recent = told.filter(({ alert }) => now - alert.at < days(1));
      const isJust = recent.length >= MOST_CHANGES && now - (told.at(-1)?.alert.at ?? 0) < CALM;
      if (!isJust) keptBack.push(nameOf(condition));
    }
  }
  return { told, keptBack };
}

it('tells each change once', () => {
  fc.assert(
    fc.property(fc.array(observation, { maxLength: 120 }), (observations) => {
      const { told, keptBack } = observe(observations);
      const wrong = told.filter(({ alert, what }, index) => {
        const before = told[index - 1];
        const isSame = what === (before?.what ?? 'ok');
        const isReminder = 'isReminder' in alert && alert.isReminder;
        return isReminder ? !isSame || alert.at - (before?.alert.at ?? 0) < REMIND_AFTER : isSame;
      });
      expect(wrong).toEqual([]);
      expect(keptBack).toEqual([]);
    }),
    { numRuns: 2000 },
  );
});

it('is never a storm', () => {
  fc.assert(
    fc.property(fc.array(observation, { minLength: 100, maxLength: 400 }), (observations) => {
      const { told } = observe(observations);
      for (const { alert } of told) {
        const inADay = told.filter((other) => other.alert.at > alert.at - days(1) && other.alert.at <= alert.at);
        expect(inADay.length).toBeLessThanOrEqual(MOST_CHANGES + days(1) / CALM);
      }
    }),
    { numRuns: 200 },
  );
});
