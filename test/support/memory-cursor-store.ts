/**
 * Cursors in memory; what was saved outlives the object that saved it where the map is shared.
 *
 * @packageDocumentation
 */
import { applyChange, type Cursor, type CursorChange } from '../../src/core/fetch-cursor.ts';
import type { CursorStore } from '../../src/core/ports/cursor-store.ts';

export class MemoryCursorStore implements CursorStore {
  readonly #saved: Map<string, Cursor>;
  readonly #paused: Set<string>;

  constructor(saved = new Map<string, Cursor>(), paused = new Set<string>()) {
    this.#saved = saved;
    this.#paused = paused;
  }

  async load(rule: string): Promise<Cursor | undefined> {
    return this.#saved.get(rule);
  }

  async replace(rule: string, cursor: Cursor): Promise<void> {
    this.#saved.set(rule, cursor);
  }

  async save(rule: string, change: CursorChange): Promise<void> {
    const cursor = this.#saved.get(rule);
    if (cursor === undefined) throw new Error(`the cursor of ${rule} has not been loaded`);
    this.#saved.set(rule, applyChange(cursor, change));
  }

  async remove(rule: string): Promise<void> {
    this.#saved.delete(rule);
  }

  async paused(): Promise<ReadonlySet<string>> {
    return new Set(this.#paused);
  }

  async setPaused(rule: string, isPaused: boolean): Promise<void> {
    if (isPaused) this.#paused.add(rule);
    else this.#paused.delete(rule);
  }

  async close(): Promise<void> {}
}
