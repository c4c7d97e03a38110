/**
 * The last lines of the log, whatever became of it elsewhere.
 *
 * @packageDocumentation
 */

/** Levels that are kept. */
export const KEPT_LEVELS = ['info', 'warn', 'error'] as const;

/** One line. Known secrets are removed by value. */
export interface LogLine {
  /** Counted from 1 since the start. */
  readonly number: number;
  readonly at: string;
  readonly level: (typeof KEPT_LEVELS)[number];
  readonly message: string;
  /** As in the log. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Implementation: observability/log-desk.ts. */
export interface LogReader {
  /** Newest first: those of `level` and worse. */
  lines(level: (typeof KEPT_LEVELS)[number], limit: number): readonly LogLine[];
}
