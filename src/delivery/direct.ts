/**
 * Direct delivery: the application waits while its message goes to the provider on a live upstream session. Nothing touches the disk.
 *
 * MAIL, each RCPT, DATA and end-of-data are answered with the upstream's own class and enhanced code. 250 to end-of-data is said only after
 * the upstream's complete 2yz. Where the upstream cannot be asked, the answer is a 4yz and the application keeps its message.
 *
 * @packageDocumentation
 */
import type { Account, AccountName } from '../core/account.ts';
import { between, type DurationMs, seconds } from '../core/clock.ts';
import type { ForwardPath } from '../core/envelope.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log, LogFields } from '../core/ports/log.ts';
import type { Content, Submission, SubmissionStart, SubmissionTransaction } from '../core/ports/submission.ts';
import { type Upstream, UpstreamError, type UpstreamStage, type UpstreamTransaction } from '../core/ports/upstream.ts';
import { type Problem, problem } from '../core/problem.ts';
import { describeReply, isAccepted, isPermanent, type Reply, reply, replyClass } from '../core/reply.ts';

/** What direct delivery needs. */
export interface DirectDeliveryDependencies {
  readonly accounts: ReadonlyMap<AccountName, Account>;
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly log: Log;
  /** What a refusal by the upstream means, for the log line. */
  readonly explain: (stage: UpstreamStage, answer: Reply) => Problem;
  /** How long a submission waits for one of the account's upstream connections. */
  readonly patience?: DurationMs;
}

/** RFC 5321 §4.5.3.2.2 lets a client wait five minutes for the reply to MAIL; most legacy applications give up after 20 to 60 seconds. */
const DEFAULT_PATIENCE = seconds(60);

export class DirectDelivery implements Submission {
  readonly #deps: DirectDeliveryDependencies;

  constructor(deps: DirectDeliveryDependencies) {
    this.#deps = deps;
  }

  async begin(start: SubmissionStart): Promise<{ readonly reply: Reply; readonly transaction?: SubmissionTransaction }> {
    const { accounts, upstream, patience = DEFAULT_PATIENCE } = this.#deps;
    const account = accounts.get(start.origin.client.account);
    const record = new SubmissionRecord(start, this.#deps);
    if (account === undefined) {
      return { reply: record.broken(new Error(`no account named ${start.origin.client.account}`)) };
    }
    try {
      const begun = await upstream.begin(account, start.reversePath, start.parameters, patience);
      if (begun.transaction === undefined) return { reply: record.refused('mail', begun.reply) };
      return { reply: presentable(begun.reply), transaction: new DirectTransaction(begun.transaction, record) };
    } catch (error) {
      return { reply: record.broken(error) };
    }
  }
}

class DirectTransaction implements SubmissionTransaction {
  readonly #upstream: UpstreamTransaction;
  readonly #record: SubmissionRecord;

  constructor(upstream: UpstreamTransaction, record: SubmissionRecord) {
    this.#upstream = upstream;
    this.#record = record;
    record.note({ upstream: upstream.upstream, user: upstream.user });
  }

  async addForwardPath(forwardPath: ForwardPath): Promise<Reply> {
    try {
      const answer = await this.#upstream.addForwardPath(forwardPath);
      if (!isAccepted(answer)) return this.#record.refused('rcpt', answer, forwardPath.address);
      this.#record.accepted(forwardPath.address);
      return presentable(answer);
    } catch (error) {
      return this.#record.broken(error);
    }
  }

  async prepareContent(): Promise<Reply | undefined> {
    try {
      const answer = await this.#upstream.startContent();
      return answer.code === 354 ? undefined : this.#record.refused('data', answer);
    } catch (error) {
      return this.#record.broken(error);
    }
  }

  async submitContent(content: Content): Promise<Reply> {
    this.#record.note({ messageId: content.messageId });
    const meter = new Meter(content.chunks);
    try {
      const answer = await this.#upstream.submitContent(meter);
      this.#record.note({ size: meter.octets });
      return isAccepted(answer) ? this.#record.relayed(answer) : this.#record.refused('final-reply', answer);
    } catch (error) {
      if (error instanceof UpstreamError) return this.#record.broken(error);
      throw error; // The application's own failure: the listener knows what to say.
    }
  }

  abandon(): void {
    this.#upstream.abandon();
  }
}

/** Counts the octets that pass. */
class Meter implements AsyncIterable<Uint8Array> {
  octets = 0;
  readonly #source: AsyncIterable<Uint8Array>;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#source) {
      this.octets += chunk.length;
      yield chunk;
    }
  }
}

/**
 * The upstream's reply as the application may read it. A 421 or an unexpected 3yz would make the application believe that *our* connection ends or
 * goes on in a way it does not, so they become 451 with the same text and enhanced code.
 */
function presentable(answer: Reply): Reply {
  return answer.code === 421 || replyClass(answer) === 3 ? { ...answer, code: 451 } : answer;
}

/** What becomes the one log line of a message, and the line for each refusal on the way. */
class SubmissionRecord {
  readonly #start: SubmissionStart;
  readonly #deps: Pick<DirectDeliveryDependencies, 'log' | 'clock' | 'explain'>;
  readonly #begun;
  readonly #forwardPaths: string[] = [];
  #fields: Partial<LogFields> = {};

  constructor(start: SubmissionStart, deps: Pick<DirectDeliveryDependencies, 'log' | 'clock' | 'explain'>) {
    this.#start = start;
    this.#deps = deps;
    this.#begun = deps.clock.monotonic();
  }

  note(fields: Partial<LogFields>): void {
    this.#fields = { ...this.#fields, ...fields };
  }

  accepted(forwardPath: string): void {
    this.#forwardPaths.push(forwardPath);
  }

  relayed(answer: Reply): Reply {
    this.#deps.log.info(this.#line({ event: 'message-relayed', reply: describeReply(answer) }), 'message relayed');
    const last = answer.text.length - 1;
    const withOurId = (line: string, index: number): string => (index === last ? `${line} [postern ${this.#start.queueId}]`.trim() : line);
    return { ...answer, text: answer.text.map(withOurId) };
  }

  refused(stage: UpstreamStage, answer: Reply, forwardPath?: string): Reply {
    const isFinal = isPermanent(answer);
    const fields = this.#line({
      event: isFinal ? 'message-refused' : 'message-deferred',
      stage,
      reply: describeReply(answer),
      problem: this.#deps.explain(stage, answer),
      ...(forwardPath === undefined ? {} : { forwardPaths: [forwardPath] }),
    });
    this.#deps.log.warn(fields, `upstream ${isFinal ? 'refused' : 'deferred'} the message at ${stage}`);
    return presentable(answer);
  }

  broken(error: unknown): Reply {
    if (error instanceof UpstreamError) {
      const { stage, problem: what, reply: answer } = error;
      this.#deps.log.warn(
        this.#line({ event: 'message-deferred', stage, problem: what, reply: describeReply(answer) }),
        'message not relayed',
      );
      return presentable(answer);
    }
    this.#deps.log.error(this.#line({ event: 'message-deferred', problem: problem('INTERNAL'), error }), 'message not relayed: defect');
    return reply(451, '4.3.0', 'Internal error, message not accepted; try again later');
  }

  #line(fields: LogFields): LogFields {
    const { queueId, origin, reversePath } = this.#start;
    return {
      queueId,
      sessionId: origin.sessionId,
      client: origin.client.name,
      account: origin.client.account,
      peer: origin.peer,
      reversePath,
      forwardPaths: this.#forwardPaths,
      ...this.#fields,
      durationMs: between(this.#begun, this.#deps.clock.monotonic()),
      ...fields,
    };
  }
}
