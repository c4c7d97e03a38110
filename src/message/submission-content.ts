/**
 * The content of a submission, from the octets after 354 to what goes upstream.
 *
 * The header section is read first (bounded), so that policy can look at it; then the content is made: our fields, the header section as it came,
 * and the body, all in wire form. It is streamed, unless all of it is here: backpressure reaches the source, and no more than the header section and a chunk are held.
 *
 * Pure.
 *
 * Source: RFC 6409 §8 (fix-ups), RFC 5322 §3.6 (one From; identification fields).
 *
 * @packageDocumentation
 */
import type { Mutable } from '../core/mutable.ts';
import { areHere, type Chunks, type Octets } from '../core/octets.ts';
import type { Content } from '../core/ports/submission.ts';
import { cleanText, type Reply } from '../core/reply.ts';
import { traceParentOf } from '../core/trace-parent.ts';
import { parseAddressList } from './address-list.ts';
import { composeFixUps, type FixUps } from './fix-ups.ts';
import { type HeaderSection, readHeaderSection } from './header-section.ts';
import { sanitiseMessageId } from './message-id.ts';
import { inWireForm, toWireForm } from './wire-form.ts';

/** A message whose header section has been read; its body is still on its way. */
export interface IncomingMessage {
  readonly headers: HeaderSection;
  /** Every mailbox that From names, or that a reader might think it names; all of them must be allowed. Empty where there is no From. */
  readonly from: readonly string[];
  /** There is a From, but it breaks the syntax, names nobody, or is not the only one. `from` then holds guesses too. */
  readonly isFromMalformed: boolean;
  /** The message's own, as a printable line for the log. Absent where it has no Message-ID field. */
  readonly messageId?: string;
  /** Of its `traceparent`, where there is one and it is valid (core/trace-parent.ts). The field itself stays as it came. */
  readonly traceParent?: string;
  /** Received fields that came with it: how many hands it has been through. */
  readonly receivedCount: number;
  /**
   * What to send, with our fields in front. Its chunks can be iterated once, and a second time is an error, never a shorter message.
   *
   * @param rewritten - Takes the place of {@link headers}, where senders had to be rewritten.
   */
  content(fixUps: FixUps, rewritten?: HeaderSection): Content;
  /**
   * Read what has not been read yet and drop it, for a message that is refused or that the upstream stopped taking: SMTP answers after
   * end-of-data only. Throws whatever the source throws.
   */
  discard(): Promise<void>;
}

/** Bounds of {@link readSubmission}. */
export interface SubmissionLimits {
  /** Largest header section. */
  readonly headerSection: Octets;
}

/** A message, or the reply to end-of-data that refuses it. */
export type SubmissionReading = ({ readonly kind: 'message' } & IncomingMessage) | { readonly kind: 'refused'; readonly reply: Reply };

/**
 * Read a submission up to its body.
 *
 * @param source - The octets of the content, dots unstuffed, cut anywhere. It is never closed from here.
 * @returns A refusal only after the source has come to its end, as the reply may be sent only then.
 * @throws Whatever `source` throws.
 */
export async function readSubmission(source: Chunks, limits: SubmissionLimits): Promise<SubmissionReading> {
  const reading = await readHeaderSection(source, limits.headerSection);
  if (reading.kind === 'refused') {
    await drain(reading.rest);
    return { kind: 'refused', reply: reading.reply };
  }
  const { headers, rest } = reading;
  const body = new Body(rest);
  const messageId = headers.first('Message-ID');
  const traceParent = traceParentOf(headers.values('traceparent'));
  const { from, isFromMalformed } = readFrom(headers);
  const message: Mutable<SubmissionReading & { kind: 'message' }> = {
    kind: 'message',
    headers,
    from,
    isFromMalformed,
    receivedCount: headers.count('Received'),
    content: (fixUps, rewritten = headers) => composeContent(rewritten, body, fixUps, traceParent),
    discard: () => body.discard(),
  };
  if (messageId !== undefined) message.messageId = cleanText(messageId);
  if (traceParent !== undefined) message.traceParent = traceParent;
  return message;
}

/** RFC 5322 §3.6: exactly one From. Readers differ in which of several they believe, so each of them counts. */
function readFrom(headers: HeaderSection): Pick<IncomingMessage, 'from' | 'isFromMalformed'> {
  const lists = headers.values('From').map(parseAddressList);
  const [only] = lists;
  if (only !== undefined && lists.length === 1) return { from: only.addresses, isFromMalformed: only.isMalformed };
  return {
    from: [...new Set(lists.flatMap(({ addresses }) => addresses))],
    isFromMalformed: lists.length > 1,
  };
}

/** What follows the header section. It comes once: whoever takes it again would get a message cut short, so that throws. */
class Body {
  readonly #rest: Chunks;
  #isTaken = false;

  constructor(rest: Chunks) {
    this.#rest = rest;
  }

  take(): Chunks {
    if (this.#isTaken) throw new Error('the content of a submission can be read only once');
    this.#isTaken = true;
    return this.#rest;
  }

  /** Undefined where it is still on its way. */
  takeIfHere(): readonly Uint8Array[] | undefined {
    if (!areHere(this.#rest)) return undefined;
    this.take();
    return this.#rest;
  }

  async discard(): Promise<void> {
    this.#isTaken = true;
    await drain(this.#rest);
  }
}

function composeContent(headers: HeaderSection, body: Body, fixUps: FixUps, traceParent: string | undefined): Content {
  const messageId = headers.first('Message-ID');
  const added = messageId === undefined ? sanitiseMessageId(fixUps.newMessageId()) : undefined;
  const rest = body.takeIfHere();
  const front = [composeFixUps(headers, fixUps, added), headers.raw];
  if (headers.ending === 'not-a-field') front.push(EMPTY_LINE);
  const content: Mutable<Content> = {
    messageId: added ?? cleanText(messageId ?? ''),
    chunks: rest === undefined ? { [Symbol.asyncIterator]: () => toWireForm(join(front, body.take())) } : [inWireForm(front.concat(rest))],
  };
  if (traceParent !== undefined) content.traceParent = traceParent;
  return content;
}

/** Put in where the application left it out. */
const EMPTY_LINE = Buffer.from('\r\n');

async function* join(front: readonly Uint8Array[], body: Chunks): AsyncGenerator<Uint8Array, void, undefined> {
  for (const part of front) if (part.length > 0) yield part;
  yield* body;
}

async function drain(source: Chunks): Promise<void> {
  if (areHere(source)) return;
  for await (const _ of source); // dropped
}
