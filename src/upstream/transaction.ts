/**
 * One transaction on a session that has accepted MAIL.
 *
 * RCPT and DATA may be called without waiting in between; they travel together then. However it ends, the session is given back once:
 * after the final reply as it is, else with RSET on its way, and where that cannot be said, cut.
 *
 * States: open → (DATA sent) asking → (354) ready → (content) sending → over. `abandon` is possible in each.
 *
 * Source: RFC 5321 §4.1.1.4, RFC 2920 §3.1.
 *
 * @packageDocumentation
 */
import type { ForwardPath } from '../core/envelope.ts';
import type { Chunks } from '../core/octets.ts';
import type { UpstreamStage, UpstreamTransaction } from '../core/ports/upstream.ts';
import { isAccepted, type Reply, reply } from '../core/reply.ts';
import { calledOff } from './failures.ts';
import type { SmtpSession } from './smtp-session.ts';

/** Whom the transaction tells. */
export interface TransactionEvents {
  onReply(stage: UpstreamStage, reply: Reply): void;
  /** The session is free, or gone. Called once. */
  onEnd(): void;
}

type State = 'open' | 'asking' | 'ready' | 'sending' | 'over';

export class Transaction implements UpstreamTransaction {
  readonly upstream: string;
  readonly user: string;
  readonly #session: SmtpSession;
  readonly #events: TransactionEvents;
  #state: State = 'open';
  #acceptedForwardPaths = 0;

  constructor(session: SmtpSession, user: string, events: TransactionEvents) {
    this.upstream = session.upstream;
    this.user = user;
    this.#session = session;
    this.#events = events;
    // Should the server close the connection while the application thinks, its place is free at once.
    void session.closed.then(() => this.#finish());
  }

  async addForwardPath(forwardPath: ForwardPath): Promise<Reply> {
    this.#expect('open', 'rcpt');
    const answer = await this.#session.rcpt(forwardPath);
    if (isAccepted(answer)) this.#acceptedForwardPaths += 1;
    this.#events.onReply('rcpt', answer);
    return answer;
  }

  async startContent(): Promise<Reply> {
    this.#expect('open', 'data');
    this.#state = 'asking';
    const answer = await this.#session.data();
    if (this.#state !== 'asking') return answer; // Abandoned, or lost, meanwhile.
    if (answer.code !== 354) {
      this.#events.onReply('data', answer);
      if (isAccepted(answer)) return this.#confused();
      this.#reset();
      return answer;
    }
    this.#state = 'ready';
    return this.#acceptedForwardPaths > 0 ? answer : this.#sendNothing();
  }

  async submitContent(chunks: Chunks): Promise<Reply> {
    this.#expect('ready', 'content');
    this.#state = 'sending';
    try {
      const answer = await this.#session.content(chunks);
      this.#events.onReply('final-reply', answer);
      // Postfix keeps the transaction open when a restriction refuses at end-of-data; the next MAIL would be answered "503 nested MAIL".
      if (!isAccepted(answer)) this.#session.reset();
      return answer;
    } finally {
      this.#finish();
    }
  }

  /** After the dot the message is the upstream's: its answer is waited for, since nothing else can tell what became of the message. */
  abandon(): void {
    const state = this.#state;
    if (state === 'over') return;
    if (state === 'open') {
      this.#reset();
      return;
    }
    if (this.#session.isDotSent) return;
    this.#session.cut(calledOff(this.upstream));
    this.#finish();
  }

  /** RFC 2920 §3.1: DATA was accepted although every recipient was refused, so the content has to be empty. Nothing is delivered. */
  async #sendNothing(): Promise<Reply> {
    this.#state = 'sending';
    try {
      const answer = await this.#session.content([]);
      if (!isAccepted(answer)) this.#session.reset();
    } finally {
      this.#finish();
    }
    return reply(554, '5.5.1', 'No valid recipients');
  }

  /** DATA answered with 2yz: neither yes nor no. */
  #confused(): never {
    this.#session.cut();
    this.#finish();
    throw this.#session.failure('data');
  }

  #reset(): void {
    this.#session.reset();
    this.#finish();
  }

  #finish(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#events.onEnd();
  }

  #expect(state: State, stage: UpstreamStage): void {
    if (this.#state === state) return;
    if (!this.#session.isOpen) throw this.#session.failure(stage);
    throw new Error(`${stage} in a transaction that is ${this.#state}`);
  }
}
