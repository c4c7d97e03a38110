/**
 * Waits that end early when there is no more time: for work that may go on for a while, but not while the process ends.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';

export class Pauses {
  readonly #clock: Clock;
  readonly #enders = new Set<() => void>();
  #isOver = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** No pause lasts any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Resolves after `duration`, or at once when {@link endAll} is called, or has been. */
  wait(duration: DurationMs): Promise<void> {
    return new Promise((resolve) => void this.begin(duration, resolve));
  }

  /**
   * As {@link wait}.
   *
   * @param onEnd - Called once, whatever ends it.
   * @returns Ends it. Harmless when it has ended.
   */
  begin(duration: DurationMs, onEnd: () => void): () => void {
    if (this.#isOver) {
      onEnd();
      return () => undefined;
    }
    const end = (): void => {
      timer.cancel();
      if (this.#enders.delete(end)) onEnd();
    };
    const timer = this.#clock.startTimer(duration, end, { isBackground: true });
    this.#enders.add(end);
    return end;
  }

  endAll(): void {
    this.#isOver = true;
    for (const end of this.#enders) end();
  }
}
