/**
 * The form of a row of the reply table.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../../core/clock.ts';
import type { UpstreamStage } from '../../core/ports/upstream.ts';
import type { ProblemCode } from '../../core/problem.ts';

/**
 * What to do about a reply. `transient`: try again later. `permanent`: not with this message. `auth`: another token may help, once.
 * `config` and `blocked`: the mail waits and the operator acts. `quota`: wait for the window, although the reply may be 5yz.
 */
export type ReplyVerdict = 'transient' | 'permanent' | 'auth' | 'config' | 'blocked' | 'quota';

/** What else the reply holds for: other messages of the account, other accounts of the tenant. */
export type ReplyScope = 'message' | 'account' | 'tenant';

/** One row. Every condition that is given must hold. */
export interface ReplyRow {
  /** Stable; for log lines and tests. */
  readonly name: string;
  /** Undefined: any. */
  readonly stages?: readonly UpstreamStage[];
  readonly codes?: readonly number[];
  /** Whole enhanced codes. */
  readonly enhanced?: RegExp;
  /** Somewhere in the text, without regard to case. Linear: no nested repetition. */
  readonly text?: RegExp;
  readonly verdict: ReplyVerdict;
  readonly scope: ReplyScope;
  readonly problem: ProblemCode;
  /** One sentence: what happened. */
  readonly cause: string;
  /** In place of the remedy of the problem's code. */
  readonly remedy?: string;
  /** Earliest moment at which another attempt makes sense. */
  readonly retryAfter?: DurationMs;
  /** Looks transient and may be permanent: after this many attempts, or this long, it is for the operator. */
  readonly escalates?: { readonly attempts: number } | { readonly after: DurationMs };
}

/** The stages at which a message is judged. */
export const TRANSACTION: readonly UpstreamStage[] = ['mail', 'rcpt', 'data', 'content', 'final-reply'];
