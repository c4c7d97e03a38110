/**
 * Work that may take so long and no longer, whether it heeds its signal or not.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';

/** When it is over. */
export interface Deadline {
  readonly clock: Clock;
  readonly deadline: DurationMs;
  /** What is thrown then. */
  readonly expired: () => Error;
  /** Each ends it before, with its reason. */
  readonly signals?: readonly AbortSignal[];
}

/** @throws What `action` throws, `expired()`, or the reason of the first signal. */
export async function withinDeadline<Result>(
  { clock, deadline, expired, signals = [] }: Deadline,
  action: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const ending = new AbortController();
  const ended = new Promise<never>((_resolve, reject) => {
    ending.signal.addEventListener('abort', () => reject(ending.signal.reason), { once: true });
  });
  ended.catch(() => undefined); // Of no consequence where the action was faster.
  const timer = clock.startTimer(deadline, () => ending.abort(expired()));
  // One listener for each, taken off again: AbortSignal.any would stay with a signal that lives as long as the process.
  const callOffs = signals.map((signal) => {
    const callOff = (): void => ending.abort(signal.reason);
    signal.addEventListener('abort', callOff, { once: true });
    if (signal.aborted) callOff();
    return () => signal.removeEventListener('abort', callOff);
  });
  try {
    return await Promise.race([action(ending.signal), ended]);
  } finally {
    timer.cancel();
    for (const forget of callOffs) forget();
  }
}
