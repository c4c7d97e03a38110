/**
 * Puts the rooms together: the only place that names concrete classes.
 *
 * @packageDocumentation
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { SignInDesk } from '../admin/sign-in-desk.ts';
import type { Config } from '../config/config.ts';
import type { Account } from '../core/account.ts';
import type { Client } from '../core/client.ts';
import { between, type DurationMs, seconds } from '../core/clock.ts';
import type { MailboxListenerSettings, SmtpListenerSettings } from '../core/listener.ts';
import type { Log } from '../core/ports/log.ts';
import type { Setup } from '../core/ports/setup.ts';
import type { ProblemError } from '../core/problem.ts';
import { SmtpListener } from '../listener/smtp-listener.ts';
import { UnconfirmedAnswers } from '../listener/unconfirmed-answers.ts';
import type { FetchRules } from '../fetch/fetch-rules.ts';
import { Mailboxes } from '../mailbox/mailboxes.ts';
import { Maildrops } from '../pop3-from-imap/maildrops.ts';
import { WayMemory } from '../pop3-from-imap/way-memory.ts';
import type { ActivityDesk } from '../observability/activity-desk.ts';
import { type AdjustableLog, createLog, standardOutput } from '../observability/log.ts';
import type { Environment } from '../observability/otel-environment.ts';
import type { ConfiguredNames } from '../observability/metric-registry.ts';
import { Scrubber } from '../observability/scrubber.ts';
import { ExpiryWatch } from '../observability/secret-expiry.ts';
import { keyText, openStateKeys } from '../platform/key-file.ts';
import { PasswordCheck } from '../platform/password-check.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { ClientDirectory } from '../policy/client-directory.ts';
import { MailboxListener } from '../proxy/mailbox-listener.ts';
import { FileTokenStore } from '../token/file-token-store.ts';
import { type ImportedLoginsDependencies, withImportedLogins } from '../token/imported-logins.ts';
import { ImportedPasswords } from '../token/imported-passwords.ts';
import { TokenManager } from '../token/token-manager.ts';
import { TokenRouter } from '../token/token-router.ts';
import { SessionPool } from '../upstream/session-pool.ts';
import { type Alerting, deliveryWatch, openAlerting, tokenWatch } from './alerts.ts';
import { Doors } from './doors.ts';
import { gaugeSources } from './gauges.ts';
import type { Service } from './lifecycle.ts';
import { ListenerSet } from './listeners.ts';
import { OpenQueue } from './open-delivery.ts';
import { openFetch } from './open-fetch.ts';
import { RateKeeper } from './rate-keeper.ts';
import type { ReloadStatus } from './reload.ts';
import { RunningRelayView } from './relay-view.ts';
import { knownEnds } from './secret-ends.ts';
import { openTelemetry, type Telemetry } from './telemetry.ts';

/** The log of this process, with everything secret in the configuration already known to its scrubber. */
export interface Observation {
  readonly log: AdjustableLog;
  readonly scrubber: Scrubber;
}

export function composeObservation(config: Config): Observation {
  const scrubber = new Scrubber();
  for (const secret of config.secrets) scrubber.add(secret);
  return { log: createLog(config.log, scrubber, standardOutput()), scrubber };
}

/** For whom a relay works: as configured, or the sandbox's account and its clients where none is. */
export interface Users {
  readonly accounts: readonly Account[];
  readonly clients: readonly Client[];
}

/** What a relay is made of besides the configuration. */
export interface RelayParts extends Observation, Users {
  /** Absent: it cannot be set up while it runs. */
  readonly setup?: Setup;
  /** How the configuration came to be in use; absent: it is never read again. */
  readonly reloadStatus?: () => ReloadStatus | undefined;
  /** Of the process; absent: nothing in it counts. */
  readonly environment?: Environment;
}

/** The configuration in use. Rooms that ask at each use hold this; the others are told of a change. */
interface InUse {
  config: Config;
  users: Users;
}

/** All that listens, whatever it speaks. */
type AnyListenerSettings = SmtpListenerSettings | MailboxListenerSettings;

const listenersOf = ({ listeners: { smtp, imap, pop3 } }: Config): readonly AnyListenerSettings[] => [...smtp, ...imap, ...pop3];

/** The rooms of a relay. */
interface Rooms extends Observation {
  /** The log that metrics, traces and the admin page listen to. */
  readonly observed: Log;
  readonly inUse: InUse;
  readonly listeners: ListenerSet<AnyListenerSettings>;
  readonly clients: ClientDirectory;
  readonly imports: ImportedLoginsDependencies;
  readonly mailboxes: Mailboxes;
  readonly maildrops: Maildrops;
  readonly pool: SessionPool;
  readonly queue: OpenQueue;
  readonly fetch: FetchRules;
  readonly tokens: TokenManager;
  readonly alerting: Alerting;
  readonly expiry: ExpiryWatch;
  readonly view: RunningRelayView;
  readonly doors: Doors;
  readonly activity: ActivityDesk;
  readonly telemetry: Telemetry;
  readonly rates: RateKeeper;
}

/** The names that labels of metrics may hold. */
function namesOf({ users: { accounts, clients }, config }: InUse): ConfiguredNames {
  const set = (named: readonly { readonly name: string }[]): ReadonlySet<string> => new Set(named.map(({ name }) => name));
  return { account: set(accounts), client: set(clients), listener: set(listenersOf(config)), rule: set(config.fetch) };
}

/** Each count asks for the names; they are put together anew only when the configuration has changed. */
function namesIn(inUse: InUse): () => ConfiguredNames {
  let of = { ...inUse };
  let names = namesOf(of);
  return () => {
    if (of.config !== inUse.config || of.users !== inUse.users) {
      of = { ...inUse };
      names = namesOf(of);
    }
    return names;
  };
}

/** What sessions of a port that is closed by a changed configuration get to finish. */
const GRACE_OF_CLOSED_PORT = seconds(60);

/** A collector that does not answer must not hold up the end of the process. */
const GRACE_OF_TRACES = seconds(1);

/** The relay: listeners in front, delivery, mailboxes and tokens behind. */
export class Relay implements Service {
  readonly #rooms: Rooms;

  private constructor(rooms: Rooms) {
    this.#rooms = rooms;
  }

  /** Takes possession of the queue, and does nothing else yet. @throws ProblemError `STATE_KEY_UNUSABLE`, `SPOOL_…`. */
  static async compose(
    config: Config,
    { scrubber, accounts, clients, setup, reloadStatus, environment = {}, ...parts }: RelayParts,
  ): Promise<Relay> {
    const inUse: InUse = { config, users: { accounts, clients } };
    const names = namesIn(inUse);
    const telemetry = openTelemetry(parts.log, scrubber, names, environment);
    const { log, metrics, traces, activity, lines } = telemetry;
    activity.keepSubjects(config.keepsSubjects);
    const base = { clock: systemClock, random: systemRandom, log };
    const masterKey = await openStateKeys(config.state.keyFile);
    for (const known of masterKey.keys) scrubber.add(keyText(known));
    const store = new FileTokenStore({ directory: join(config.state.dir, 'tokens'), masterKey, log });
    const alerting = await openAlerting(config, accounts, { log, scrubber });
    const { desk } = alerting;
    const watchTokens = tokenWatch(desk);
    let queue: OpenQueue | undefined;
    const tokens = new TokenManager({
      ...base,
      accounts,
      store,
      endpoint: new TokenRouter(base),
      redactor: scrubber,
      onChange: (account, status) => {
        watchTokens(account, status);
        if (status.state === 'active') queue?.delivery.repaired(account);
      },
    });
    const pool = new SessionPool({ ...base, tokens, hostname: hostname() });
    queue = await OpenQueue.open(config, { accounts, upstream: pool, watch: deliveryWatch(desk), alerts: desk, log });
    const { submission } = queue.delivery;
    const passwords = new ImportedPasswords(join(config.state.dir, 'imported'));
    const onGrant = (account: string): Promise<unknown> => tokens.refresh(account);
    const imports = { clock: systemClock, log, store, passwords, redactor: scrubber, onGrant };
    const directory = new ClientDirectory(withImportedLogins(clients, accounts, imports));
    const unconfirmed = new UnconfirmedAnswers(systemClock);
    const deps = { ...base, submission, clients: directory, hostname: hostname(), unconfirmed, notes: activity };
    const mailboxes = new Mailboxes({ ...base, accounts, tokens });
    const fetch = openFetch(config, { ...base, mailboxes, alerts: desk });
    const memory = new WayMemory(join(config.state.dir, 'pop3.json'), log);
    const maildrops = new Maildrops({ ...base, accounts, mailboxes, tokens, memory });
    const fronts = { ...base, mailboxes: maildrops, clients: directory, passwords: new PasswordCheck(base) };
    const listeners = new ListenerSet<AnyListenerSettings>(
      (settings) => ('protocol' in settings ? new MailboxListener(settings, fronts) : new SmtpListener(settings, deps)),
      log,
    );
    const { delivery, spool } = queue;
    const asStarted: ReloadStatus = { source: config.source, loadedAt: systemClock.now(), reloads: 0 };
    const gauged = {
      get accounts() {
        return inUse.users.accounts;
      },
      get clients() {
        return inUse.users.clients;
      },
      get listeners() {
        return listeners.states(listenersOf(inUse.config));
      },
      spool,
      delivery,
      tokens,
      pool,
      mailboxes,
      fetch,
      secretEnds: knownEnds(() => inUse.users.accounts, store, log),
      queueLimit: config.delivery.queueLimit,
      configuration: () => reloadStatus?.() ?? asStarted,
      clock: systemClock,
    };
    for (const source of gaugeSources(gauged)) metrics.attach(source);
    const view = new RunningRelayView(gauged, config.source);
    const doors = new Doors(config, {
      spool,
      calendar: delivery,
      view,
      metrics,
      traces,
      fetch,
      activity,
      lines,
      log,
      ...(setup === undefined
        ? {}
        : { setup: { desk: setup, links: new SignInDesk({ setup, clock: systemClock, log, redactor: scrubber }) } }),
    });
    const expiry = new ExpiryWatch({ ends: gauged.secretEnds, alerts: desk, clock: systemClock });
    const own = { log: parts.log, observed: log, scrubber, inUse };
    return new Relay({
      ...own,
      listeners,
      clients: directory,
      imports,
      mailboxes,
      maildrops,
      pool,
      queue,
      fetch,
      tokens,
      alerting,
      expiry,
      view,
      doors,
      activity,
      telemetry,
      rates: new RateKeeper(config.state.dir, activity, { clock: systemClock, log }),
    });
  }

  /** What is said here is counted, traced and kept, too. */
  get log(): Log {
    return this.#rooms.observed;
  }

  /** @throws ProblemError `LISTENER_FAILED`; listeners already open are closed again. */
  async start(): Promise<void> {
    const { tokens, expiry, queue, fetch, listeners, doors, inUse, rates } = this.#rooms;
    await rates.start();
    tokens.start();
    expiry.start();
    try {
      await doors.open();
      await queue.start();
      await listeners.openAll(listenersOf(inUse.config));
      await fetch.update(inUse.config.fetch);
    } catch (error) {
      await this.stop(0 as DurationMs);
      throw error;
    }
  }

  /**
   * Take over a changed configuration. What did not change goes on undisturbed; a message under way ends as it began.
   *
   * Accounts come before the clients that submit as them, and both before the ports at which these arrive.
   *
   * @returns Ports that could not be opened.
   * @throws ProblemError `CONFIG_INVALID` where a webhook is none; then nothing has changed.
   */
  async apply(config: Config, users: Users): Promise<readonly ProblemError[]> {
    const { log, scrubber, listeners, clients, imports, mailboxes, maildrops, queue, fetch, tokens, alerting, doors, activity, inUse } =
      this.#rooms;
    for (const secret of config.secrets) scrubber.add(secret);
    alerting.update(config, users.accounts);
    inUse.config = config;
    inUse.users = users;
    log.adjust(config.log);
    activity.keepSubjects(config.keepsSubjects);
    tokens.updateAccounts(users.accounts);
    mailboxes.update(users.accounts);
    maildrops.update(users.accounts);
    await queue.delivery.update(users.accounts, config.delivery);
    clients.update(withImportedLogins(users.clients, users.accounts, imports));
    const failures = await listeners.update(listenersOf(config), GRACE_OF_CLOSED_PORT);
    listeners.reviewClients();
    await fetch.update(config.fetch);
    return [...failures, ...(await doors.update(config))];
  }

  async stop(grace: DurationMs): Promise<void> {
    const { listeners, mailboxes, pool, queue, fetch, tokens, alerting, expiry, view, telemetry } = this.#rooms;
    const begun = systemClock.monotonic();
    view.stopping();
    queue.delivery.wind();
    const fetching = fetch.stop();
    mailboxes.close();
    await listeners.closeAll(grace);
    const left = Math.max(0, grace - between(begun, systemClock.monotonic()));
    // The pool cuts what does not end in time, and the queue records what came of it.
    await Promise.all([pool.close(left as DurationMs), this.#stopQueue(), fetching]);
    expiry.close();
    await tokens.close();
    await alerting.desk.close();
    await telemetry.close(GRACE_OF_TRACES);
  }

  /** Nobody works on it from outside any more when it closes. */
  async #stopQueue(): Promise<void> {
    const { doors, queue, activity, rates } = this.#rooms;
    activity.close(); // Or open pages would keep the doors.
    await doors.close(seconds(1));
    await queue.stop();
    await rates.close();
  }
}
