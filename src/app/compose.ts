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
import { between, type DurationMs } from '../core/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { DirectDelivery } from '../delivery/direct.ts';
import { SmtpListener } from '../listener/smtp-listener.ts';
import { createLog, standardOutput } from '../observability/log.ts';
import { Scrubber } from '../observability/scrubber.ts';
import { loadOrCreateKey } from '../platform/key-file.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { ClientDirectory } from '../policy/client-directory.ts';
import { FileTokenStore } from '../token/file-token-store.ts';
import { HttpTokenEndpoint } from '../token/token-endpoint.ts';
import { TokenManager } from '../token/token-manager.ts';
import { classifyReply } from '../upstream/reply-table.ts';
import { SessionPool } from '../upstream/session-pool.ts';
import type { Service } from './lifecycle.ts';

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

/** The relay: listeners in front, delivery and tokens behind. */
export class Relay implements Service {
  readonly #listeners: readonly SmtpListener[];
  readonly #pool: SessionPool;
  readonly #tokens: TokenManager;

  private constructor(listeners: readonly SmtpListener[], pool: SessionPool, tokens: TokenManager) {
    this.#listeners = listeners;
    this.#pool = pool;
    this.#tokens = tokens;
  }

  /** @throws ProblemError `STATE_KEY_UNUSABLE` or `LISTENER_FAILED`. Opens nothing yet. */
  static async compose(config: Config, { log, scrubber, accounts, clients }: RelayParts): Promise<Relay> {
    const base = { clock: systemClock, random: systemRandom, log };
    const masterKey = await loadOrCreateKey(config.state.keyFile);
    scrubber.add(Buffer.from(masterKey).toString('base64'));
    const store = new FileTokenStore({ directory: join(config.state.dir, 'tokens'), masterKey, log });
    const tokens = new TokenManager({ ...base, accounts, store, endpoint: new HttpTokenEndpoint(base), redactor: scrubber });
    const pool = new SessionPool({ ...base, tokens, hostname: hostname() });
    const submission = new DirectDelivery({
      ...base,
      accounts: new Map(accounts.map((account) => [account.name, account])),
      upstream: pool,
      explain: (stage, answer) => classifyReply(stage, answer).problem,
    });
    const directory = new ClientDirectory(clients);
    const deps = { ...base, submission, clients: directory, hostname: hostname() };
    return new Relay(
      config.listeners.smtp.map((settings) => new SmtpListener(settings, deps)),
      pool,
      tokens,
    );
  }

  /** @throws ProblemError `LISTENER_FAILED`; listeners already open are closed again. */
  async start(): Promise<void> {
    this.#tokens.start();
    try {
      for (const listener of this.#listeners) await listener.open();
    } catch (error) {
      await this.stop(0 as DurationMs);
      throw error;
    }
  }

  async stop(grace: DurationMs): Promise<void> {
    const begun = systemClock.monotonic();
    await Promise.all(this.#listeners.map((listener) => listener.close(grace)));
    const left = Math.max(0, grace - between(begun, systemClock.monotonic()));
    await this.#pool.close(left as DurationMs);
    await this.#tokens.close();
  }
}
