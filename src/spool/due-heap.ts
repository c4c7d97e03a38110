/**
 * Which entry of an account comes next: a binary heap by time, then by order of acceptance.
 *
 * Pure.
 *
 * @packageDocumentation
 */

/** Something that falls due. */
export interface Due<Item> {
  readonly at: number;
  /** Order of acceptance. */
  readonly serial: number;
  readonly item: Item;
}

/** Three arrays, since 100,000 objects would take three times the room. */
export class DueHeap<Item> {
  readonly #at: number[] = [];
  readonly #serials: number[] = [];
  readonly #items: Item[] = [];

  /** The earliest; undefined where there is none. */
  peek(): Due<Item> | undefined {
    return this.#dueAt(0);
  }

  push({ at, serial, item }: Due<Item>): void {
    this.#at.push(at);
    this.#serials.push(serial);
    let index = this.#items.push(item) - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (!this.#isBefore(index, above)) return;
      this.#swap(index, above);
      index = above;
    }
  }

  pop(): Due<Item> | undefined {
    const first = this.peek();
    this.#swap(0, this.#items.length - 1);
    this.#at.pop();
    this.#serials.pop();
    this.#items.pop();
    this.#sink();
    return first;
  }

  #sink(): void {
    for (let index = 0; ; ) {
      let least = index;
      for (const below of [2 * index + 1, 2 * index + 2]) if (this.#isBefore(below, least)) least = below;
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #dueAt(index: number): Due<Item> | undefined {
    const [at, serial, item] = [this.#at[index], this.#serials[index], this.#items[index]];
    return at === undefined || serial === undefined || item === undefined ? undefined : { at, serial, item };
  }

  /** False where there is nothing at one of the places. */
  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#at[one], this.#at[other]];
    if (a === undefined || b === undefined) return false;
    return a < b || (a === b && (this.#serials[one] ?? 0) < (this.#serials[other] ?? 0));
  }

  #swap(one: number, other: number): void {
    swap(this.#at, one, other);
    swap(this.#serials, one, other);
    swap(this.#items, one, other);
  }
}

function swap(values: unknown[], one: number, other: number): void {
  const [a, b] = [values[one], values[other]];
  if (a === undefined || b === undefined) return;
  values[one] = b;
  values[other] = a;
}
