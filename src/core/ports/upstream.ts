/**
 * Submitting to a provider.
 *
 * Contract test: test/contract/upstream.ts.
 *
 * @packageDocumentation
 */
import type { Account } from '../account.ts';
import type { DurationMs } from '../clock.ts';
import type { Chunks } from '../octets.ts';
import type { Envelope, ForwardPath, MailParameters, ReversePath } from '../envelope.ts';
import { type Problem, ProblemError } from '../problem.ts';
import type { Reply } from '../reply.ts';
import type { MessageNames } from './log.ts';

/** How far a session had come. Before `content` nothing can have been delivered; at `final-reply` the message may have been. */
export type UpstreamStage =
  | 'wait'
  | 'token'
  | 'connect'
  | 'greeting'
  | 'ehlo'
  | 'starttls'
  | 'auth'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'content'
  | 'final-reply';

/** The session cannot go on. Replies to MAIL, RCPT, DATA and end-of-data are values, not errors. */
export class UpstreamError extends ProblemError {
  override readonly name = 'UpstreamError';
  readonly stage: UpstreamStage;
  /** What to tell the application; 4yz unless the upstream itself said 5yz to a command of the transaction. */
  readonly reply: Reply;
  constructor(stage: UpstreamStage, what: Problem, reply: Reply, options?: ErrorOptions) {
    super(what, options);
    this.stage = stage;
    this.reply = reply;
  }
}

/** A reply and the step that it answered. */
export interface StagedReply {
  readonly stage: UpstreamStage;
  readonly reply: Reply;
}

/** What came of a whole message. */
export interface RelayResult {
  /**
   * One for each forward-path, in the envelope's order: the reply that decided about it. A 2yz is there at stage `final-reply` alone and means that
   * the upstream has the message for this recipient. Undefined: `failure` came first, and where its stage is not `final-reply`, nothing was delivered
   * to this recipient.
   */
  readonly answers: readonly (StagedReply | undefined)[];
  /** The session could not go on. At stage `final-reply` the message may have been delivered to all without an answer. */
  readonly failure?: UpstreamError;
  /** `host:port`, for log lines. Absent where no session was had. */
  readonly upstream?: string;
  /** SASL user of the session. */
  readonly user?: string;
  /** The upstream took NOTIFY, ORCPT, RET and ENVID (RFC 3461), so that it reports success itself. */
  readonly isDsnPassedOn: boolean;
}

/** Implementation: upstream/session-pool.ts. */
export interface Upstream {
  /**
   * Hand over a whole message, envelope and content at once: MAIL, RCPT and DATA travel together where the upstream allows it (RFC 2920), so that it
   * costs two round trips on a warm session. Recipients that are refused do not keep the others from getting it. A warm session that turns out to be
   * dead before MAIL is accepted is replaced by a new one, unseen by the caller.
   *
   * @param openContent - Called at most once, and only when the upstream waits for content of an accepted recipient. Content in wire form.
   * @param patience - How long to wait for one of the account's connections; then the failure is at stage `wait`.
   * @param about - For the lines of the dialogue in the log.
   * @throws Whatever the content throws, after the connection has been cut without a dot. Failures of the session are values.
   */
  relay(account: Account, envelope: Envelope, openContent: () => Chunks, patience: DurationMs, about?: MessageNames): Promise<RelayResult>;

  /**
   * Take a signed-in session of the account, warm where one is idle, and start a transaction on it. Waits for one of the account's
   * connections for at most `patience`. A warm session that turns out to be dead is replaced by a new one, unseen by the caller.
   *
   * @returns The upstream's reply to MAIL. With 2yz the transaction is open and must be ended by `submitContent` or `abandon`; else the
   * session has already been given back.
   * @param about - For the lines of the dialogue in the log.
   * @throws UpstreamError
   */
  begin(
    account: Account,
    reversePath: ReversePath,
    parameters: MailParameters,
    patience: DurationMs,
    about?: MessageNames,
  ): Promise<{ readonly reply: Reply; readonly transaction?: UpstreamTransaction }>;
}

/** A transaction on a live upstream session. */
export interface UpstreamTransaction {
  /** `host:port`, for log lines. */
  readonly upstream: string;
  /** SASL user of the session. */
  readonly user: string;

  /** RCPT. May be called again before the first answer has come: commands are pipelined where the upstream allows it (RFC 2920). */
  addForwardPath(forwardPath: ForwardPath): Promise<Reply>;

  /** DATA. 354 lets `submitContent` follow; any other reply ends the transaction and gives the session back. */
  startContent(): Promise<Reply>;

  /**
   * Send content in wire form, then the final dot, and wait for the reply. Gives the session back.
   *
   * @throws UpstreamError; stage `final-reply` where the dot had been sent. Or whatever `chunks` threw, after the connection has been cut
   * without a dot.
   */
  submitContent(chunks: Chunks): Promise<Reply>;

  /** Give up: RSET where the session can go on, else cut. Harmless after the end. */
  abandon(): void;
}
