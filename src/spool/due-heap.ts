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

export class DueHeap<Item> {
  readonly #heap: Due<Item>[] = [];

  /** The earliest; undefined where there is none. */
  peek(): Due<Item> | undefined {
    return this.#heap[0];
  }

  push(due: Due<Item>): void {
    let index = this.#heap.push(due) - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (!this.#isBefore(index, above)) return;
      this.#swap(index, above);
      index = above;
    }
  }

  pop(): Due<Item> | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || this.#heap.length === 0) return first;
    this.#heap[0] = last;
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

  #isBefore(one: number, other: number): boolean {
    const a = this.#heap[one];
    const b = this.#heap[other];
    if (a === undefined || b === undefined) return false;
    return a.at < b.at || (a.at === b.at && a.serial < b.serial);
  }

  #swap(one: number, other: number): void {
    const a = this.#heap[one];
    const b = this.#heap[other];
    if (a === undefined || b === undefined) return;
    this.#heap[one] = b;
    this.#heap[other] = a;
  }
}
