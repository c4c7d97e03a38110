/**
 * Where fetch rules keep how far they have got.
 *
 * Contract test: test/contract/cursor-store.ts.
 *
 * @packageDocumentation
 */
import type { Cursor, CursorChange } from '../fetch-cursor.ts';

/** Implementations: fetch/file-cursor-store.ts; test/support/memory-cursor-store.ts. One process at a time; calls for one rule come one after another. */
export interface CursorStore {
  /**
   * @returns The cursor after all that was saved; undefined where the rule has not begun.
   * @throws ProblemError `FETCH_CURSOR_FAILED` where something is there but cannot be read: beginning anew would bring mail twice.
   */
  load(rule: string): Promise<Cursor | undefined>;

  /** Replace all; durable when it resolves. @throws ProblemError `FETCH_CURSOR_FAILED`; what was saved before still counts. */
  replace(rule: string, cursor: Cursor): Promise<void>;

  /**
   * Add a change to what was loaded or replaced; durable when it resolves.
   *
   * @throws ProblemError `FETCH_CURSOR_FAILED`. Whether the change is kept is not known then; saving it again does no harm.
   */
  save(rule: string, change: CursorChange): Promise<void>;

  /** Forget the rule: it begins anew. @throws ProblemError `FETCH_CURSOR_FAILED` */
  remove(rule: string): Promise<void>;

  /** Rules that an operator has paused. @throws ProblemError `FETCH_CURSOR_FAILED` */
  paused(): Promise<ReadonlySet<string>>;

  /** Durable. @throws ProblemError `FETCH_CURSOR_FAILED` */
  setPaused(rule: string, isPaused: boolean): Promise<void>;

  /** Nothing is saved any more. */
  close(): Promise<void>;
}
