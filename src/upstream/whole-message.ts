/**
 * A whole message on a session: MAIL, RCPT and DATA in one go, then the content.
 *
 * Where the upstream offers PIPELINING all commands travel together, before MAIL has been answered (RFC 2920 §3.1); else one after another, and no
 * further than makes sense. However it ends, the session is either ready for the next transaction or gone.
 *
 * Invariants:
 * - Content is opened only after a 354 and where a recipient was accepted.
 * - A recipient that was refused stays refused, whatever becomes of the session afterwards.
 *
 * @packageDocumentation
 */
import type { Awaitable } from '../core/awaitable.ts';
import type { Envelope } from '../core/envelope.ts';
import { type RelayResult, type StagedReply, UpstreamError, type UpstreamStage } from '../core/ports/upstream.ts';
import type { Chunks } from '../core/octets.ts';
import { isAccepted, type Reply } from '../core/reply.ts';
import type { Answer } from './dialogue.ts';
import type { SmtpSession } from './smtp-session.ts';

/** What is known of each recipient, in the envelope's order. */
type Answers = readonly (StagedReply | undefined)[];

/** What became of the recipients. */
type Outcome = Pick<RelayResult, 'answers' | 'failure'>;

/** Told of each reply. */
type ReplyListener = (stage: UpstreamStage, reply: Reply) => void;

export class WholeMessage {
  /** The reply to MAIL. Whoever started this must look at it, and go on with {@link complete} unless the session is to be thrown away. */
  readonly mail: Promise<Reply>;
  readonly #session: SmtpSession;
  readonly #envelope: Envelope;
  /** RCPT and DATA, where they travel with MAIL. */
  readonly #ahead: { readonly rcpts: readonly Promise<Answer>[]; readonly data: Promise<Answer> } | undefined;
  readonly #onReply: ReplyListener;

  /** Sends MAIL, and the rest with it where that may be. */
  constructor(session: SmtpSession, envelope: Envelope, onReply: ReplyListener) {
    const { reversePath, parameters, forwardPaths } = envelope;
    this.#session = session;
    this.#envelope = envelope;
    this.#onReply = onReply;
    this.mail = session.mail(reversePath, parameters);
    if (!session.mayPipeline || !session.isMailSent) return;
    const rcpts = forwardPaths.map((forwardPath) => session.askRcpt(forwardPath));
    this.#ahead = { rcpts, data: session.askData() };
  }

  /**
   * Go on after MAIL has been answered.
   *
   * @throws Whatever the content throws; the session is gone then.
   */
  async complete(mail: Reply, openContent: () => Chunks): Promise<Outcome> {
    if (!isAccepted(mail)) return this.#refused(mail);
    const rcpts = await this.#rcpts();
    const answers = rcpts.map((answer) => (isReply(answer) && !isAccepted(answer) ? this.#noted('rcpt', answer) : undefined));
    const failed = rcpts.find((answer) => !isReply(answer));
    const isAnyAccepted = rcpts.some((answer) => isReply(answer) && isAccepted(answer));
    const data = failed ?? (await this.#data(isAnyAccepted));
    if (data === undefined) {
      this.#session.reset();
      return { answers };
    }
    if (!isReply(data)) return isAnyAccepted || failed !== undefined ? { answers, failure: data } : { answers };
    if (data.code !== 354) return this.#noContent(answers, data);
    return isAnyAccepted ? this.#submit(answers, openContent) : this.#submitNothing(answers);
  }

  /** MAIL was refused: so is the rest, by all rules, and where it is not, the session cannot be trusted. */
  async #refused(mail: Reply): Promise<Outcome> {
    const answers = this.#envelope.forwardPaths.map(() => ({ stage: 'mail', reply: mail }) as const);
    this.#onReply('mail', mail);
    if (this.#ahead === undefined) return { answers };
    await Promise.all(this.#ahead.rcpts);
    const data = await this.#ahead.data;
    if (isReply(data) && data.code < 400) this.#session.cut();
    return { answers };
  }

  #rcpts(): Promise<Answer[]> {
    return this.#ahead === undefined ? this.#askRcpts() : Promise.all(this.#ahead.rcpts);
  }

  async #askRcpts(): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (const forwardPath of this.#envelope.forwardPaths) answers.push(await this.#session.askRcpt(forwardPath));
    return answers;
  }

  /** Undefined where it need not be said, since nobody would get the message. */
  #data(isAnyAccepted: boolean): Awaitable<Answer | undefined> {
    if (this.#ahead !== undefined) return this.#ahead.data;
    return isAnyAccepted ? this.#session.askData() : undefined;
  }

  /** DATA was not answered with 354. */
  #noContent(answers: Answers, data: Reply): Outcome {
    if (isAccepted(data)) {
      // Neither yes nor no.
      this.#session.cut();
      return { answers, failure: this.#session.failure('data') };
    }
    this.#session.reset();
    // Without a recipient DATA is refused too (503, 554), which says nothing new.
    return { answers: answers.every((answer) => answer !== undefined) ? answers : this.#fill(answers, 'data', data) };
  }

  async #submit(answers: Answers, openContent: () => Chunks): Promise<Outcome> {
    const answer = await this.#content(this.#opened(openContent));
    if (!isReply(answer)) return { answers, failure: answer };
    // Postfix keeps the transaction open when a restriction refuses at end-of-data; the next MAIL would be answered "503 nested MAIL".
    if (!isAccepted(answer)) this.#session.reset();
    return { answers: this.#fill(answers, 'final-reply', answer) };
  }

  /** The server waits for content: without it, it would take a command for it. */
  #opened(openContent: () => Chunks): Chunks {
    try {
      return openContent();
    } catch (error) {
      this.#session.cut();
      throw error;
    }
  }

  /** RFC 2920 §3.1: DATA was accepted although every recipient was refused, so the content has to be empty. Nothing is delivered. */
  async #submitNothing(answers: Answers): Promise<Outcome> {
    const answer = await this.#content([]);
    if (isReply(answer) && !isAccepted(answer)) this.#session.reset();
    return { answers };
  }

  /** A failure of the session is a value. */
  #content(chunks: Chunks): Promise<Answer> {
    return this.#session.content(chunks).catch(thrownUnlessFailure);
  }

  #fill(answers: Answers, stage: UpstreamStage, reply: Reply): Answers {
    const noted = this.#noted(stage, reply);
    return answers.map((answer) => answer ?? noted);
  }

  #noted(stage: UpstreamStage, reply: Reply): StagedReply {
    this.#onReply(stage, reply);
    return { stage, reply };
  }
}

function thrownUnlessFailure(error: unknown): UpstreamError {
  if (error instanceof UpstreamError) return error;
  throw error;
}

const isReply = (answer: Answer): answer is Reply => !(answer instanceof UpstreamError);
