/**
 * How many sessions each client has open.
 *
 * Pure.
 *
 * @packageDocumentation
 */

export class SessionCount {
  readonly #open = new Map<string, number>();

  /**
   * @param limit - Undefined: none.
   * @returns What takes the session off the count, harmless when repeated; undefined where the client has as many as it may.
   */
  enter(client: string, limit: number | undefined): (() => void) | undefined {
    const count = this.#open.get(client) ?? 0;
    if (limit !== undefined && count >= limit) return undefined;
    this.#open.set(client, count + 1);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#open.get(client) ?? 0) - 1;
      if (left <= 0) this.#open.delete(client);
      else this.#open.set(client, left);
    };
  }
}
