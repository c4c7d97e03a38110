/**
 * How many sessions each client, or account, has open.
 *
 * Pure.
 *
 * @packageDocumentation
 */

export class SessionCount {
  readonly #open = new Map<string, number>();

  /** Sessions that are open. */
  of(client: string): number {
    return this.#open.get(client) ?? 0;
  }

  /**
   * @param limit - Undefined: none.
   * @returns What takes the session off the count, harmless when repeated; undefined where the client has as many as it may.
   */
  enter(client: string, limit: number | undefined): (() => void) | undefined {
    const count = this.of(client);
    if (limit !== undefined && count >= limit) return undefined;
    this.#open.set(client, count + 1);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = this.of(client) - 1;
      if (left <= 0) this.#open.delete(client);
      else this.#open.set(client, left);
    };
  }
}
