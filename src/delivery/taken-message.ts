/**
 * A message whose content has been taken in, on its way to the upstream or to the spool while the application waits for the answer.
 *
 * What the first attempt came to decides: delivered to all, or refused for all, is told as it is and leaves nothing behind. Everything else is made
 * durable, with what is known of each recipient, before 250 is said.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Draft } from '../core/ports/spool.ts';
import { ProblemError } from '../core/problem.ts';
import type { Reply } from '../core/reply.ts';
import { type NewMessage, newEntry, type RecipientStatus } from '../core/spool-entry.ts';
import type { Tried } from './courier.ts';
import type { DeliveryLog, LoggedMessage } from './delivery-log.ts';
import { FirstAttempt } from './first-attempt.ts';
import type { Lane } from './lane.ts';
import { leaseEnd, OWNER } from './lease-keeper.ts';
import type { Counted } from './pacer.ts';
import type { Pauses } from './pauses.ts';
import { notQueued, presentable, queued, relayed } from './replies.ts';
import { afterAttempt, type Settlement } from './settlement.ts';

/** A message and where it goes. */
export interface TakenMessageParts {
  readonly lane: Lane;
  readonly draft: Draft;
  readonly message: NewMessage;
  readonly logged: LoggedMessage;
}

/** What delivering it needs. */
export interface TakenMessageDependencies {
  readonly clock: Clock;
  readonly pauses: Pauses;
  readonly log: DeliveryLog;
  readonly budget: () => DurationMs;
}

export class TakenMessage {
  readonly #parts: TakenMessageParts;
  readonly #deps: TakenMessageDependencies;

  constructor(parts: TakenMessageParts, deps: TakenMessageDependencies) {
    this.#parts = parts;
    this.#deps = deps;
  }

  /**
   * The answer to end-of-data. The draft is over then.
   *
   * @param when - `now`: try at once, if the account is in order.
   */
  async deliver(when: 'now' | 'later'): Promise<Reply> {
    const { lane, message } = this.#parts;
    if (when === 'later') return this.#queue('the account delivers from the queue');
    const admitted = lane.admitAtOnce(message.forwardPaths.length);
    const counted = admitted instanceof Promise ? await admitted : admitted;
    return counted === undefined ? this.#queue(reasonToWait(lane)) : this.#deliverNow(counted);
  }

  async #deliverNow(counted: Counted): Promise<Reply> {
    const attempt = new FirstAttempt({ ...this.#parts, counted }, this.#deps);
    try {
      const tried = await attempt.inTime();
      return await (tried === undefined ? this.#acceptUnderWay(attempt) : this.#conclude(tried));
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      return this.#queue(`its content could not be read: ${error.problem.cause}`); // Nothing was delivered.
    }
  }

  /** The attempt is over in time. */
  async #conclude(tried: Tried): Promise<Reply> {
    const told = this.#replyOf(tried);
    if (told === undefined) return this.#keep(tried, this.#settlementOf(tried));
    if (this.#wantsReportOfSuccess && this.#settlementOf(tried).report?.kind === 'success') await this.#acceptForReport(tried);
    else await this.#parts.draft.discard();
    return told;
  }

  /** RFC 3461 §5.2.2: an upstream without DSN will not report success, so we do. That takes an entry. */
  get #wantsReportOfSuccess(): boolean {
    return this.#parts.message.forwardPaths.some(({ notify }) => notify?.some((word) => word === 'SUCCESS') === true);
  }

  /** What the application can be told of the attempt as a whole; undefined where it must not hear of it, since something is left to be done. */
  #replyOf({ judgement: { recipients } }: Tried): Reply | undefined {
    const [first] = recipients;
    if (first?.kind === 'delivered' && recipients.every(({ kind }) => kind === 'delivered')) {
      return relayed(first.reply, this.#parts.message.queueId);
    }
    // All permanent, so they are of one class; the first stands for all.
    return first?.kind === 'refused' && recipients.every(({ kind }) => kind === 'refused') ? presentable(first.reply) : undefined;
  }

  /** Something is left to be done: the message stays, with what is known of each recipient. */
  async #keep(tried: Tried, { outcome, report }: Settlement): Promise<Reply> {
    const { lane, draft, message } = this.#parts;
    const { judgement } = tried;
    const before = newEntry(message, draft.size);
    const { next, isAmbiguous = false } = outcome;
    const nextAttemptAt = next.kind === 'retry' ? next.at : message.nextAttemptAt;
    const kept: NewMessage = { ...message, statuses: outcome.statuses.map(unreported), isAmbiguous, nextAttemptAt };
    const why = judgement.recipients.find((one) => one.kind === 'retry' || one.kind === 'waits');
    return this.#accepted(why === undefined ? 'some recipients were refused' : why.problem.cause, async () => {
      if (report === undefined && next.kind === 'retry') await draft.accept({ ...kept, attempts: 1 });
      else lane.report(await draft.acceptLeased(kept, this.#lease(false)), before, tried);
    });
  }

  /** Time is up: the spool takes the message, and the attempt goes on. */
  async #acceptUnderWay(attempt: FirstAttempt): Promise<Reply> {
    const { lane } = this.#parts;
    const accepted = await this.#tryTo(async () => lane.adopt(await attempt.accept(), attempt.done));
    if (accepted === undefined) return this.#reportQueued(reasonToWait(lane));
    // The spool cannot take it, but the upstream may be taking it right now. Only the attempt can tell.
    const tried = await attempt.done.catch(() => undefined);
    return (tried === undefined ? undefined : this.#replyOf(tried)) ?? accepted;
  }

  async #acceptForReport(tried: Tried): Promise<void> {
    const { lane, draft, message } = this.#parts;
    await this.#tryTo(async () => lane.adopt(await draft.acceptLeased(message, this.#lease(true)), Promise.resolve(tried)));
  }

  #queue(why: string): Promise<Reply> {
    const { draft, message } = this.#parts;
    return this.#accepted(why, async () => void (await draft.accept(message)));
  }

  async #accepted(why: string, accept: () => Promise<void>): Promise<Reply> {
    return (await this.#tryTo(accept)) ?? this.#reportQueued(why);
  }

  /** @returns Undefined; or what the application reads where the spool refuses. */
  async #tryTo(accept: () => Promise<void>): Promise<Reply | undefined> {
    try {
      await accept();
      return undefined;
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      this.#deps.log.notQueued(this.#parts.logged, error.problem);
      return notQueued(error.problem);
    }
  }

  #reportQueued(why: string): Reply {
    this.#deps.log.queued(this.#parts.logged, why);
    return queued(this.#parts.message.queueId);
  }

  /** What the entry would become if it were one. */
  #settlementOf({ judgement, result }: Tried): Settlement {
    const { lane, draft, message } = this.#parts;
    const entry = newEntry(message, draft.size);
    return afterAttempt(entry, judgement, lane.settler.context(entry, { isDsnPassedOn: result.isDsnPassedOn }));
  }

  #lease(isTransmitting: boolean) {
    return { owner: OWNER, until: leaseEnd(this.#deps.clock), isTransmitting };
  }
}

function unreported(status: RecipientStatus): RecipientStatus {
  return 'isReported' in status ? { ...status, isReported: false } : status;
}

function reasonToWait({ gate: { state } }: Lane): string {
  return state.kind === 'open' ? 'the provider has not taken it yet' : state.problem.cause;
}
