/**
 * The content of a message on its way to the upstream: chunk by chunk, no faster than the upstream takes it.
 *
 * At most one chunk beyond the socket's own buffer is held. While the source is slow, or the upstream is, the other side is watched: an
 * upstream that refuses or vanishes in the middle ends the transfer at once, and the final dot is sent only after the source has come to
 * its regular end.
 *
 * Source: RFC 5321 §4.1.1.4 (DATA), §4.5.3.2.5 (three minutes for a block), §4.5.3.2.6 (ten for the final reply).
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import { areHere, type Chunks, sizeOf } from '../core/octets.ts';
import { describeReply, type Reply, replyClass } from '../core/reply.ts';
import type { ContentChannel, Dialogue } from './dialogue.ts';
import { calledOff, violated } from './failures.ts';

export interface ContentDeadlines {
  /** For a server that takes no more octets. */
  readonly block: DurationMs;
  /** For the reply to the dot. */
  readonly finalReply: DurationMs;
}

/**
 * Send content in wire form (CRLF, dots stuffed, ending in CRLF) and the dot, and wait for the reply.
 *
 * @throws UpstreamError; or whatever `chunks` throws. In both cases the connection is cut, without a dot unless the stage is `final-reply`.
 */
export async function streamContent(dialogue: Dialogue, chunks: Chunks, deadlines: ContentDeadlines): Promise<Reply> {
  const channel = dialogue.openContent();
  const isComplete = isSmall(chunks) ? writeWhole(dialogue, channel, chunks) : await transfer(dialogue, channel, chunks, deadlines.block);
  const answer = await (isComplete ? channel.finish(deadlines.finalReply) : channel.final);
  if (!channel.isDotSent) dialogue.fail(calledOff(dialogue.upstream)); // The server still expects content and would take a command for it.
  if (replyClass(answer) === 3) {
    dialogue.fail(violated(dialogue.upstream, `${describeReply(answer)} as the final reply`));
    throw dialogue.failure('final-reply');
  }
  return answer;
}

/** Less than the least high water mark of Node's sockets: nothing is held back, and there is nothing to wait for. */
const AT_ONCE = 16_384;

function isSmall(chunks: Chunks): chunks is readonly Uint8Array[] {
  return areHere(chunks) && sizeOf(chunks) < AT_ONCE;
}

function writeWhole(dialogue: Dialogue, channel: ContentChannel, chunks: readonly Uint8Array[]): true {
  const ending = new Ending();
  for (const chunk of chunks) ending.see(chunk);
  if (!ending.isLineEnd) {
    dialogue.fail(calledOff(dialogue.upstream));
    throw new Error(NO_LINE_END);
  }
  for (const chunk of chunks) channel.write(chunk);
  return true;
}

const NO_LINE_END = 'content in wire form must end in CRLF';

async function* oneByOne(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* chunks;
}

/** @returns False where the upstream put an end to it, by a reply or by failing. */
async function transfer(dialogue: Dialogue, channel: ContentChannel, chunks: Chunks, block: DurationMs) {
  const interrupt = new Interrupt(channel.final);
  const source = areHere(chunks) ? oneByOne(chunks) : chunks[Symbol.asyncIterator]();
  const ending = new Ending();
  try {
    for (;;) {
      const next = await interrupt.race(source.next());
      if (interrupt.isRaised || next === undefined) return stop(source);
      if (next.done === true) break;
      ending.see(next.value);
      if (!channel.write(next.value)) await interrupt.race(channel.drained(block));
    }
    if (interrupt.isRaised) return false;
    if (!ending.isLineEnd) throw new Error(NO_LINE_END);
    return true;
  } catch (error) {
    dialogue.fail(calledOff(dialogue.upstream));
    stop(source);
    throw error;
  }
}

/** Tell the source that nobody wants its rest. Not waited for: it may be waiting for a slow application itself. */
function stop(source: AsyncIterator<Uint8Array>): false {
  // What goes wrong while it tidies up is its owner's to report; this transfer already has its outcome.
  source.return?.().catch(() => {});
  return false;
}

/** Lets a wait end early. Unlike `Promise.race` it leaves nothing behind on the long-lived promise for each wait. */
class Interrupt {
  isRaised = false;
  #onRaised: () => void = () => {};

  constructor(promise: Promise<unknown>) {
    const raise = (): void => {
      this.isRaised = true;
      this.#onRaised();
    };
    promise.then(raise, raise);
  }

  /** @returns What `work` gives, or undefined where the interrupt came first. */
  race<Value>(work: Promise<Value>): Promise<Value | undefined> {
    return new Promise((resolve, reject) => {
      this.#onRaised = () => resolve(undefined);
      if (this.isRaised) resolve(undefined);
      work.then(resolve, reject);
    });
  }
}

/** Remembers whether what has passed ends in CRLF. No content at all counts: it ends with the line end of DATA (RFC 5321 §4.1.1.4). */
class Ending {
  #lastButOne = 0x0d;
  #last = 0x0a;

  see(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#lastButOne = chunk.length === 1 ? this.#last : (chunk[chunk.length - 2] ?? 0);
    this.#last = chunk[chunk.length - 1] ?? 0;
  }

  get isLineEnd(): boolean {
    return this.#lastButOne === 0x0d && this.#last === 0x0a;
  }
}
