/**
 * What sinks that hand messages to somebody else have in common.
 *
 * @packageDocumentation
 */
import type { Clock } from '../../core/ports/clock.ts';
import type { FetchedMessage, SinkOutcome } from '../../core/ports/message-sink.ts';
import { problem } from '../../core/problem.ts';
import type { Dial } from '../../platform/dial.ts';

/** What such sinks need. */
export interface SinkParts {
  readonly clock: Clock;
  readonly dial: Dial;
}

/** Not now. */
export const later = (cause: string, afterMs?: number): SinkOutcome => ({
  kind: 'later',
  problem: problem('FETCH_NOT_TAKEN', cause),
  ...(afterMs === undefined ? {} : { afterMs }),
});

/** Not this message. */
export const refused = (cause: string): SinkOutcome => ({ kind: 'refused', problem: problem('FETCH_REFUSED', cause) });

/** The mailbox could not be read on: whatever the sink makes of that, it is not the other side's doing. */
export class ReadFailure extends Error {
  override readonly name = 'ReadFailure';
  constructor(cause: unknown) {
    super('the mailbox could not be read on', { cause });
  }
}

/** The octets of a message. @throws ReadFailure in place of what the mailbox throws. */
export async function* readable(message: FetchedMessage, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  const chunks = message.content(signal)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await chunks.next().catch((error: unknown) => {
        throw new ReadFailure(error);
      });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await chunks.return?.();
  }
}

/** What a sink throws as its contract says. */
export function rethrow(error: unknown, signal: AbortSignal): void {
  if (error instanceof ReadFailure) throw error.cause;
  signal.throwIfAborted();
}
