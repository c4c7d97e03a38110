/**
 * Puts the rooms together: the only place that names concrete classes.
 *
 * @packageDocumentation
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Account } from '../core/account.ts';
import type { Client } from '../core/client.ts';
import { between, type DurationMs, seconds } from '../core/clock.ts';
import type { SmtpListenerSettings } from '../core/listener.ts';
import type { Log } from '../core/ports/log.ts';
import { SmtpListener } from '../listener/smtp-listener.ts';
import type { AlertDesk } from '../observability/alert-desk.ts';
import type { ConfiguredNames } from '../observability/metric-registry.ts';
import { createLog, standardOutput } from '../observability/log.ts';
import { Scrubber } from '../observability/scrubber.ts';
import { ExpiryWatch } from '../observability/secret-expiry.ts';
import { keyText, openStateKeys } from '../platform/key-file.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { ClientDirectory } from '../policy/client-directory.ts';
import { FileTokenStore } from '../token/file-token-store.ts';
import { TokenManager } from '../token/token-manager.ts';
import { TokenRouter } from '../token/token-router.ts';
import { SessionPool } from '../upstream/session-pool.ts';
import { deliveryWatch, openAlertDesk, tokenWatch } from './alerts.ts';
import { Doors } from './doors.ts';
import { gaugeSources } from './gauges.ts';
import type { Service } from './lifecycle.ts';
import { OpenQueue } from './open-delivery.ts';
import { RunningRelayView } from './relay-view.ts';
import { knownEnds } from './secret-ends.ts';
import { openTelemetry } from './telemetry.ts';

/** The log of this process, with everything secret in the configuration already known to its scrubber. */
export interface Observation {
  readonly log: Log;
  readonly scrubber: Scrubber;
}

export function composeObservation(config: Config): Observation {
  const scrubber = new Scrubber();
  for (const secret of config.secrets) scrubber.add(secret);
  return { log: createLog(config.log, scrubber, standardOutput()), scrubber };
}

/** What a relay is made of besides the configuration: the sandbox's account takes the place of those that are not configured. */
export interface RelayParts extends Observation {
  readonly accounts: readonly Account[];
  readonly clients: readonly Client[];
}

/** What tells the operator how things are, and of trouble that needs a person. */
interface Watching {
  readonly desk: AlertDesk;
  readonly expiry: ExpiryWatch;
  readonly view: RunningRelayView;
  readonly doors: Doors;
}

/** The names that labels of metrics may hold. */
function namesOf(
  accounts: readonly Account[],
  clients: readonly Client[],
  listeners: readonly Pick<SmtpListenerSettings, 'name'>[],
): ConfiguredNames {
  const set = (named: readonly { readonly name: string }[]): ReadonlySet<string> => new Set(named.map(({ name }) => name));
  return { account: set(accounts), client: set(clients), listener: set(listeners) };
}

/** The relay: listeners in front, delivery and tokens behind. */
export class Relay implements Service {
  readonly #listeners: readonly SmtpListener[];
  readonly #pool: SessionPool;
  readonly #queue: OpenQueue;
  readonly #tokens: TokenManager;
  readonly #watching: Watching;

  private constructor(listeners: readonly SmtpListener[], pool: SessionPool, queue: OpenQueue, tokens: TokenManager, watching: Watching) {
    this.#listeners = listeners;
    this.#pool = pool;
    this.#queue = queue;
    this.#tokens = tokens;
    this.#watching = watching;
  }

  /** Takes possession of the queue, and does nothing else yet. @throws ProblemError `STATE_KEY_UNUSABLE`, `SPOOL_…`. */
  static async compose(config: Config, { scrubber, accounts, clients, ...parts }: RelayParts): Promise<Relay> {
    const names = namesOf(accounts, clients, config.listeners.smtp);
    const { log, metrics, traces } = openTelemetry(parts.log, scrubber, () => names);
    const base = { clock: systemClock, random: systemRandom, log };
    const masterKey = await openStateKeys(config.state.keyFile);
    for (const known of masterKey.keys) scrubber.add(keyText(known));
    const store = new FileTokenStore({ directory: join(config.state.dir, 'tokens'), masterKey, log });
    const desk = await openAlertDesk(config, accounts, { log, scrubber });
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
    const directory = new ClientDirectory(clients);
    const deps = { ...base, submission, clients: directory, hostname: hostname() };
    const listeners = config.listeners.smtp.map((settings) => new SmtpListener(settings, deps));
    const ends = knownEnds(accounts, store, log);
    const { delivery, spool } = queue;
    const { queueLimit } = config.delivery;
    const { source } = config;
    const rooms = { accounts, listeners, spool, delivery, tokens, pool, secretEnds: ends, queueLimit, clock: systemClock };
    for (const source of gaugeSources(rooms)) metrics.attach(source);
    const view = new RunningRelayView(rooms, { source, clients });
    const doors = new Doors(config, { spool, view, metrics, traces, log });
    const expiry = new ExpiryWatch({ ends, alerts: desk, clock: systemClock });
    return new Relay(listeners, pool, queue, tokens, { desk, expiry, view, doors });
  }

  /** @throws ProblemError `LISTENER_FAILED`; listeners already open are closed again. */
  async start(): Promise<void> {
    this.#tokens.start();
    this.#watching.expiry.start();
    try {
      await this.#watching.doors.open();
      await this.#queue.start();
      for (const listener of this.#listeners) await listener.open();
    } catch (error) {
      await this.stop(0 as DurationMs);
      throw error;
    }
  }

  async stop(grace: DurationMs): Promise<void> {
    const begun = systemClock.monotonic();
    this.#watching.view.stopping();
    this.#queue.delivery.wind();
    await Promise.all(this.#listeners.map((listener) => listener.close(grace)));
    const left = Math.max(0, grace - between(begun, systemClock.monotonic()));
    // The pool cuts what does not end in time, and the queue records what came of it.
    await Promise.all([this.#pool.close(left as DurationMs), this.#stopQueue()]);
    this.#watching.expiry.close();
    await this.#tokens.close();
    await this.#watching.desk.close();
  }
  /** Nobody works on it from outside any more when it closes. */
  async #stopQueue(): Promise<void> {
    await this.#watching.doors.close(seconds(1));
    await this.#queue.stop();
  }
}
