/**
 * The listener hands each transaction of a legacy application to a delivery through this port.
 *
 * The listener has already authenticated the client and checked its sender. What the transaction answers is what the application reads.
 *
 * @packageDocumentation
 */
import type { Awaitable } from '../awaitable.ts';
import type { Client } from '../client.ts';
import type { ForwardPath, MailParameters, ReversePath } from '../envelope.ts';
import type { QueueId, SessionId } from '../ids.ts';
import type { Chunks } from '../octets.ts';
import type { Reply } from '../reply.ts';

/** The connection a transaction came by. */
export interface Origin {
  readonly sessionId: SessionId;
  readonly client: Client;
  /** IP address of the application. */
  readonly peer: string;
}

/** MAIL FROM as the listener understood it. */
export interface SubmissionStart {
  readonly queueId: QueueId;
  readonly origin: Origin;
  readonly reversePath: ReversePath;
  readonly parameters: MailParameters;
}

/** Content on its way: octets in wire form (CRLF line ends, dots stuffed, ending in CRLF, without the final `.` line). */
export interface Content {
  /** Of the message; with angle brackets. For log lines. */
  readonly messageId: string;
  /** Valid `traceparent` of the application, in version 00 (core/trace-parent.ts). */
  readonly traceParent?: string;
  /**
   * The chunks. Where they come one by one, iterating applies backpressure to the application. Throws `SubmissionError` (listener) when the application vanishes or
   * the message turns out to be unacceptable; the final dot must then never be sent.
   */
  readonly chunks: Chunks;
}

/** Implementation: delivery/direct.ts. */
export interface Submission {
  /** Answer MAIL. A 2yz reply opens the transaction. Never throws. */
  begin(start: SubmissionStart): Awaitable<Begun>;
}

/** The answer to MAIL, with the transaction that it has opened. */
export interface Begun {
  readonly reply: Reply;
  readonly transaction?: SubmissionTransaction;
}

/** One open transaction. Calls come one after another. */
export interface SubmissionTransaction {
  /** Answer RCPT. Only forward-paths answered with 2yz belong to the message. Never throws. */
  addForwardPath(forwardPath: ForwardPath): Awaitable<Reply>;

  /** Answer DATA: undefined lets the listener say 354; a 4yz or 5yz reply is passed on in its place. Never throws. */
  prepareContent(): Awaitable<Reply | undefined>;

  /**
   * Answer end-of-data. A 2yz is given only once the upstream has said 2yz, or the message is on stable storage. The transaction is over.
   *
   * @throws Whatever `content.chunks` threw, after the upstream has been cut off without a final dot.
   */
  submitContent(content: Content): Promise<Reply>;

  /** The application sent RSET, a new EHLO, QUIT, or vanished. Nothing may be delivered. Harmless after the end. Never throws. */
  abandon(): void;
}
