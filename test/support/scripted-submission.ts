/**
 * A delivery that does what addresses and content tell it to, and keeps what it was given.
 *
 * - reverse-path `busy@…`: MAIL is deferred.
 * - forward-path `unknown@…`: refused; `later@…`: deferred.
 * - `nodata@…` among the accepted forward-paths: DATA is refused.
 * - content with the field `X-Verdict: refuse`: refused after the whole of it was read; `refuse-early`: after the first chunk; `defect`: an exception.
 *
 * @packageDocumentation
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ForwardPath } from '../../src/core/envelope.ts';
import type { Content, Submission, SubmissionStart, SubmissionTransaction } from '../../src/core/ports/submission.ts';
import { type Reply, reply } from '../../src/core/reply.ts';

/** What became of one transaction. */
export interface ScriptedTransaction {
  readonly start: SubmissionStart;
  readonly forwardPaths: ForwardPath[];
  messageId?: string;
  /** All octets of the content, in wire form, once it has been submitted whole. */
  content?: Buffer;
  /** What the chunks threw. */
  failure?: unknown;
  outcome: 'open' | 'submitted' | 'refused' | 'abandoned';
}

export class ScriptedSubmission implements Submission {
  readonly transactions: ScriptedTransaction[] = [];
  /** Awaited before the first chunk of content is read: backpressure. */
  beforeContent: () => Promise<void> = () => Promise.resolve();
  /** Awaited before end-of-data is answered. */
  beforeAnswer: () => Promise<void> = () => Promise.resolve();

  get submitted(): ScriptedTransaction[] {
    return this.transactions.filter(({ outcome }) => outcome === 'submitted');
  }

  async begin(start: SubmissionStart): Promise<{ readonly reply: Reply; readonly transaction?: SubmissionTransaction }> {
    await nextTurn();
    if (start.reversePath.startsWith('busy@')) return { reply: reply(451, '4.4.1', 'Upstream cannot be reached') };
    const record: ScriptedTransaction = { start, forwardPaths: [], outcome: 'open' };
    this.transactions.push(record);
    return { reply: reply(250, '2.1.0', 'Sender OK'), transaction: new ScriptedTransactionPort(this, record) };
  }
}

class ScriptedTransactionPort implements SubmissionTransaction {
  readonly #submission: ScriptedSubmission;
  readonly #record: ScriptedTransaction;

  constructor(submission: ScriptedSubmission, record: ScriptedTransaction) {
    this.#submission = submission;
    this.#record = record;
  }

  async addForwardPath(forwardPath: ForwardPath): Promise<Reply> {
    if (forwardPath.address.startsWith('unknown@')) return reply(550, '5.1.1', 'No such mailbox', 'said the upstream');
    if (forwardPath.address.startsWith('later@')) return reply(451, '4.2.0', 'Mailbox busy');
    this.#record.forwardPaths.push(forwardPath);
    return reply(250, '2.1.5', 'Recipient OK');
  }

  async prepareContent(): Promise<Reply | undefined> {
    const isUnwilling = this.#record.forwardPaths.some(({ address }) => address.startsWith('nodata@'));
    return isUnwilling ? reply(452, '4.3.1', 'No room') : undefined;
  }

  async submitContent(content: Content): Promise<Reply> {
    this.#record.messageId = content.messageId;
    await this.#submission.beforeContent();
    const chunks: Uint8Array[] = [];
    try {
      for await (const chunk of content.chunks) {
        chunks.push(chunk);
        if (verdictIn(chunks) === 'refuse-early') return this.#refuse(reply(552, '5.2.2', 'Mailbox full'));
      }
    } catch (error) {
      this.#record.failure = error;
      throw error;
    }
    if (verdictIn(chunks) === 'defect') throw new TypeError('scripted defect');
    await this.#submission.beforeAnswer();
    if (verdictIn(chunks) === 'refuse')
      return this.#refuse(reply(550, '5.7.60', 'SMTP; Client does not have permissions', 'to send as this sender'));
    this.#record.content = Buffer.concat(chunks);
    this.#record.outcome = 'submitted';
    return reply(250, '2.0.0', 'OK <scripted>');
  }

  abandon(): void {
    if (this.#record.outcome === 'open') this.#record.outcome = 'abandoned';
  }

  #refuse(answer: Reply): Reply {
    this.#record.outcome = 'refused';
    return answer;
  }
}

function verdictIn(chunks: readonly Uint8Array[]): string | undefined {
  const head = Buffer.concat(chunks.slice(0, 3)).subarray(0, 4096).toString('latin1');
  return /^X-Verdict: (\S+)\r$/m.exec(head)?.[1];
}
