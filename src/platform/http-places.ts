/**
 * How many requests go to one origin at once; the others wait for their turn, first come, first served.
 *
 * @packageDocumentation
 */
export class HttpPlaces {
  readonly #most: number;
  readonly #origins = new Map<string, Origin>();

  /** @param most - To one origin. */
  constructor(most: number) {
    this.#most = most;
  }

  /** @returns Gives the place back; calls after the first do nothing. @throws The reason of the signal. */
  async take(origin: string, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    const at = this.#origins.get(origin) ?? { taken: 0, waiting: new Set() };
    this.#origins.set(origin, at);
    if (at.taken >= this.#most) await turn(at, signal);
    else at.taken += 1;
    let isTaken = true;
    return () => {
      if (isTaken) this.#leave(origin, at);
      isTaken = false;
    };
  }

  #leave(origin: string, at: Origin): void {
    const [next] = at.waiting;
    if (next !== undefined) return next(); // The place is handed on.
    at.taken -= 1;
    if (at.taken === 0) this.#origins.delete(origin);
  }
}

interface Origin {
  taken: number;
  /** In the order in which they came. */
  readonly waiting: Set<() => void>;
}

function turn({ waiting }: Origin, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      waiting.delete(go);
      signal.removeEventListener('abort', callOff);
    };
    const go = (): void => {
      done();
      resolve();
    };
    const callOff = (): void => {
      done();
      reject(signal.reason);
    };
    waiting.add(go);
    signal.addEventListener('abort', callOff, { once: true });
  });
}
