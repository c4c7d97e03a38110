/**
 * Direct delivery: the application waits while its message goes to the provider on a live upstream session. Nothing touches the disk.
 *
 * MAIL, each RCPT, DATA and end-of-data are answered with the upstream's own class and enhanced code. 250 to end-of-data is said only after
 * the upstream's complete 2yz. Where the upstream cannot be asked, the answer is a 4yz and the application keeps its message.
 *
 * @packageDocumentation
 */
import type { Account, AccountName } from '../core/account.ts';
import { between, type DurationMs, plus, seconds } from '../core/clock.ts';
import type { ForwardPath } from '../core/envelope.ts';
import type { DeliveryWatch } from '../core/ports/alerts.ts';
import { areHere, sizeOf } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Mutable } from '../core/mutable.ts';
import type { Log, LogFields } from '../core/ports/log.ts';
import type { Content, Submission, SubmissionStart, SubmissionTransaction } from '../core/ports/submission.ts';
import { type Upstream, UpstreamError, type UpstreamStage, type UpstreamTransaction } from '../core/ports/upstream.ts';
import { type Problem, problem } from '../core/problem.ts';
import { describeReply, isAccepted, isPermanent, type Reply, reply } from '../core/reply.ts';
import type { Counted, Pacer } from './pacer.ts';
import type { Pauses } from './pauses.ts';
import { DEFECT, presentable, relayed } from './replies.ts';

/** What direct delivery needs. */
export interface DirectDeliveryDependencies {
  readonly accounts: ReadonlyMap<AccountName, Account>;
  readonly upstream: Upstream;
  readonly clock: Clock;
  readonly log: Log;
  /** What a refusal by the upstream means, for the log line. */
  readonly explain: (stage: UpstreamStage, answer: Reply) => Problem;
  readonly watch?: DeliveryWatch;
  readonly pacer: Pacer;
  readonly pauses: Pauses;
  /** How long a submission waits for its account's pace, and then for one of its upstream connections. */
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
    const counted = await this.#atPace(account, patience);
    if (counted instanceof UpstreamError) return { reply: record.broken(counted) };
    try {
      const begun = await upstream.begin(account, start.reversePath, start.parameters, patience, {
        queueId: start.queueId,
        client: start.origin.client.name,
        sessionId: start.origin.sessionId,
      });
      if (begun.transaction === undefined) return { reply: record.refused('mail', begun.reply) };
      return { reply: presentable(begun.reply), transaction: new DirectTransaction(begun.transaction, record, counted) };
    } catch (error) {
      counted.correct({ messages: 0, recipients: 0 });
      return { reply: record.broken(error) };
    }
  }

  /** Wait until the pace of the account lets another message go; or not, where that would take longer than `patience`. */
  async #atPace(account: Account, patience: DurationMs): Promise<Counted | UpstreamError> {
    const { clock, pacer, pauses } = this.#deps;
    const deadline = plus(clock.monotonic(), patience);
    for (;;) {
      const wait = pacer.waitFor(account, 1);
      if (wait === 0) return pacer.count(account, 0);
      if (plus(clock.monotonic(), wait) > deadline || pauses.isOver) return tooFast(account, wait);
      await pauses.wait(wait);
    }
  }
}

function tooFast({ name, provider }: Account, wait: DurationMs): UpstreamError {
  const { messagesPerMinute, recipientsPerDay } = provider.limits;
  const pace = `${messagesPerMinute} messages a minute and ${recipientsPerDay} recipients a day`;
  const cause = `account ${name} has used up its pace (${pace}) for another ${Math.ceil(wait / 1000)} s`;
  return new UpstreamError(
    'wait',
    problem('UPSTREAM_BUSY', cause),
    reply(451, '4.3.2', 'Too many messages for this mailbox now; try again later'),
  );
}

class DirectTransaction implements SubmissionTransaction {
  readonly #upstream: UpstreamTransaction;
  readonly #record: SubmissionRecord;
  readonly #counted: Counted;
  #recipients = 0;

  constructor(upstream: UpstreamTransaction, record: SubmissionRecord, counted: Counted) {
    this.#upstream = upstream;
    this.#record = record;
    this.#counted = counted;
    record.note({ upstream: upstream.upstream, user: upstream.user });
  }

  async addForwardPath(forwardPath: ForwardPath): Promise<Reply> {
    try {
      const answer = await this.#upstream.addForwardPath(forwardPath);
      if (!isAccepted(answer)) return this.#record.refused('rcpt', answer, forwardPath.address);
      this.#record.accepted(forwardPath.address);
      this.#recipients += 1;
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
    const { messageId, traceParent } = content;
    this.#record.note({ messageId, ...(traceParent === undefined ? {} : { traceParent }) });
    const { chunks } = content;
    const meter = areHere(chunks) ? { octets: sizeOf(chunks), chunks } : new Meter(chunks);
    try {
      const answer = await this.#upstream.submitContent(meter.chunks);
      this.#record.note({ size: meter.octets });
      if (isAccepted(answer)) this.#countRecipients();
      return isAccepted(answer) ? this.#record.relayed(answer) : this.#record.refused('final-reply', answer);
    } catch (error) {
      if (error instanceof UpstreamError) {
        if (error.stage === 'final-reply') this.#countRecipients();
        return this.#record.broken(error);
      }
      throw error; // The application's own failure: the listener knows what to say.
    }
  }

  abandon(): void {
    this.#upstream.abandon();
  }

  #countRecipients(): void {
    this.#counted.correct({ messages: 1, recipients: this.#recipients });
  }
}

/** Counts the octets that pass. */
class Meter implements AsyncIterable<Uint8Array> {
  octets = 0;
  readonly chunks = this;
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

/** What becomes the one log line of a message, and the line for each refusal on the way. */
class SubmissionRecord {
  readonly #start: SubmissionStart;
  readonly #deps: Pick<DirectDeliveryDependencies, 'log' | 'clock' | 'explain' | 'watch'>;
  readonly #begun;
  readonly #forwardPaths: string[] = [];
  /** What has become known on the way. */
  readonly #known: Mutable<Partial<LogFields>> = {};

  constructor(start: SubmissionStart, deps: Pick<DirectDeliveryDependencies, 'log' | 'clock' | 'explain' | 'watch'>) {
    this.#start = start;
    this.#deps = deps;
    this.#begun = deps.clock.monotonic();
  }

  note(fields: Partial<LogFields>): void {
    Object.assign(this.#known, fields);
  }

  accepted(forwardPath: string): void {
    this.#forwardPaths.push(forwardPath);
  }

  relayed(answer: Reply): Reply {
    const line = this.#line('message-relayed');
    line.reply = describeReply(answer);
    this.#deps.log.info(line, 'message relayed');
    this.#deps.watch?.relayed(this.#start.origin.client.account);
    return relayed(answer, this.#start.queueId);
  }

  refused(stage: UpstreamStage, answer: Reply, forwardPath?: string): Reply {
    const isFinal = isPermanent(answer);
    const what = this.#deps.explain(stage, answer);
    const line = this.#line(isFinal ? 'message-refused' : 'message-deferred');
    line.stage = stage;
    line.reply = describeReply(answer);
    line.problem = what;
    if (forwardPath !== undefined) line.forwardPaths = [forwardPath];
    this.#deps.log.warn(line, `upstream ${isFinal ? 'refused' : 'deferred'} the message at ${stage}`);
    this.#deps.watch?.failed(this.#start.origin.client.account, what);
    return presentable(answer);
  }

  broken(error: unknown): Reply {
    const line = this.#line('message-deferred');
    if (error instanceof UpstreamError) {
      const { stage, problem: what, reply: answer } = error;
      line.stage = stage;
      line.problem = what;
      line.reply = describeReply(answer);
      this.#deps.log.warn(line, 'message not relayed');
      this.#deps.watch?.failed(this.#start.origin.client.account, what);
      return presentable(answer);
    }
    line.problem = problem('INTERNAL');
    line.error = error;
    this.#deps.log.error(line, 'message not relayed: defect');
    return DEFECT;
  }

  /** What every line says; the caller adds the rest. */
  #line(event: string): Mutable<LogFields> {
    const { queueId, origin, reversePath } = this.#start;
    const line: Mutable<LogFields> = {
      event,
      queueId,
      sessionId: origin.sessionId,
      client: origin.client.name,
      account: origin.client.account,
      peer: origin.peer,
      reversePath,
      forwardPaths: [...this.#forwardPaths],
      durationMs: between(this.#begun, this.#deps.clock.monotonic()),
    };
    return Object.assign(line, this.#known);
  }
}
