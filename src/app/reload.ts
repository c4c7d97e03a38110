/**
 * Takes over a configuration that changes while the relay runs: load, validate, compare, swap. What cannot be used changes nothing.
 *
 * @packageDocumentation
 */
import { isDeepStrictEqual } from 'node:util';
import { type Config, type ConfigNotice, describeFinding, type LoadResult } from '../config/config.ts';
import { type EpochMs, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import { FileWatch } from '../platform/file-watch.ts';

/** How the configuration in use came to be, and what became of the last one that was found. */
export interface ReloadStatus {
  /** Absolute path of the file, or `environment`. */
  readonly source: string;
  /** When the configuration in use was taken over. */
  readonly loadedAt: EpochMs;
  /** How often one was taken over since the start. */
  readonly reloads: number;
  /** Why the one that is there now is not in use, or not wholly. */
  readonly problem?: Problem;
  /** Since when. */
  readonly problemSince?: EpochMs;
}

/** What reloading needs. */
export interface ReloaderOptions {
  /** In use. */
  readonly config: Config;
  /** Read the configuration again, from the same source. */
  readonly load: () => Promise<LoadResult>;
  /** Make it the one in use. @returns What could not be done; empty where everything was. */
  readonly apply: (config: Config) => Promise<readonly ProblemError[]>;
  readonly clock: Clock;
  readonly log: Log;
}

export class Reloader {
  readonly #options: ReloaderOptions;
  readonly #watch: FileWatch;
  #config: Config;
  #status: ReloadStatus;
  /** Reloads come one after another; while one is under way at most one more is wanted. */
  #work: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  /** Something of the configuration in use could not be done. */
  #isPartial = false;
  #retry: Timer | undefined;
  #isClosed = false;

  constructor(options: ReloaderOptions) {
    const { config, clock } = options;
    this.#options = options;
    this.#config = config;
    this.#status = { source: config.source, loadedAt: clock.now(), reloads: 0 };
    this.#watch = new FileWatch({ clock, onChange: () => this.reload() });
  }

  get status(): ReloadStatus {
    return this.#status;
  }

  /** Heed changes from now on, and those since the configuration was read. */
  async start(): Promise<void> {
    await this.#watch.watch(this.#config.files);
    await this.reload();
  }

  /** Read the configuration now. Never rejects; resolves once a reading that began after this call has been dealt with. */
  reload(): Promise<void> {
    if (this.#next === undefined) {
      const next = this.#work.then(() => {
        this.#next = undefined;
        return this.#isClosed ? undefined : this.#reload();
      });
      this.#next = next;
      this.#work = next;
    }
    return this.#next;
  }

  /** Resolves once nothing is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#watch.close();
    this.#retry?.cancel();
    await this.#work;
  }

  async #reload(): Promise<void> {
    try {
      const loaded = await this.#load();
      if (!loaded.ok) this.#reject(loaded.problems.map(describeFinding));
      else if (loaded.config.accounts.length === 0 && this.#config.accounts.length > 0) this.#reject([NO_ACCOUNT_LEFT]);
      else await this.#takeOver(loaded.config, loaded.notices);
    } catch (error) {
      this.#options.log.error(
        { event: 'config-rejected', problem: problem('INTERNAL'), error },
        'the configuration could not be taken over',
      );
    }
  }

  /** The watch learns of files that are named for the first time only after they were read, so they are read once more. */
  async #load(): Promise<LoadResult> {
    const { load } = this.#options;
    const loaded = await load();
    const files = loaded.ok ? loaded.config.files : loaded.files;
    return (await this.#watch.watch(files)) ? load() : loaded;
  }

  async #takeOver(config: Config, notices: readonly ConfigNotice[]): Promise<void> {
    const { apply, clock, log } = this.#options;
    const before = this.#config;
    if (!this.#isPartial && isDeepStrictEqual(before, config)) return this.#settle(log, clock);
    this.#config = config;
    const failures = await apply(config);
    this.#isPartial = failures.length > 0;
    if (this.#isPartial) this.#tryAgainLater();
    this.#status = { source: config.source, loadedAt: clock.now(), reloads: this.#status.reloads + 1 };
    for (const notice of notices) log.warn({ event: 'config-notice', file: config.source }, describeFinding(notice));
    log.info({ event: 'config-reloaded', file: config.source }, `the changed configuration is in use: ${describeChange(before, config)}`);
    const stale = staleSettings(this.#options.config, config);
    if (stale.length > 0) this.#note(problem('CONFIG_NEEDS_RESTART', `changed, and not in use before a restart: ${stale.join(', ')}`));
    for (const { problem: what } of failures) this.#note(what);
  }

  /** A port that somebody else has may be free by then. */
  #tryAgainLater(): void {
    this.#retry?.cancel();
    this.#retry = this.#options.clock.startTimer(TRY_AGAIN_AFTER, () => void this.reload(), { isBackground: true });
  }

  /** The file is as the configuration in use again. */
  #settle(log: Log, clock: Clock): void {
    const { problem: was, problemSince: _since, ...rest } = this.#status;
    if (was?.code !== 'CONFIG_REJECTED') return;
    this.#status = { ...rest, loadedAt: clock.now() };
    log.info({ event: 'config-restored', file: rest.source }, 'the configuration is the one in use again');
  }

  #reject(findings: readonly string[]): void {
    const { source } = this.#options.config;
    const count = findings.length === 1 ? '1 problem' : `${findings.length} problems`;
    this.#note(problem('CONFIG_REJECTED', `${count} in ${source}: ${findings.join('; ')}`));
  }

  /** Once, however often the same is found. */
  #note(what: Problem): void {
    const { log, clock } = this.#options;
    const isKnown = this.#status.problem?.code === what.code && this.#status.problem.cause === what.cause;
    if (isKnown) return;
    this.#status = { ...this.#status, problem: what, problemSince: clock.now() };
    const { source: file } = this.#status;
    if (what.code === 'CONFIG_NEEDS_RESTART')
      log.warn({ event: 'config-needs-restart', file, problem: what }, 'part of the configuration waits for a restart');
    else log.error({ event: 'config-rejected', file, problem: what }, 'the changed configuration is not in use');
  }
}

const TRY_AGAIN_AFTER = seconds(30);
const NO_ACCOUNT_LEFT = 'accounts: none is left, and a running relay does not turn into a sandbox: stop it if it is to relay for nobody';

/** Settings that hold things which are open for as long as the process runs. */
function staleSettings(before: Config, { state, delivery }: Config): string[] {
  const pairs: readonly (readonly [string, unknown, unknown])[] = [
    ['state.dir', before.state.dir, state.dir],
    ['state.keyFile', before.state.keyFile, state.keyFile],
    ['delivery.queueLimit', before.delivery.queueLimit, delivery.queueLimit],
  ];
  return pairs.filter(([, was, is]) => was !== is).map(([key]) => key);
}

/** For the log: what differs, by name, without a value. */
function describeChange(before: Config, after: Config): string {
  const changes = [
    ...describeNamed('account', before.accounts, after.accounts),
    ...describeNamed('client', before.clients, after.clients),
    ...(['smtp', 'imap', 'pop3'] as const).flatMap((protocol) =>
      describeNamed<{ readonly name: string }>(`${protocol} listener`, before.listeners[protocol], after.listeners[protocol]),
    ),
    ...(['delivery', 'alerts', 'log', 'state', 'admin'] as const).filter((section) => !isDeepStrictEqual(before[section], after[section])),
  ];
  return changes.length === 0 ? 'nothing that matters here' : changes.join(', ');
}

function describeNamed<Item extends { readonly name: string }>(what: string, before: readonly Item[], after: readonly Item[]): string[] {
  const was = new Map(before.map((item) => [item.name, item]));
  const names = new Set(after.map(({ name }) => name));
  const added = after.filter(({ name }) => !was.has(name)).map(({ name }) => `${what} ${name} added`);
  const changed = after.filter((item) => was.has(item.name) && !isDeepStrictEqual(was.get(item.name), item));
  const gone = before.filter(({ name }) => !names.has(name)).map(({ name }) => `${what} ${name} removed`);
  return [...added, ...changed.map(({ name }) => `${what} ${name} changed`), ...gone];
}
