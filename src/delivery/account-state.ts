/**
 * Whether an account may submit now, and how that changes.
 *
 * Pure. delivery/lane.ts drives it, with moments of the monotonic clock.
 *
 * Invariants:
 * 1. While `open`, everything that is due may go. In every other state nothing goes before `until`, and then a single attempt, which shows whether
 *    the trouble is over.
 * 2. What an attempt says counts only if it began after the trouble was last seen: one that was under way already proves nothing.
 * 3. `since` is when the trouble began, and stays while one trouble follows another.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, hours, milliseconds, minutes, type MonotonicMs, plus, seconds } from '../core/clock.ts';
import type { Problem } from '../core/problem.ts';
import type { AccountTrouble } from './outcome.ts';

/** `backing-off` passes by itself; `held` waits for somebody to act; `quota` for a window of the provider. */
export interface TroubledState {
  readonly kind: 'backing-off' | 'held' | 'quota';
  readonly problem: Problem;
  /** Of the trouble. */
  readonly name: string;
  readonly since: MonotonicMs;
  /** When it was last seen. */
  readonly seenAt: MonotonicMs;
  /** How often in a row, under this name. */
  readonly tries: number;
  readonly until: MonotonicMs;
}

export type AccountState = { readonly kind: 'open' } | TroubledState;

export const isTroubled = (state: AccountState): state is TroubledState => state.kind !== 'open';

export const OPEN: AccountState = { kind: 'open' };

const FIRST_WAIT = seconds(5);
const LONGEST_WAIT = minutes(1);
/** How often a held account is tried: somebody may have repaired it at the provider, which nothing here can see. */
const PROBE_EVERY = minutes(5);
const QUOTA_WAIT = hours(1);
const JITTER = 0.2;

/** How many attempts may begin now. */
export function mayBegin(state: AccountState, now: MonotonicMs): 'all' | 'one' | 'none' {
  if (state.kind === 'open') return 'all';
  return now >= state.until ? 'one' : 'none';
}

/** An attempt that began at `began` met trouble. @param random - In [0, 1). */
export function afterTrouble(
  state: AccountState,
  trouble: AccountTrouble,
  moments: { readonly began: MonotonicMs; readonly now: MonotonicMs },
  random: number,
): TroubledState {
  const { began, now } = moments;
  const before = state.kind === 'open' ? undefined : state;
  const isSame = before?.name === trouble.name;
  // Several attempts under way meet the same trouble; it is one.
  if (before !== undefined && began < before.seenAt && (isSame || before.kind !== 'backing-off')) return before;
  const since = before?.since ?? now;
  const tries = isSame ? before.tries + 1 : 1;
  const kind = kindOf(trouble, tries, between(since, now));
  const wait = waitOf(kind, tries) * (1 + JITTER * random);
  const until = plus(now, milliseconds(Math.max(wait, trouble.retryAfter ?? 0)));
  return { kind, problem: trouble.problem, name: trouble.name, since, seenAt: now, tries, until };
}

/** An attempt that began at `began` showed that the account works. */
export function afterSuccess(state: AccountState, began: MonotonicMs): AccountState {
  return state.kind === 'open' || began >= state.seenAt ? OPEN : state;
}

/** Something says that the trouble may be over: look at once. A window of the provider is not shortened. */
export function afterRepair(state: AccountState, now: MonotonicMs): AccountState {
  return state.kind === 'open' || state.kind === 'quota' || state.until <= now ? state : { ...state, until: now };
}

function kindOf({ kind, escalates }: AccountTrouble, tries: number, lasted: DurationMs): TroubledState['kind'] {
  if (kind !== 'back-off') return kind === 'hold' ? 'held' : 'quota';
  if (escalates === undefined) return 'backing-off';
  const isGrave = 'attempts' in escalates ? tries >= escalates.attempts : lasted >= escalates.after;
  return isGrave ? 'held' : 'backing-off';
}

function waitOf(kind: TroubledState['kind'], tries: number): number {
  if (kind === 'held') return PROBE_EVERY;
  return kind === 'quota' ? QUOTA_WAIT : Math.min(FIRST_WAIT * 2 ** Math.min(tries - 1, 10), LONGEST_WAIT);
}
