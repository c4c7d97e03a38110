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
import { SmtpListener } from '../listener/smtp-listener.ts';
import { Mailboxes } from '../mailbox/mailboxes.ts';
import type { AlertDesk } from '../observability/alert-desk.ts';
import { createLog, standardOutput } from '../observability/log.ts';
import { Scrubber } from '../observability/scrubber.ts';
import type { ExpiryWatch } from '../observability/secret-expiry.ts';
import { keyText, openStateKeys } from '../platform/key-file.ts';
import { PasswordCheck } from '../platform/password-check.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { ClientDirectory } from '../policy/client-directory.ts';
import { MailboxListener } from '../proxy/mailbox-listener.ts';
import { FileTokenStore } from '../token/file-token-store.ts';
import { TokenManager } from '../token/token-manager.ts';
import { TokenRouter } from '../token/token-router.ts';
import { SessionPool } from '../upstream/session-pool.ts';
import { deliveryWatch, expiryWatch, openAlertDesk, tokenWatch } from './alerts.ts';
import type { Service } from './lifecycle.ts';
import { OpenQueue } from './open-delivery.ts';

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

/** What tells the operator of trouble that needs a person. */
interface Watching {
  readonly desk: AlertDesk;
  readonly expiry: ExpiryWatch;
}

/** What listens, whatever it speaks. */
type Listener = Pick<SmtpListener, 'open' | 'close'>;

/** The relay: listeners in front, delivery, mailboxes and tokens behind. */
export class Relay implements Service {
  readonly #listeners: readonly Listener[];
  readonly #mailboxes: Mailboxes;
  readonly #pool: SessionPool;
  readonly #queue: OpenQueue;
  readonly #tokens: TokenManager;
  readonly #watching: Watching;

  private constructor(
    listeners: readonly Listener[],
    mailboxes: Mailboxes,
    pool: SessionPool,
    queue: OpenQueue,
    tokens: TokenManager,
    watching: Watching,
  ) {
    this.#listeners = listeners;
    this.#mailboxes = mailboxes;
    this.#pool = pool;
    this.#queue = queue;
    this.#tokens = tokens;
    this.#watching = watching;
  }

  /** Takes possession of the queue, and does nothing else yet. @throws ProblemError `STATE_KEY_UNUSABLE`, `SPOOL_…`. */
  static async compose(config: Config, { log, scrubber, accounts, clients }: RelayParts): Promise<Relay> {
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
    const mailboxes = new Mailboxes({ ...base, accounts, tokens });
    const fronts = { ...base, mailboxes, clients: directory, passwords: new PasswordCheck(base) };
    const { smtp, imap, pop3 } = config.listeners;
    return new Relay(
      [
        ...smtp.map((settings) => new SmtpListener(settings, deps)),
        ...[...imap, ...pop3].map((settings) => new MailboxListener(settings, fronts)),
      ],
      mailboxes,
      pool,
      queue,
      tokens,
      { desk, expiry: expiryWatch(desk, accounts, store, { log }) },
    );
  }

  /** @throws ProblemError `LISTENER_FAILED`; listeners already open are closed again. */
  async start(): Promise<void> {
    this.#tokens.start();
    this.#watching.expiry.start();
    await this.#queue.start();
    try {
      for (const listener of this.#listeners) await listener.open();
    } catch (error) {
      await this.stop(0 as DurationMs);
      throw error;
    }
  }

  async stop(grace: DurationMs): Promise<void> {
    const begun = systemClock.monotonic();
    this.#queue.delivery.wind();
    this.#mailboxes.close();
    await Promise.all(this.#listeners.map((listener) => listener.close(grace)));
    const left = Math.max(0, grace - between(begun, systemClock.monotonic()));
    // The pool cuts what does not end in time, and the queue records what came of it.
    await Promise.all([this.#pool.close(left as DurationMs), this.#queue.stop()]);
    this.#watching.expiry.close();
    await this.#tokens.close();
    await this.#watching.desk.close();
  }
}
