/**
 * What the queue tells the operator: one line for each message that goes, waits, is refused or given up, and for each change of an account.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../core/account.ts';
import type { DurationMs } from '../core/clock.ts';
import type { Mutable } from '../core/mutable.ts';
import type { QueueId } from '../core/ids.ts';
import type { DeliveryWatch } from '../core/ports/alerts.ts';
import type { Log, LogFields } from '../core/ports/log.ts';
import type { RelayResult } from '../core/ports/upstream.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import { describeReply } from '../core/reply.ts';
import type { AccountState } from './account-state.ts';
import type { Judgement, RecipientOutcome } from './outcome.ts';

/** The message that a line is about. */
export interface LoggedMessage {
  readonly queueId: QueueId;
  readonly account: AccountName;
  readonly client: string;
  readonly messageId: string;
  readonly traceParent?: string;
  readonly reversePath: string;
  readonly size: number;
  /** Of the attempt, in the order of its envelope. */
  readonly forwardPaths: readonly string[];
  /** Of the submission, where the application is still there. */
  readonly origin?: Pick<LogFields, 'sessionId' | 'peer'>;
}

/** How an attempt went. */
export interface LoggedAttempt {
  readonly result: RelayResult;
  readonly judgement: Judgement;
  /** 1 for the first. */
  readonly attempt: number;
  readonly duration: DurationMs;
}

export class DeliveryLog {
  readonly #log: Log;
  readonly #watch: DeliveryWatch | undefined;

  constructor(log: Log, watch?: DeliveryWatch) {
    this.#log = log;
    this.#watch = watch;
  }

  /** One line for each kind of outcome that recipients have. */
  attempted(message: LoggedMessage, attempted: LoggedAttempt): void {
    const { account, recipients } = attempted.judgement;
    this.#delivered(message, attempted);
    this.#refused(message, attempted);
    this.#deferred(message, attempted);
    if (account.kind === 'trouble') this.#watch?.failed(message.account, account.trouble.problem);
    if (recipients.some(({ kind }) => kind === 'delivered')) this.#watch?.relayed(message.account);
  }

  /** The spool has the message; the application was told so. */
  queued(message: LoggedMessage, why: string, what?: Problem): void {
    const line = about('message-queued', message, message.forwardPaths);
    if (what !== undefined) line.problem = what;
    this.#log.info(line, `message queued: ${why}`);
  }

  /** The spool could not take the message; the application was told to keep it. */
  notQueued(message: Partial<LoggedMessage> & Pick<LoggedMessage, 'queueId' | 'account'>, what: Problem): void {
    const { queueId, account, client, origin } = message;
    const known = { queueId, account, ...(client === undefined ? {} : { client }), ...origin };
    this.#log.error({ event: 'message-deferred', ...known, problem: what }, 'message not accepted');
  }

  /** An earlier attempt may have delivered the message. */
  triedAgain(message: LoggedMessage): void {
    const what = problem('UPSTREAM_AMBIGUOUS', `message ${message.messageId} may have been delivered by an earlier attempt`);
    const line = about('message-ambiguous', message, message.forwardPaths);
    line.problem = what;
    this.#log.warn(line, 'trying again: the message may be delivered twice');
  }

  reported(message: LoggedMessage, kind: string, to: string, reportId: QueueId): void {
    this.#log.info(about('message-reported', message, [to]), `report (${kind}) about the message queued as ${reportId}`);
  }

  gaveUp(message: LoggedMessage, expired: readonly string[]): void {
    const what = problem('UPSTREAM_DEFERRED', `message ${message.messageId} was tried for as long as delivery.giveUpAfter says`, {
      heals: 'never',
      remedy: 'Look at the lines about the message before this one; then let the application send it again.',
    });
    const line = about('message-given-up', message, expired);
    line.problem = what;
    this.#log.warn(line, 'message given up');
  }

  deadLetter(message: LoggedMessage, what: Problem): void {
    const line = about('dead-letter', message, message.forwardPaths);
    line.problem = what;
    this.#log.error(line, 'message kept: it could be neither delivered nor returned');
  }

  /** The state of an account changed. */
  accountChanged(account: AccountName, before: AccountState, now: AccountState): void {
    if (now.kind === 'open') {
      if (before.kind !== 'open') this.#log.info({ event: 'account-open', account }, 'the account submits again');
      return;
    }
    const isNews = before.kind !== now.kind || before.name !== now.name;
    const fields = { event: `account-${now.kind}`, account, problem: now.problem };
    if (!isNews) this.#log.debug(fields, 'the trouble of the account goes on');
    else if (now.kind === 'held') this.#log.error(fields, 'mail of the account waits until the trouble is repaired');
    else this.#log.warn(fields, 'mail of the account waits until the trouble has passed');
  }

  /** Messages of an account that is no longer configured. */
  orphaned(account: AccountName, entries: number): void {
    const what = problem('CONFIG_INVALID', `there is no account named ${account}, and ${entries} messages of it are in the queue`, {
      remedy: 'Configure the account again, so that they are delivered, or drop them: postern queue list --account NAME.',
    });
    this.#log.error({ event: 'queue-orphaned', account, problem: what }, 'messages of an unknown account wait in the queue');
  }

  /** The spool failed, or something that must not happen did; the message stays where it is. */
  stuck(about: { readonly account: AccountName; readonly queueId?: QueueId }, doing: string, error: unknown): void {
    const { account, queueId } = about;
    const where = queueId === undefined ? { account } : { account, queueId };
    const what = error instanceof ProblemError ? { problem: error.problem } : { problem: problem('INTERNAL', doing), error };
    this.#log.error({ event: 'queue-stuck', ...where, ...what }, `${doing} failed`);
  }

  #delivered(message: LoggedMessage, attempted: LoggedAttempt): void {
    const { recipients } = attempted.judgement;
    const first = recipients.find((outcome) => outcome.kind === 'delivered');
    if (first === undefined) return;
    const forwardPaths = message.forwardPaths.filter((_, index) => recipients[index]?.kind === 'delivered');
    const line = ofAttempt('message-relayed', message, attempted, forwardPaths);
    line.reply = describeReply(first.reply);
    this.#log.info(line, 'message relayed');
  }

  #refused(message: LoggedMessage, attempted: LoggedAttempt): void {
    attempted.judgement.recipients.forEach((outcome, index) => {
      if (outcome.kind !== 'refused') return;
      const { stage, problem: what, reply } = outcome;
      const line = ofAttempt('message-refused', message, attempted, message.forwardPaths.slice(index, index + 1));
      line.stage = stage;
      line.reply = describeReply(reply);
      line.problem = what;
      this.#log.warn(line, `upstream refused the message at ${stage}`);
      this.#watch?.failed(message.account, what);
    });
  }

  #deferred(message: LoggedMessage, attempted: LoggedAttempt): void {
    const { result, judgement } = attempted;
    const { recipients, isAmbiguous } = judgement;
    const first = recipients.find((outcome) => outcome.kind === 'retry' || outcome.kind === 'waits');
    if (first === undefined) return;
    const forwardPaths = message.forwardPaths.filter((_, index) => isPending(recipients[index]));
    const line = ofAttempt('message-deferred', message, attempted, forwardPaths);
    if (result.failure !== undefined) line.stage = result.failure.stage;
    if (first.reply !== undefined) line.reply = describeReply(first.reply);
    line.problem = first.problem;
    const text = isAmbiguous ? `message ${message.messageId} may have been delivered, and may be delivered twice` : 'message deferred';
    this.#log.warn(line, text);
  }
}

/** The beginning of a line about an attempt. */
function ofAttempt(
  event: string,
  message: LoggedMessage,
  { result: { upstream, user }, attempt, duration }: LoggedAttempt,
  forwardPaths: readonly string[],
): Mutable<LogFields> {
  const line = about(event, message, forwardPaths);
  line.attempt = attempt;
  line.durationMs = duration;
  if (upstream !== undefined) line.upstream = upstream;
  if (user !== undefined) line.user = user;
  return line;
}

/** The beginning of a line about a message. Put together name by name: there is one for each message, and spreading costs several times that. */
function about(event: string, message: LoggedMessage, forwardPaths: readonly string[]): Mutable<LogFields> {
  const { queueId, account, client, messageId, traceParent, reversePath, size, origin } = message;
  const line: Mutable<LogFields> = { event, queueId, account, client, messageId, reversePath, size, forwardPaths };
  if (traceParent !== undefined) line.traceParent = traceParent;
  if (origin?.sessionId !== undefined) line.sessionId = origin.sessionId;
  if (origin?.peer !== undefined) line.peer = origin.peer;
  return line;
}

const isPending = (outcome: RecipientOutcome | undefined): boolean => outcome?.kind === 'retry' || outcome?.kind === 'waits';
