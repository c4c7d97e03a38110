/**
 * Delivery through the spool: `queue`, and `auto`, which tries at once and keeps what cannot go now.
 *
 * MAIL and RCPT are answered here, after policy, and the content is taken in before the upstream is asked, so that an application that dawdles holds
 * none of the account's connections. The draft stays in memory, or unsynced in a file, until it has to be kept: a message that the upstream takes, or
 * refuses for good, at once costs no sync.
 *
 * 250 is said once the upstream has the message for every recipient, or the spool has it durably. 5yz: the upstream has refused every recipient for good.
 * 4yz: the spool could not take it, and nothing of it is ever delivered.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import type { DurationMs } from '../core/clock.ts';
import type { ForwardPath } from '../core/envelope.ts';
import type { Mutable } from '../core/mutable.ts';
import { areHere, type Chunks } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Draft, Spool } from '../core/ports/spool.ts';
import type { Begun, Content, Submission, SubmissionStart, SubmissionTransaction } from '../core/ports/submission.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import type { Reply } from '../core/reply.ts';
import type { NewMessage } from '../core/spool-entry.ts';
import type { Calendar } from './calendar.ts';
import type { DeliveryLog, LoggedMessage } from './delivery-log.ts';
import type { Lane } from './lane.ts';
import type { Pauses } from './pauses.ts';
import { DEFECT, notQueued, RECIPIENT_OK, SENDER_OK } from './replies.ts';
import type { Scheduler } from './scheduler.ts';
import { TakenMessage } from './taken-message.ts';

/** What delivery through the spool needs. */
export interface SpooledDeliveryDependencies {
  readonly scheduler: Scheduler;
  readonly spool: Spool;
  readonly clock: Clock;
  readonly calendar: Calendar;
  readonly pauses: Pauses;
  readonly log: DeliveryLog;
  /** How long an application waits for the attempt that is made at once. */
  readonly budget: () => DurationMs;
}

export class SpooledDelivery implements Submission {
  readonly #deps: SpooledDeliveryDependencies;

  constructor(deps: SpooledDeliveryDependencies) {
    this.#deps = deps;
  }

  begin(start: SubmissionStart): Begun {
    const { account } = start.origin.client;
    const lane = this.#deps.scheduler.laneOf(account);
    if (lane === undefined) {
      this.#deps.log.notQueued({ queueId: start.queueId, account }, problem('INTERNAL', `no account named ${account}`));
      return { reply: DEFECT };
    }
    return { reply: SENDER_OK, transaction: new SpooledTransaction(start, lane, this.#deps) };
  }
}

class SpooledTransaction implements SubmissionTransaction {
  readonly #start: SubmissionStart;
  readonly #lane: Lane;
  readonly #deps: SpooledDeliveryDependencies;
  readonly #forwardPaths: ForwardPath[] = [];
  #draft: Draft | undefined;
  #isAbandoned = false;

  constructor(start: SubmissionStart, lane: Lane, deps: SpooledDeliveryDependencies) {
    this.#start = start;
    this.#lane = lane;
    this.#deps = deps;
  }

  addForwardPath(forwardPath: ForwardPath): Reply {
    this.#forwardPaths.push(forwardPath);
    return RECIPIENT_OK;
  }

  async prepareContent(): Promise<Reply | undefined> {
    const { size } = this.#start.parameters;
    const { name: account } = this.#account;
    try {
      const draft = await this.#deps.spool.openDraft(size === undefined ? { account } : { account, expectedSize: size });
      // The application has left meanwhile. Nobody else would give back the room that the draft takes.
      if (this.#isAbandoned) await draft.discard();
      else this.#draft = draft;
      return undefined;
    } catch (error) {
      return this.#notAccepted(problemOf(error));
    }
  }

  async submitContent(content: Content): Promise<Reply> {
    const draft = this.#draft;
    this.#draft = undefined; // From here on it is ours to end, whatever the application does.
    if (draft === undefined) return this.#notAccepted(problem('INTERNAL', 'content without a draft'));
    const { chunks } = content;
    const failed = areHere(chunks) ? await takeAll(draft, chunks) : await take(draft, chunks);
    if (failed !== undefined) return this.#notAccepted(failed);
    const message = this.#message(content);
    const taken = new TakenMessage({ lane: this.#lane, draft, message, logged: this.#logged(message, draft) }, this.#deps);
    try {
      return await taken.deliver(this.#account.delivery === 'queue' ? 'later' : 'now');
    } catch (error) {
      await draft.discard();
      this.#deps.log.stuck({ account: this.#account.name, queueId: this.#start.queueId }, 'taking a message', error);
      return DEFECT;
    }
  }

  abandon(): void {
    this.#isAbandoned = true;
    void this.#draft?.discard();
    this.#draft = undefined;
  }

  get #account(): Account {
    return this.#lane.account;
  }

  #message({ messageId, traceParent }: Content): NewMessage {
    const { queueId, origin, reversePath, parameters } = this.#start;
    const now = this.#deps.calendar.now();
    const message: Mutable<NewMessage> = {
      queueId,
      account: this.#account.name,
      client: origin.client.name,
      acceptedAt: now,
      reversePath,
      parameters,
      forwardPaths: this.#forwardPaths,
      messageId,
      nextAttemptAt: now,
    };
    if (traceParent !== undefined) message.traceParent = traceParent;
    return message;
  }

  #logged(message: NewMessage, { size }: Draft): LoggedMessage {
    const { queueId, account, client, messageId, traceParent, reversePath } = message;
    const { sessionId, peer } = this.#start.origin;
    const forwardPaths = message.forwardPaths.map(({ address }) => address);
    const logged: Mutable<LoggedMessage> = {
      queueId,
      account,
      client,
      messageId,
      reversePath,
      size,
      forwardPaths,
      origin: { sessionId, peer },
    };
    if (traceParent !== undefined) logged.traceParent = traceParent;
    return logged;
  }

  #notAccepted(what: Problem): Reply {
    const { queueId, origin } = this.#start;
    const { sessionId, peer, client } = origin;
    this.#deps.log.notQueued({ queueId, account: client.account, client: client.name, origin: { sessionId, peer } }, what);
    return notQueued(what);
  }
}

/**
 * Take content into the draft.
 *
 * @returns What the spool has against it; the draft is over then.
 * @throws Whatever `chunks` throws; the draft is over then as well.
 */
async function take(draft: Draft, chunks: Chunks): Promise<Problem | undefined> {
  try {
    for await (const chunk of chunks) {
      const failed = await takeAll(draft, [chunk]);
      if (failed !== undefined) return failed;
    }
    return undefined;
  } catch (error) {
    await draft.discard();
    throw error; // The application's own failure: the listener knows what to say.
  }
}

/** Content that is here. @returns What the spool has against it; the draft is over then. */
async function takeAll(draft: Draft, chunks: readonly Uint8Array[]): Promise<Problem | undefined> {
  try {
    for (const chunk of chunks) {
      const room = draft.write(chunk);
      if (room !== undefined) await room;
    }
    return undefined;
  } catch (error) {
    await draft.discard();
    return problemOf(error);
  }
}

function problemOf(error: unknown): Problem {
  return error instanceof ProblemError ? error.problem : problem('INTERNAL', `the spool failed: ${String(error)}`);
}
