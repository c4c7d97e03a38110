/**
 * Why the content of a message cannot be read to its end.
 *
 * Thrown through `Content.chunks`, so that the delivery cuts the upstream off without a final dot; the listener catches it again.
 *
 * @packageDocumentation
 */
import { type Problem, ProblemError } from '../core/problem.ts';
import type { Reply } from '../core/reply.ts';

export class SubmissionError extends ProblemError {
  override readonly name = 'SubmissionError';
  /** What to tell the application; undefined where it has vanished. */
  readonly reply: Reply | undefined;

  constructor(what: Problem, answer: Reply | undefined, options?: ErrorOptions) {
    super(what, options);
    this.reply = answer;
  }
}
