/**
 * Work that may take so long and no longer, whether it heeds its signal or not.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { LinkedAbort } from './linked-abort.ts';

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
  const ending = new LinkedAbort(signals);
  const ended = new Promise<never>((_resolve, reject) => {
    const give = (): void => reject(ending.signal.reason);
    if (ending.signal.aborted) give();
    else ending.signal.addEventListener('abort', give, { once: true });
  });
  ended.catch(() => undefined); // Of no consequence where the action was faster.
  const timer = clock.startTimer(deadline, () => ending.abort(expired()));
  try {
    return await Promise.race([action(ending.signal), ended]);
  } finally {
    timer.cancel();
    ending.release();
  }
}
