/**
 * Makes durable what an attempt came to, with the report that belongs to it.
 *
 * Once the upstream may have the message, its outcome has to be recorded, however long the disk takes: until then the entry stays leased and is not
 * tried again. Should the process end first, the entry is ambiguous at the next start, and says so.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { type DurationMs, milliseconds, plus, seconds } from '../core/clock.ts';
import type { Lease, Report } from '../core/ports/spool.ts';
import { ProblemError, problem } from '../core/problem.ts';
import type { RecipientStatus, SpoolEntry } from '../core/spool-entry.ts';
import type { ReportPolicy } from '../message/report-plan.ts';
import type { AccountRef } from './account-ref.ts';
import type { DeadLetterWatch } from './dead-letter-watch.ts';
import type { DeliveryLog, LoggedMessage } from './delivery-log.ts';
import type { Classify } from './outcome.ts';
import type { Pauses } from './pauses.ts';
import { draftReport, type ReportDependencies } from './reports.ts';
import { retryWait } from './retry-schedule.ts';
import { type Settlement, type SettlementContext, withoutReport } from './settlement.ts';

/** What settling needs. */
export interface SettlerDependencies extends ReportDependencies {
  /** How reports about an account's messages are wanted. */
  readonly policyOf: (account: Account) => ReportPolicy;
  readonly classify: Classify;
  readonly pauses: Pauses;
  readonly log: DeliveryLog;
  readonly deadLetters: DeadLetterWatch;
}

/** What an attempt adds to the context of its settlement. */
export type AttemptContext = Pick<SettlementContext, 'isDsnPassedOn' | 'remoteMta'>;

/** Decides what becomes of the entry; called again where the first decision could not be recorded. */
export type Decide = (entry: SpoolEntry, context: SettlementContext) => Settlement;

const FIRST_PAUSE = seconds(1);
const LONGEST_PAUSE = seconds(60);
/** So often an outcome is to be recorded together with its report; after that, about a quarter of a minute, without it. */
const REPORT_TRIES = 4;

export class Settler {
  readonly #account: Readonly<AccountRef>;
  readonly #deps: SettlerDependencies;

  constructor(account: Readonly<AccountRef>, deps: SettlerDependencies) {
    this.#account = account;
    this.#deps = deps;
  }

  /** What a decision is made with. */
  context(entry: Pick<SpoolEntry, 'acceptedAt'>, attempt: AttemptContext): SettlementContext {
    const { calendar, random, policyOf, classify } = this.#deps;
    return {
      ...attempt,
      now: calendar.now(),
      age: calendar.age(entry.acceptedAt),
      random: random.fraction(),
      policy: policyOf(this.#account.current),
      explain: (status) => adviceOn(status, classify),
    };
  }

  /** Never rejects. @returns Once it is recorded; or cannot be, and the log says so. */
  async settle(lease: Lease, entry: SpoolEntry, attempt: AttemptContext, decide: Decide): Promise<void> {
    const { pauses, log } = this.#deps;
    const message = loggedEntry(entry);
    for (let failures = 0; ; failures += 1) {
      try {
        await this.#once(lease, entry, message, this.#decided(entry, attempt, decide, failures));
        return;
      } catch (error) {
        log.stuck(message, 'recording what became of the message', error);
        if (!(error instanceof ProblemError)) return this.#setAside(lease, entry, message);
        if (isGone(error) || (pauses.isOver && failures > REPORT_TRIES)) return;
        await pauses.wait(pauseAfter(failures));
      }
    }
  }

  /** A report takes room on the disk, which may not be had before other mail has left; without it the outcome alone is recorded. */
  #decided(entry: SpoolEntry, attempt: AttemptContext, decide: Decide, failures: number): Settlement {
    const context = this.context(entry, attempt);
    const settlement = decide(entry, context);
    if (failures < REPORT_TRIES) return settlement;
    return withoutReport(entry, settlement, plus(context.now, retryWait(entry.attempts + 1, context.random)));
  }

  /** @throws ProblemError where it was not recorded. */
  async #once(lease: Lease, entry: SpoolEntry, message: LoggedMessage, settlement: Settlement): Promise<void> {
    const { outcome, report: plan, deadLetter, expired } = settlement;
    const report = plan === undefined ? undefined : await draftReport(plan, entry, this.#account.current, this.#deps);
    const isRecorded = await this.#record(lease, outcome, report);
    if (!isRecorded) return; // Dropped by an operator meanwhile, or somebody else's by now.
    const { log, deadLetters } = this.#deps;
    if (expired.length > 0)
      log.gaveUp(
        message,
        expired.map((index) => message.forwardPaths[index] ?? ''),
      );
    if (plan !== undefined && report !== undefined) log.reported(message, plan.kind, plan.to, report.message.queueId);
    if (deadLetter === undefined) return;
    log.deadLetter(message, deadLetter);
    deadLetters.found(this.#account.current.name, deadLetter);
  }

  async #record(lease: Lease, outcome: Settlement['outcome'], report: Report | undefined): Promise<boolean> {
    const { spool } = this.#deps;
    return report === undefined ? spool.settleAttempt(lease, outcome) : spool.settleAttempt(lease, outcome, report);
  }

  /** A defect: what the entry is to become does not fit it. Trying it again could deliver it again and again. */
  async #setAside(lease: Lease, { queueId }: SpoolEntry, message: LoggedMessage): Promise<void> {
    const { spool, calendar, log } = this.#deps;
    const { cause, code } = problem('INTERNAL', 'what became of the message could not be recorded; it may have been delivered');
    try {
      await spool.hold(queueId, { code, cause, since: calendar.now() });
      await spool.release(lease);
    } catch (error) {
      log.stuck(message, `putting message ${queueId} on hold`, error);
    }
  }
}

/** Nothing of the entry is left to be settled. */
const isGone = ({ problem: { code } }: ProblemError): boolean => code === 'SPOOL_DAMAGED' || code === 'SPOOL_ENTRY_UNKNOWN';

function pauseAfter(failures: number): DurationMs {
  return milliseconds(Math.min(FIRST_PAUSE * 2 ** failures, LONGEST_PAUSE));
}

/** For a person: what the table says to do about the last reply. */
function adviceOn(status: RecipientStatus, classify: Classify): string | undefined {
  return status.kind === 'failed' ? classify('final-reply', status.reply).problem.remedy : undefined;
}

/** An entry in a log line; the forward-paths are all of them unless told. */
export function loggedEntry(entry: SpoolEntry, indexes: readonly number[] = entry.recipients.map((_, index) => index)): LoggedMessage {
  const { queueId, account, client, messageId, traceParent, reversePath, size } = entry;
  const forwardPaths = indexes.map((index) => entry.recipients[index]?.forwardPath.address ?? '');
  const trace = traceParent === undefined ? {} : { traceParent };
  return { queueId, account, client, messageId, ...trace, reversePath, size, forwardPaths };
}
