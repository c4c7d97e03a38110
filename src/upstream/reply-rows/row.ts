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
import type { Escalation, ReplyScope, ReplyVerdict } from '../../core/reply-meaning.ts';

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
  readonly escalates?: Escalation;
}

/** The stages at which a message is judged. */
export const TRANSACTION: readonly UpstreamStage[] = ['mail', 'rcpt', 'data', 'content', 'final-reply'];
