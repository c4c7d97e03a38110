/**
 * The port to the upstream: warm, signed-in sessions of each account, kept and reused across submissions.
 *
 * Legacy applications open a connection per message; signing in upstream takes a dozen round trips, a message on a warm session three:
 * MAIL, then RCPT and DATA together where the caller does not wait in between, then the content.
 *
 * Accounts are told apart by name. Where an account comes with other settings than before, new sessions are opened with those, and the old ones end with the
 * message that they carry; a renewed secret or token is no reason to.
 *
 * @packageDocumentation
 */
import { setMaxListeners } from 'node:events';
import type { Account, AccountName } from '../core/account.ts';
import { type DurationMs, minutes, seconds } from '../core/clock.ts';
import type { Envelope, MailParameters, ReversePath } from '../core/envelope.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Chunks } from '../core/octets.ts';
import type { Log, MessageNames } from '../core/ports/log.ts';
import type { TokenSource } from '../core/ports/token-source.ts';
import { type RelayResult, type Upstream, UpstreamError, type UpstreamTransaction } from '../core/ports/upstream.ts';
import type { Reply } from '../core/reply.ts';
import { type Dial, dial } from '../platform/dial.ts';
import { AccountSessions, type WarmthOptions } from './account-sessions.ts';
import { ehloName } from './ehlo.ts';
import { noConnectionFree } from './failures.ts';
import { PasswordGuard } from '../policy/password-guard.ts';
import { DEADLINES, type SessionDeadlines } from './smtp-session.ts';

/** Tunables. */
export interface SessionPoolOptions extends WarmthOptions {
  readonly deadlines: SessionDeadlines;
}

const DEFAULTS: SessionPoolOptions = { idle: seconds(60), messages: 100, reduced: minutes(1), deadlines: DEADLINES };

/** What the pool needs. */
export interface SessionPoolDependencies {
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly log: Log;
  /** Name of this machine, for EHLO; `localhost` is said where it is not fit for that. */
  readonly hostname: string;
  readonly dial?: Dial;
  readonly options?: Partial<SessionPoolOptions>;
}

export class SessionPool implements Upstream {
  readonly #deps: SessionPoolDependencies;
  readonly #accounts = new Map<AccountName, AccountSessions>();
  /** Of accounts whose settings have changed, until the last session is gone. */
  readonly #outdated = new Set<AccountSessions>();
  readonly #passwords: PasswordGuard;
  readonly #cancel = new AbortController();
  #isClosing = false;

  constructor(deps: SessionPoolDependencies) {
    this.#deps = deps;
    this.#passwords = new PasswordGuard(deps.clock);
    setMaxListeners(0, this.#cancel.signal); // One for each session; Node would warn of a leak at eleven.
  }

  async begin(
    account: Account,
    reversePath: ReversePath,
    parameters: MailParameters,
    patience: DurationMs,
    about?: MessageNames,
  ): Promise<{ readonly reply: Reply; readonly transaction?: UpstreamTransaction }> {
    if (this.#isClosing) throw noConnectionFree('Postern is stopping');
    return this.#sessionsOf(account).begin(reversePath, parameters, patience, about);
  }

  async relay(
    account: Account,
    envelope: Envelope,
    openContent: () => Chunks,
    patience: DurationMs,
    about?: MessageNames,
  ): Promise<RelayResult> {
    try {
      if (this.#isClosing) throw noConnectionFree('Postern is stopping');
      return await this.#sessionsOf(account).relay(envelope, openContent, patience, about);
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error;
      return { answers: envelope.forwardPaths.map(() => undefined), failure: error, isDsnPassedOn: false };
    }
  }

  /** Connections that exist or are being opened, for an account. */
  connections(account: AccountName): number {
    return this.#accounts.get(account)?.connections ?? 0;
  }

  /**
   * Take no more messages; say QUIT on idle sessions, and on the others once their message is through.
   *
   * @param grace - After this what is left is cut.
   */
  async close(grace: DurationMs): Promise<void> {
    this.#isClosing = true;
    const accounts = [...this.#accounts.values(), ...this.#outdated];
    const timer = this.#deps.clock.startTimer(grace, () => this.#cancel.abort());
    await Promise.all(accounts.map((sessions) => sessions.close()));
    timer.cancel();
  }

  #retire(sessions: AccountSessions): void {
    this.#outdated.add(sessions);
    void sessions.retire().then(() => this.#outdated.delete(sessions));
  }

  #sessionsOf(account: Account): AccountSessions {
    const known = this.#accounts.get(account.name);
    if (known?.suits(account) === true) return known;
    if (known !== undefined) this.#retire(known);
    const { tokens, clock, log, hostname, options } = this.#deps;
    const settings = { ...DEFAULTS, ...options };
    const { deadlines } = settings;
    const signal = this.#cancel.signal;
    const common = { tokens, clock, log, deadlines, signal, passwords: this.#passwords };
    const signIn = { ...common, ehloName: ehloName(hostname), dial: this.#deps.dial ?? dial };
    const sessions = new AccountSessions(account, signIn, settings);
    this.#accounts.set(account.name, sessions);
    return sessions;
  }
}
