/**
 * What a token endpoint can be asked and what it can answer, as values.
 *
 * Pure. The manager knows this contract alone; how a grant asks (a form over HTTPS, a metadata service, a command) is behind it.
 *
 * @packageDocumentation
 */
import type { Account, AuthSettings } from '../core/account.ts';
import type { DurationMs } from '../core/clock.ts';
import type { Problem } from '../core/problem.ts';

/** Asks for an access token. */
export interface TokenRequest {
  readonly account: Account;
  /** The newest of its line; present where the account's grant uses one. */
  readonly refreshToken?: string;
}

/** Tokens as they came, checked by {@link ./token-response.ts}. */
export interface GrantedTokens {
  readonly kind: 'granted';
  readonly accessToken: string;
  /** From the moment of the answer. Positive. */
  readonly expiresIn: DurationMs;
  /** Present where the endpoint sent one: it takes the place of the one that was used. */
  readonly refreshToken?: string;
  /** Present where somebody signed in and the scope `openid` was asked for. Not verified. */
  readonly idToken?: string;
}

/** The endpoint understood and said no (RFC 6749 §5.2, with the fields that Entra adds). */
export interface TokenRefusal {
  readonly kind: 'refused';
  /** Where nobody can sign in again; absent for a refresh token. */
  readonly grant?: Exclude<AuthSettings['grant'], 'refresh_token'>;
  readonly httpStatus: number;
  readonly error: string;
  readonly suberror?: string;
  /** AADSTS numbers. */
  readonly errorCodes: readonly number[];
  /** One clean line, without the secrets of the request. It may name a person. */
  readonly description?: string;
  readonly traceId?: string;
  readonly correlationId?: string;
  readonly retryAfter?: DurationMs;
}

/** Every answer that is not tokens. `cause` is one line with host and reason. */
export type TokenFailure =
  | TokenRefusal
  /** DNS, connect, TLS, reset, timeout. `remedy` where something better than waiting is known. */
  | { readonly kind: 'unreachable'; readonly cause: string; readonly remedy?: string }
  /** 429 or 5xx. */
  | { readonly kind: 'busy'; readonly cause: string; readonly retryAfter?: DurationMs }
  /** Not a token response. A refresh token that came with it must be kept: the one that was used may be dead. */
  | { readonly kind: 'nonsense'; readonly cause: string; readonly retryAfter?: DurationMs; readonly refreshToken?: string }
  /** Explained where it arose: settings, a file, a program. Whether the problem heals by itself decides about the next try. */
  | { readonly kind: 'problem'; readonly problem: Problem };

export type TokenAnswer = GrantedTokens | TokenFailure;

/** Implementations: token/token-router.ts, which knows the others; test/support/scripted-token-endpoint.ts. */
export interface TokenEndpoint {
  /** Ask once; no retry. Answers within 30 s. Never throws for what a network or server can do. */
  request(request: TokenRequest): Promise<TokenAnswer>;
  /** Ends requests in progress and idle connections. */
  close(): Promise<void>;
}
