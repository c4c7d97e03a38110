/**
 * Where all conditions of all accounts are brought, and alerts go out: one log line each, and whatever sinks there are.
 *
 * What is told is on disk before it goes out, so a restart tells nothing twice; a process that is killed in between has told it to nobody, and the
 * reminder a day later makes up for it.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../core/account.ts';
import type { Alert, AlertTopic, Condition } from '../core/alert.ts';
import { between, type EpochMs } from '../core/clock.ts';
import type { Alerts } from '../core/ports/alerts.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { problem } from '../core/problem.ts';
import { readAlertFile, writeAlertFile } from './alert-file.ts';
import { cleared, isWorthKeeping, type LedgerEntry, seen, type Step } from './alert-ledger.ts';
import { describeLength } from './alert-message.ts';

/** Where alerts go besides the log. */
export interface AlertSink {
  /** Does not wait and never throws. */
  take(alert: Alert): void;
  /** Takes no more; what is on its way gets a moment. */
  close(): Promise<void>;
}

/** What the desk needs. */
export interface AlertDeskOptions {
  /** Absolute path of the ledger. */
  readonly file: string;
  /** Entries of others are forgotten. */
  readonly accounts: readonly AccountName[];
  readonly sinks: readonly AlertSink[];
  readonly clock: Clock;
  readonly log: Log;
}

/** What a changed configuration may change. */
export type AlertDeskSettings = Pick<AlertDeskOptions, 'accounts' | 'sinks'>;

export class AlertDesk implements Alerts {
  readonly #options: AlertDeskOptions;
  readonly #entries = new Map<string, LedgerEntry>();
  /** Alerts go out one after another, each after the ledger that knows it. */
  #work: Promise<void> = Promise.resolve();
  #isFileBroken = false;
  #sinks: readonly AlertSink[];

  private constructor(options: AlertDeskOptions, entries: readonly LedgerEntry[]) {
    this.#options = options;
    const { accounts, clock, sinks } = options;
    this.#sinks = sinks;
    for (const entry of entries) {
      if (accounts.includes(entry.account) && isWorthKeeping(entry, clock.now())) this.#entries.set(keyOf(entry), entry);
    }
  }

  /** Never throws: without its ledger it tells again what was told before. */
  static async open(options: AlertDeskOptions): Promise<AlertDesk> {
    try {
      return new AlertDesk(options, await readAlertFile(options.file));
    } catch (error) {
      options.log.warn(recordFailed(options.file, error), 'the record of alerts cannot be read: an alert may come twice');
      return new AlertDesk(options, []);
    }
  }

  raise(condition: Condition): void {
    this.#step(condition, (entry, now) => seen(entry, condition, now));
  }

  clear(account: AccountName, topic: AlertTopic, asOf?: EpochMs): void {
    const subject = { account, topic };
    if (this.#entries.has(keyOf(subject))) this.#step(subject, (entry, now) => cleared(entry, asOf ?? now, now));
  }

  /** Take over a changed configuration. Sinks that are not in it any more are closed; what is true of the other accounts is still known. */
  update({ accounts, sinks }: AlertDeskSettings): void {
    for (const [key, { account }] of this.#entries) if (!accounts.includes(account)) this.#entries.delete(key);
    const gone = this.#sinks.filter((sink) => !sinks.includes(sink));
    this.#sinks = sinks;
    this.#work = this.#work.then(async () => void (await Promise.all(gone.map((sink) => sink.close()))));
  }

  /** Resolves once everything raised so far is with the sinks, and these have ended. */
  async close(): Promise<void> {
    await this.#work;
    await Promise.all(this.#sinks.map((sink) => sink.close()));
  }

  #step(subject: Pick<LedgerEntry, 'account' | 'topic'>, decide: (entry: LedgerEntry | undefined, now: EpochMs) => Step): void {
    const key = keyOf(subject);
    const { entry, alert } = decide(this.#entries.get(key), this.#options.clock.now());
    if (entry !== undefined) this.#entries.set(key, entry);
    if (alert !== undefined) this.#work = this.#work.then(() => this.#tell(alert));
  }

  /** Never rejects. */
  async #tell(alert: Alert): Promise<void> {
    await this.#save();
    this.#writeLine(alert);
    for (const sink of this.#sinks) sink.take(alert);
  }

  async #save(): Promise<void> {
    const { file, clock, log } = this.#options;
    const entries = [...this.#entries.values()].filter((entry) => isWorthKeeping(entry, clock.now()));
    try {
      await writeAlertFile(file, entries);
      this.#isFileBroken = false;
    } catch (error) {
      if (!this.#isFileBroken)
        log.warn(recordFailed(file, error), 'the record of alerts cannot be written: after a restart one may come twice');
      this.#isFileBroken = true;
    }
  }

  #writeLine(alert: Alert): void {
    const { account, event, topic } = alert;
    const fields = { event: 'alert', alert: event, account, topic };
    if (alert.event === 'recovered') {
      const { was, at } = alert;
      this.#options.log.warn(fields, `recovered after ${describeLength(between(was.since, at))}: ${was.event} (${was.code}) is over`);
    } else this.#options.log.warn({ ...fields, problem: alert.problem }, alert.isReminder ? `still: ${event}` : event);
  }
}

/** Names of accounts hold no line end. */
const keyOf = ({ account, topic }: Pick<LedgerEntry, 'account' | 'topic'>): string => `${topic}\n${account}`;

function recordFailed(file: string, error: unknown) {
  const reason = error instanceof Error ? error.message : String(error);
  return { event: 'alert-record-failed', file, problem: problem('ALERT_RECORD_FAILED', `${file}: ${reason}`) } as const;
}
