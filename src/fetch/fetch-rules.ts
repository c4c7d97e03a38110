/**
 * All fetch rules at work, and what an operator may do to them.
 *
 * Rules are told apart by name. One that has not changed goes on undisturbed when the configuration is taken over; one that has is stopped and begins anew where it
 * stopped, unless it reads another mailbox now.
 *
 * @packageDocumentation
 */
import { isDeepStrictEqual } from 'node:util';
import type { AccountName } from '../core/account.ts';
import type { FetchRule, SinkSettings } from '../core/fetch-rule.ts';
import type { Alerts } from '../core/ports/alerts.ts';
import type { FetchControl, FetchView } from '../core/ports/fetch-control.ts';
import type { MessageSink } from '../core/ports/message-sink.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import { Fetcher, type FetcherDependencies } from './fetcher.ts';

/** What the rules need. */
export interface FetchRulesDependencies extends Omit<FetcherDependencies, 'sink' | 'onAside'> {
  readonly alerts: Alerts;
  readonly openSink: (settings: SinkSettings) => MessageSink;
}

export class FetchRules implements FetchControl {
  readonly #deps: FetchRulesDependencies;
  readonly #fetchers = new Map<string, Fetcher>();
  /** Messages set aside, by rule. */
  readonly #aside = new Map<string, { readonly account: AccountName; readonly count: number }>();
  #paused: ReadonlySet<string> = new Set();
  #isStopped = false;
  /** Changes of the configuration come one after another. */
  #updating: Promise<void> = Promise.resolve();
  /** All paused rules are in one file: changes of it come one after another, too. */
  #pausing: Promise<void> = Promise.resolve();

  constructor(deps: FetchRulesDependencies) {
    this.#deps = deps;
  }

  /** Begin, or take over a changed configuration. Never throws: a rule in trouble says so, and the rest of the relay goes on. */
  update(rules: readonly FetchRule[]): Promise<void> {
    this.#updating = this.#updating.then(() => this.#update(rules));
    return this.#updating;
  }

  /** Each rule knows of it at once: what the mailbox says from now on is not its trouble. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const stopping = [...this.#fetchers.values()].map((fetcher) => fetcher.stop());
    await this.#updating;
    await Promise.all(stopping);
    await this.#deps.store.close();
  }

  list(): readonly FetchView[] {
    return [...this.#fetchers.values()].map(({ view }) => view);
  }

  async run(rule: string, isAside: boolean): Promise<FetchView> {
    const fetcher = this.#fetcher(rule);
    await fetcher.look(isAside);
    return fetcher.view;
  }

  async reset(rule: string): Promise<FetchView> {
    const fetcher = this.#fetcher(rule);
    await fetcher.reset();
    return fetcher.view;
  }

  async setPaused(rule: string, isPaused: boolean): Promise<FetchView> {
    const fetcher = this.#fetcher(rule);
    const done = this.#pausing.then(() => this.#setPaused(rule, isPaused));
    this.#pausing = done.catch(() => undefined); // Whoever asked hears of it.
    await done;
    fetcher.pause(isPaused);
    return fetcher.view;
  }

  async #setPaused(rule: string, isPaused: boolean): Promise<void> {
    await this.#deps.store.setPaused(rule, isPaused);
    const paused = new Set(this.#paused);
    if (isPaused) paused.add(rule);
    else paused.delete(rule);
    this.#paused = paused;
  }

  #fetcher(name: string): Fetcher {
    const fetcher = this.#fetchers.get(name);
    if (fetcher === undefined) throw new ProblemError(problem('FETCH_RULE_UNKNOWN', `there is no fetch rule ${name}`));
    return fetcher;
  }

  async #update(rules: readonly FetchRule[]): Promise<void> {
    if (this.#isStopped) return;
    const { openSink, log } = this.#deps;
    if (rules.length > 0 && !(await this.#readPaused())) return;
    const wanted = new Map(rules.map((rule) => [rule.name, rule]));
    for (const [name, fetcher] of this.#fetchers) {
      if (isDeepStrictEqual(wanted.get(name), fetcher.rule)) continue;
      await fetcher.stop();
      this.#fetchers.delete(name);
      this.#noteAside(fetcher.rule, 0, undefined);
      log.info({ event: 'fetch-stopped', rule: name, account: fetcher.rule.account }, 'the fetch rule is stopped');
    }
    for (const rule of rules) {
      if (this.#fetchers.has(rule.name)) continue;
      if (this.#isStopped) return;
      const fetcher = new Fetcher(rule, {
        ...this.#deps,
        sink: openSink(rule.sink),
        onAside: (one, count, newest) => this.#noteAside(one, count, newest),
      });
      this.#fetchers.set(rule.name, fetcher);
      fetcher.start(this.#paused.has(rule.name));
    }
  }

  /** @returns False where it is not known which rules are paused: none is started then, or one might that should not. */
  async #readPaused(): Promise<boolean> {
    try {
      this.#paused = await this.#deps.store.paused();
      return true;
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      this.#deps.log.error(
        { event: 'fetch-failed', problem: error.problem },
        'it is not known which fetch rules are paused: none is started or changed',
      );
      return false;
    }
  }

  /** One condition for all rules of an account: alerts know accounts. */
  #noteAside({ name, account }: FetchRule, count: number, newest: Problem | undefined): void {
    this.#aside.set(name, { account, count });
    const total = [...this.#aside.values()].filter((one) => one.account === account).reduce((sum, one) => sum + one.count, 0);
    if (total === 0) return this.#deps.alerts.clear(account, 'fetch');
    const last = newest === undefined ? '' : `, the last one by rule ${name}: ${newest.cause}`;
    const what = problem('FETCH_SET_ASIDE', `account ${account}: ${total} messages set aside${last}`);
    return this.#deps.alerts.raise({ account, topic: 'fetch', event: 'dead_letter', problem: what });
  }
}
