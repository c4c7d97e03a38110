/**
 * A message's octets on their way to a sink: what the mailbox throws can be told from what the other side does.
 *
 * @packageDocumentation
 */
import type { FetchedMessage } from '../../core/ports/message-sink.ts';

/** The mailbox could not be read on. Sinks rethrow {@link reason} (`MessageSink.deliver`). */
export class ReadFailure extends Error {
  override readonly name = 'ReadFailure';
  readonly reason: unknown;
  constructor(reason: unknown) {
    super('the message could not be read on', { cause: reason });
    this.reason = reason;
  }
}

/** @throws ReadFailure */
export async function* readContent(message: FetchedMessage, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* message.content(signal);
  } catch (error) {
    throw new ReadFailure(error);
  }
}
