/**
 * What an upstream's reply means for the message, the account and the operator, as a value.
 *
 * Pure. The table that gives it is upstream/reply-table.ts.
 *
 * @packageDocumentation
 */
import type { DurationMs } from './clock.ts';
import type { Problem } from './problem.ts';

/**
 * What to do about a reply. `transient`: try again later. `permanent`: not with this message. `auth`: another token may help, once.
 * `config` and `blocked`: the mail waits and the operator acts. `quota`: wait for the window, although the reply may be 5yz.
 */
export type ReplyVerdict = 'transient' | 'permanent' | 'auth' | 'config' | 'blocked' | 'quota';

/** What else the reply holds for: other messages of the account, other accounts of the tenant. */
export type ReplyScope = 'message' | 'account' | 'tenant';

/** Looks transient and may be permanent: after this many attempts, or this long, it is for the operator. */
export type Escalation = { readonly attempts: number } | { readonly after: DurationMs };

/** A reply, understood. */
export interface ReplyMeaning {
  /** Of the table; `by-class` where no row knows the reply. */
  readonly row: string;
  readonly verdict: ReplyVerdict;
  readonly scope: ReplyScope;
  readonly problem: Problem;
  /** Earliest moment at which another attempt makes sense. */
  readonly retryAfter?: DurationMs;
  readonly escalates?: Escalation;
}
