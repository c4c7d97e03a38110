/**
 * What the ways to sign in have in common: for whom, with what, and what comes of it.
 *
 * @packageDocumentation
 */
import type { Account, RefreshTokenAuth } from '../../core/account.ts';
import { type DurationMs, type EpochMs, minutes } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Redactor } from '../../core/ports/log.ts';
import type { Random } from '../../core/ports/random.ts';
import type { TokenStore } from '../../core/ports/token-store.ts';
import { type Problem, ProblemError, problem } from '../../core/problem.ts';
import type { TokenHttp } from '../token-http.ts';

/** An account that a person can sign in to. */
export type SignInAccount = Account & { readonly auth: RefreshTokenAuth };

/** What signing in needs. */
export interface SignInDependencies {
  readonly http: Pick<TokenHttp, 'request'>;
  readonly store: TokenStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly redactor: Redactor;
}

/** Somebody has signed in, and what they brought is on disk. */
export interface SignedIn {
  /** Who it was, one of the account's addresses; undefined where the provider does not say. */
  readonly user: string | undefined;
  /** Of the access token that came with it. */
  readonly expiresAt: EpochMs;
  readonly generation: number;
}

/** Long enough for a second factor, short enough that a forgotten one is not left open (RFC 6749 §4.1.2: codes live ten minutes at most). */
export const SIGN_IN_LIMIT: DurationMs = minutes(10);

/** @throws ProblemError `SIGN_IN_UNAVAILABLE` where the account has another grant. */
export function signInAccount(account: Account): SignInAccount {
  const { auth, name } = account;
  if (auth.grant === 'refresh_token') return { ...account, auth };
  throw unavailable(`account ${name} has grant ${auth.grant}: nobody signs in for it`);
}

export function unavailable(cause: string, remedy?: string): ProblemError {
  return new ProblemError(problem('SIGN_IN_UNAVAILABLE', cause, remedy === undefined ? {} : { remedy }));
}

/** Nobody came in time. */
export function expired(limit: DurationMs): Problem {
  return problem('SIGN_IN_EXPIRED', `nobody completed the sign-in within ${Math.round(limit / 60_000)} minutes; nothing was stored`);
}
