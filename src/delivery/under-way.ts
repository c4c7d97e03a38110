/**
 * The entries that this process is working on, each by one piece of work at a time.
 *
 * @packageDocumentation
 */
import type { QueueId } from '../core/ids.ts';

export class UnderWay {
  readonly #works = new Map<QueueId, Promise<void>>();

  get size(): number {
    return this.#works.size;
  }

  has(queueId: QueueId): boolean {
    return this.#works.has(queueId);
  }

  /**
   * Work on an entry that nobody works on yet.
   *
   * @param work - Must not reject.
   * @param onEnd - Called once the entry is free again.
   */
  run(queueId: QueueId, work: () => Promise<void>, onEnd: () => void): Promise<void> {
    const ended = work().finally(() => {
      this.#works.delete(queueId);
      onEnd();
    });
    this.#works.set(queueId, ended);
    return ended;
  }

  /** Resolves once nobody works on the entry. */
  async free(queueId: QueueId): Promise<void> {
    for (let work = this.#works.get(queueId); work !== undefined; work = this.#works.get(queueId)) await work;
  }

  /** Resolves once nothing is under way, what begins meanwhile included. */
  async idle(): Promise<void> {
    while (this.#works.size > 0) await Promise.all(this.#works.values());
  }
}
