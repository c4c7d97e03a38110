/**
 * One mail transaction of a session: what was accepted so far, then content and its reply.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../../core/clock.ts';
import { type SubmissionFault, takeSubmissionFault } from '../faults.ts';
import type { Arrival, ReceivedForwardPath } from '../received-messages.ts';
import { type ReceivedContent, receiveContent } from './content.ts';
import type { ExchangeConnection, HeardPath } from './exchange-connection.ts';
import { REPLIES } from './exchange-replies.ts';
import type { SignedIn } from './sign-in.ts';

/** Content, as smtp-server hands it over. */
type ContentStream = Parameters<typeof receiveContent>[0];

export class Transaction {
  readonly #connection: ExchangeConnection;
  readonly #signedIn: SignedIn;
  readonly #reversePath: HeardPath;
  readonly #forwardPaths: ReceivedForwardPath[] = [];

  constructor(connection: ExchangeConnection, signedIn: SignedIn, reversePath: HeardPath) {
    this.#connection = connection;
    this.#signedIn = signedIn;
    this.#reversePath = reversePath;
  }

  /** A refusal of RCPT, or undefined. */
  addForwardPath(forwardPath: HeardPath): string | undefined {
    const { recipientsPerMessage } = this.#connection.exchange.deps.faults.submission;
    // RFC 5321 §4.5.3.1.10: 452, and what was accepted stands.
    if (this.#forwardPaths.length >= recipientsPerMessage) return REPLIES.tooManyRecipients;
    this.#forwardPaths.push(forwardPath);
    return undefined;
  }

  /**
   * Take the content and hand the reply to `answer`, unless a fault takes the connection away.
   *
   * @throws Where the client leaves before the dot.
   */
  async takeContent(stream: ContentStream, answer: (reply: string) => void): Promise<void> {
    const { faults } = this.#connection.exchange.deps;
    const strike = this.#contentFault();
    const content = await receiveContent(stream, faults.submission.maxSendSize, strike);
    this.#conclude(content, answer);
  }

  /** A fault in the middle of the content; afterwards the content flows on, or never does. */
  #contentFault(): (size: number) => Promise<void> {
    let fault = takeSubmissionFault(this.#connection.exchange.deps.faults, 'content');
    return (size) => {
      if (fault === undefined || size < (fault.afterOctets ?? 0)) return Promise.resolve();
      const due = fault;
      fault = undefined;
      return new Promise((resolve) => this.#connection.strike(due, resolve, () => this.#connection.close()));
    };
  }

  #conclude(content: ReceivedContent, answer: (reply: string) => void): void {
    const { exchange } = this.#connection;
    const arrival = this.#arrival();
    const refusal = exchange.judgeContent(this.#signedIn, arrival, content);
    const fault = takeSubmissionFault(exchange.deps.faults, 'final');
    const isKept = refusal === undefined && (fault === undefined || keepsMessage(fault));
    const reply =
      isKept && content.octets !== undefined ? exchange.keep(this.#signedIn, arrival, content.octets) : (refusal ?? REPLIES.tooLarge);
    this.#reply(fault, reply, answer);
  }

  #reply(fault: SubmissionFault | undefined, reply: string, answer: (reply: string) => void): void {
    switch (fault?.kind) {
      case undefined:
        return answer(reply);
      case 'reply':
        return this.#connection.replaceReply(fault.reply, () => answer(fault.reply));
      case 'drop':
        return this.#connection.cut();
      case 'stall':
        return undefined;
      case 'delay':
        this.#connection.exchange.deps.clock.startTimer(fault.milliseconds as DurationMs, () => answer(reply), { isBackground: true });
    }
  }

  #arrival(): Arrival {
    return {
      user: this.#signedIn.user,
      isApplication: this.#signedIn.isApplication,
      reversePath: this.#reversePath.address,
      parameters: this.#reversePath.parameters,
      forwardPaths: [...this.#forwardPaths],
      tls: this.#connection.tlsVersion,
      peer: this.#connection.remoteAddress,
    };
  }
}

/** With `delay` the reply is true, so the message is kept; a reply that is not 2yz means that it is not. */
function keepsMessage(fault: SubmissionFault): boolean {
  return fault.keepsMessage ?? (fault.kind !== 'reply' || fault.reply.startsWith('2'));
}
