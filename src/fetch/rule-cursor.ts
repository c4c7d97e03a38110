/**
 * The cursor of one rule, in memory and in the store: changed by one at a time, whoever asks.
 *
 * An operator's word (`retry`, `forget`) may come while a message is being noted. Each change begins with what the one before has made, so that none is lost when the
 * store writes all of it anew.
 *
 * @packageDocumentation
 */
import { applyChange, type Cursor, type CursorChange } from '../core/fetch-cursor.ts';
import type { FetchRule } from '../core/fetch-rule.ts';
import type { CursorStore } from '../core/ports/cursor-store.ts';

/** What a cursor is of. */
export const placeOf = ({ account, mailbox }: Pick<FetchRule, 'account' | 'mailbox'>): string => JSON.stringify([account, mailbox]);

/** Each method that writes throws ProblemError `FETCH_CURSOR_FAILED`. */
export class RuleCursor {
  readonly #rule: FetchRule;
  readonly #store: CursorStore;
  #value: Cursor | undefined;
  #work: Promise<unknown> = Promise.resolve();

  constructor(rule: FetchRule, store: CursorStore) {
    this.#rule = rule;
    this.#store = store;
  }

  /** Undefined before it was loaded, and while the rule has not begun. */
  get value(): Cursor | undefined {
    return this.#value;
  }

  /** @throws Error where there is none. */
  get current(): Cursor {
    if (this.#value === undefined) throw new Error('no cursor yet');
    return this.#value;
  }

  /** From the store, unless it is here. One of another mailbox counts for nothing. */
  load(): Promise<Cursor | undefined> {
    return this.#inTurn(async () => {
      if (this.#value !== undefined) return this.#value;
      const stored = await this.#store.load(this.#rule.name);
      if (stored?.place === placeOf(this.#rule)) this.#value = stored;
      return this.#value;
    });
  }

  begin(cursor: Cursor): Promise<void> {
    return this.#inTurn(async () => {
      await this.#store.replace(this.#rule.name, cursor);
      this.#value = cursor;
    });
  }

  save(change: CursorChange): Promise<void> {
    return this.#inTurn(() => this.#save(change));
  }

  /** Those set aside are to be offered again. @returns False where there are none. */
  retryAside(): Promise<boolean> {
    return this.#inTurn(async () => {
      if (this.#value === undefined || this.#value.aside.size === 0) return false;
      await this.#save({ kind: 'retry' });
      return true;
    });
  }

  forget(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#store.remove(this.#rule.name);
      this.#value = undefined;
    });
  }

  async #save(change: CursorChange): Promise<void> {
    const next = applyChange(this.current, change);
    await this.#store.save(this.#rule.name, change);
    this.#value = next;
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined); // Whoever asked hears of it.
    return done;
  }
}
