/**
 * Looking over the shoulder of one client, account or message, while the relay runs.
 *
 * A trace hears everything that the log says about its subject, at all levels, the redacted dialogues included, whatever `log.level` is. What it has heard
 * is kept in memory, a bounded amount of it, until the trace is removed or the process ends. Known secrets are removed by value.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../clock.ts';

/** What is traced. */
export interface TraceSubject {
  /** `message`: a queue id. */
  readonly kind: 'client' | 'account' | 'message';
  readonly name: string;
}

/** One trace. */
export interface TraceView {
  readonly id: string;
  readonly subject: TraceSubject;
  readonly startedAt: string;
  /** When it stops to listen; what it has heard stays. */
  readonly endsAt: string;
  readonly isListening: boolean;
  /** Lines heard so far, and how many of them are no longer kept. */
  readonly heard: number;
  readonly dropped: number;
}

/** One line. */
export interface TraceLine {
  /** Counted from 1, in the order in which they were heard; those that are missing are no longer kept. */
  readonly number: number;
  readonly at: string;
  readonly level: string;
  readonly message: string;
  /** As in the log. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Lines of a trace, with how it is. */
export interface TraceReading {
  readonly trace: TraceView;
  readonly lines: readonly TraceLine[];
}

/** Implementation: observability/trace-desk.ts. */
export interface Traces {
  /** Begin to listen. Of too many traces the oldest is removed. @param duration - At most a day; 15 minutes unless told. */
  start(subject: TraceSubject, duration?: DurationMs): Promise<TraceView>;

  /** Oldest first. */
  list(): Promise<readonly TraceView[]>;

  /**
   * What was heard after line number `after`.
   *
   * @returns Undefined where there is no such trace.
   */
  read(id: string, after: number): Promise<TraceReading | undefined>;

  /** Forget it and what it has heard. False where there is no such trace. */
  remove(id: string): Promise<boolean>;
}
