/**
 * A map that remembers the keys asked for last, and of those no more than a number.
 *
 * Entries know their neighbours. In a Map the order of use costs a delete and a set for each use, and each look for its oldest key passes all that were deleted.
 *
 * @packageDocumentation
 */

interface Entry<Value> {
  readonly key: string;
  readonly value: Value;
  older: Entry<Value> | undefined;
  newer: Entry<Value> | undefined;
}

export class RecentMap<Value> {
  readonly #most: number;
  readonly #entries = new Map<string, Entry<Value>>();
  #oldest: Entry<Value> | undefined;
  #newest: Entry<Value> | undefined;

  /** @param most - Keys remembered; at least 1. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Changes no order. */
  get(key: string): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  /** What is under `key`, which is the newest from now on: `begin` makes it where there is nothing, and the oldest makes room. */
  use(key: string, begin: () => Value): Value {
    const known = this.#newest?.key === key ? this.#newest : this.#entries.get(key);
    if (known !== undefined) {
      if (known !== this.#newest) {
        this.#takeOut(known);
        this.#append(known);
      }
      return known.value;
    }
    const entry: Entry<Value> = { key, value: begin(), older: undefined, newer: undefined };
    this.#entries.set(key, entry);
    this.#append(entry);
    if (this.#entries.size > this.#most && this.#oldest !== undefined) {
      this.#entries.delete(this.#oldest.key);
      this.#takeOut(this.#oldest);
    }
    return entry.value;
  }

  *newestFirst(): Generator<readonly [string, Value], void> {
    for (let entry = this.#newest; entry !== undefined; entry = entry.older) yield [entry.key, entry.value];
  }

  #append(entry: Entry<Value>): void {
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #takeOut(entry: Entry<Value>): void {
    const { older, newer } = entry;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    entry.older = undefined;
    entry.newer = undefined;
  }
}
