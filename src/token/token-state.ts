/**
 * The state of one account's tokens, and how it changes.
 *
 * Pure: no clock, no timer, no I/O, no secret but the access token itself. account-tokens.ts drives it.
 *
 * Invariants:
 * 1. `generation` never shrinks. It grows with every token obtained and with every change of the account or its secrets.
 * 2. A refresh remembers the generation it began with. Its outcome counts only while the state is still `refreshing` with that generation
 *    ({@link granted} and {@link failed} change nothing otherwise), so a slow refresh of older settings cannot undo a change.
 * 3. A held token that lives is usable in every state but one: it is dropped when an upstream has refused it or when the account's identity changed.
 *    No error of the token endpoint takes it away.
 * 4. `retryAt` is the earliest moment of the next request; until then callers get the trouble's problem at once. It lies on the monotonic clock, so
 *    that a jump of the wall clock neither stalls nor storms.
 * 5. An account is called bad (`reauth-required`, `misconfigured`) only by a certain verdict of the provider. Network trouble, 429 and 5xx lead to
 *    `backing-off`, and leave an account that was bad as it was.
 *
 * @packageDocumentation
 */
import { type DurationMs, type EpochMs, hours, minutes, type MonotonicMs, milliseconds, plus, seconds } from '../core/clock.ts';
import type { AccessToken } from '../core/ports/token-source.ts';
import type { Problem } from '../core/problem.ts';

/** The present on both clocks. */
export interface Moment {
  readonly wall: EpochMs;
  readonly steady: MonotonicMs;
}

/** An access token and when to think of the next one. */
export interface HeldToken {
  readonly token: AccessToken;
  readonly obtainedAt: EpochMs;
  /** The end of its life by the clock that does not jump; the token's own `expiresAt` counts as well, since this clock may sleep with the machine. */
  readonly livesUntil: MonotonicMs;
  readonly refreshAt: MonotonicMs;
}

/** What keeps an account from getting tokens. */
export interface Trouble {
  readonly kind: 'backing-off' | 'reauth-required' | 'misconfigured';
  readonly problem: Problem;
  /** Tries in a row that ended in this kind. */
  readonly tries: number;
  /** The grant was refused before; an unexplained `invalid_grant` counts now. */
  readonly isDoubted: boolean;
}

interface Common {
  readonly generation: number;
  readonly held?: HeldToken;
}

/** Nothing is known, or what was known is void: ask at the next use. */
export interface Empty extends Common {
  readonly kind: 'empty';
}

/** The last try succeeded. */
export interface Active extends Common {
  readonly kind: 'active';
  readonly held: HeldToken;
}

/** A try is in progress. `trouble` is what the tries before it met. */
export interface Refreshing extends Common {
  readonly kind: 'refreshing';
  readonly trouble?: Trouble;
}

/** The last try failed. */
export interface Troubled extends Common {
  readonly kind: Trouble['kind'];
  readonly trouble: Trouble;
  readonly retryAt: MonotonicMs;
}

export type TokenState = Empty | Active | Refreshing | Troubled;

/** What a failed try means. */
export type Verdict =
  /** Passes by itself. `retryAfter` is what the endpoint asked for. */
  | { readonly kind: 'unreachable' | 'busy' | 'store'; readonly problem: Problem; readonly retryAfter?: DurationMs }
  | { readonly kind: 'loop'; readonly problem: Problem; readonly retryAfter?: DurationMs }
  /** An `invalid_grant` without explanation: counts as `refused` when it comes again. */
  | { readonly kind: 'doubtful'; readonly problem: Problem; readonly retryAfter?: DurationMs }
  | { readonly kind: 'refused'; readonly problem: Problem; readonly retryAfter?: DurationMs }
  | { readonly kind: 'misconfigured'; readonly problem: Problem; readonly retryAfter?: DurationMs };

export const INITIAL_STATE: TokenState = { kind: 'empty', generation: 0 };

/** A token with less life left would expire on its way. */
const LEEWAY = seconds(10);
const EARLIEST = minutes(5);
const EARLY_SHARE = 0.1;
/** Tokens that live for seconds must not keep the endpoint busy when nobody uses them. */
const SHORTEST_REFRESH = seconds(30);
const LONGEST_WAIT = hours(1);

/** First wait and longest wait after each verdict; it doubles in between. */
const PACE: Readonly<Record<Verdict['kind'], { readonly first: DurationMs; readonly longest: DurationMs }>> = {
  unreachable: { first: seconds(1), longest: minutes(1) },
  store: { first: seconds(1), longest: minutes(1) },
  busy: { first: seconds(5), longest: minutes(5) },
  doubtful: { first: minutes(1), longest: minutes(1) },
  refused: { first: minutes(1), longest: LONGEST_WAIT },
  loop: { first: minutes(5), longest: LONGEST_WAIT },
  misconfigured: { first: LONGEST_WAIT, longest: LONGEST_WAIT },
};
/** Share of a wait that chance may add; nothing ever comes sooner than the table says. */
const JITTER = 0.25;

/**
 * Schedule a token.
 *
 * @param since - When it was asked for: its life is counted from there, to be on the safe side.
 * @param random - In [0, 1): accounts that started together do not refresh together.
 */
export function holdToken(token: AccessToken, since: Moment, lifetime: DurationMs, random: number): HeldToken {
  const early = Math.max(EARLIEST, lifetime * EARLY_SHARE) * (1 + random / 2);
  const wait = Math.max(lifetime - Math.min(early, lifetime / 2), SHORTEST_REFRESH);
  return {
    token,
    obtainedAt: since.wall,
    livesUntil: plus(since.steady, lifetime),
    refreshAt: plus(since.steady, milliseconds(wait)),
  };
}

/** True while a held token can be used. */
export function isLiving(held: HeldToken | undefined, now: Moment): held is HeldToken {
  return held !== undefined && now.steady + LEEWAY < held.livesUntil && now.wall + LEEWAY < held.token.expiresAt;
}

/** What a caller who wants a token should do. */
export type Advice =
  /** `isDue`: also start a refresh, without waiting for it. */
  | { readonly kind: 'use'; readonly token: AccessToken; readonly isDue: boolean }
  | { readonly kind: 'join' }
  | { readonly kind: 'start' }
  | { readonly kind: 'fail'; readonly problem: Problem };

/** Advise a caller. */
export function advise(state: TokenState, now: Moment): Advice {
  const next = wakeAt(state);
  const isDue = state.kind !== 'refreshing' && (next === undefined || now.steady >= next);
  if (isLiving(state.held, now)) return { kind: 'use', token: state.held.token, isDue };
  if (state.kind === 'refreshing') return { kind: 'join' };
  if ('trouble' in state && !isDue) return { kind: 'fail', problem: state.trouble.problem };
  return { kind: 'start' };
}

/** When to act without being asked; undefined where an outcome or a caller comes first. */
export function wakeAt(state: TokenState): MonotonicMs | undefined {
  if (state.kind === 'active') return state.held.refreshAt;
  return 'retryAt' in state ? state.retryAt : undefined;
}

/** What the state has to complain about, if anything. */
export function troubleOf(state: TokenState): Trouble | undefined {
  return 'trouble' in state ? state.trouble : undefined;
}

/** True where waiting may not be enough and a person may help by signing in again. */
export function isUpToPerson(state: TokenState): boolean {
  return state.kind === 'reauth-required' || state.kind === 'misconfigured' || (state.kind === 'backing-off' && state.trouble.isDoubted);
}

/** A try begins. */
export function started(state: TokenState): TokenState {
  const trouble = troubleOf(state);
  return { kind: 'refreshing', ...common(state), ...(trouble === undefined ? {} : { trouble }) };
}

/** The try of generation `attempt` brought a token, whose generation becomes the state's. */
export function granted(state: TokenState, attempt: number, held: HeldToken): TokenState {
  if (!isAwaited(state, attempt)) return state;
  return { kind: 'active', generation: Math.max(state.generation, held.token.generation), held };
}

/** The try of generation `attempt` failed. */
export function failed(state: TokenState, attempt: number, verdict: Verdict, now: Moment, random: number): TokenState {
  if (!isAwaited(state, attempt)) return state;
  const trouble = troubleAfter(troubleOf(state), verdict);
  const retryAt = plus(now.steady, waitAfter(trouble, verdict, random));
  return { ...common(state), kind: trouble.kind, trouble, retryAt };
}

/** The account or its secrets changed: no trouble is known about the new ones. */
export function changed(state: TokenState, change: { readonly keepsToken: boolean }): TokenState {
  const generation = state.generation + 1;
  const held = change.keepsToken ? state.held : undefined;
  return held === undefined ? { kind: 'empty', generation } : { kind: 'active', generation, held };
}

/** An upstream refused `token`. A newer one stays. */
export function refusedUpstream(state: TokenState, token: AccessToken): TokenState {
  if (state.held === undefined || state.held.token.generation > token.generation) return state;
  const { held: _held, ...rest } = state;
  return rest.kind === 'active' ? { kind: 'empty', generation: rest.generation } : rest;
}

/** Invariant 2. */
export function isAwaited(state: TokenState, attempt: number): state is Refreshing {
  return state.kind === 'refreshing' && state.generation === attempt;
}

function common(state: TokenState): Common {
  return { generation: state.generation, ...(state.held === undefined ? {} : { held: state.held }) };
}

function troubleAfter(before: Trouble | undefined, verdict: Verdict): Trouble {
  const kind = kindAfter(before, verdict);
  const tries = before?.kind === kind ? before.tries + 1 : 1;
  const isDoubted = before?.isDoubted === true || verdict.kind === 'doubtful' || verdict.kind === 'refused';
  // An account that is bad stays so for the reason that made it so; that the network fails now is not the news.
  const isNews = kind === 'backing-off' || (verdict.kind !== 'unreachable' && verdict.kind !== 'busy');
  return { kind, problem: isNews || before === undefined ? verdict.problem : before.problem, tries, isDoubted };
}

function kindAfter(before: Trouble | undefined, verdict: Verdict): Trouble['kind'] {
  const isRefused = verdict.kind === 'refused' || (verdict.kind === 'doubtful' && before?.isDoubted === true);
  if (isRefused) return 'reauth-required';
  if (verdict.kind === 'misconfigured') return 'misconfigured';
  return before?.kind ?? 'backing-off'; // Invariant 5.
}

/** The slower of the two paces where an account that is bad meets other trouble. */
function waitAfter(trouble: Trouble, verdict: Verdict, random: number): DurationMs {
  const own = step(verdict.kind, trouble.tries);
  const bad = trouble.kind === 'backing-off' ? 0 : step(trouble.kind === 'misconfigured' ? 'misconfigured' : 'refused', trouble.tries);
  const asked = Math.min(verdict.retryAfter ?? 0, LONGEST_WAIT);
  return milliseconds(Math.max(own, bad, asked) * (1 + JITTER * random));
}

function step(kind: Verdict['kind'], tries: number): number {
  const { first, longest } = PACE[kind];
  return Math.min(first * 2 ** Math.min(tries - 1, 20), longest);
}
