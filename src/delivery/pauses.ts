/**
 * Waits that end early when there is no more time: for work that may go on for a while, but not while the process ends.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';

/** A wait that has begun. */
export interface Pause {
  readonly ended: Promise<void>;
  end(): void;
}

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
    return this.begin(duration).ended;
  }

  /** As {@link wait}, with a function that ends it. */
  begin(duration: DurationMs): Pause {
    if (this.#isOver) return { ended: Promise.resolve(), end: () => undefined };
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = (): void => {
        timer.cancel();
        this.#enders.delete(end);
        resolve();
      };
      const timer = this.#clock.startTimer(duration, end, { isBackground: true });
      this.#enders.add(end);
    });
    return { ended, end };
  }

  endAll(): void {
    this.#isOver = true;
    for (const end of this.#enders) end();
  }
}
