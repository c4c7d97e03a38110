/**
 * What operators are told about the relay in this process.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import type { Client } from '../core/client.ts';
import { between, type EpochMs, type MonotonicMs } from '../core/clock.ts';
import type { AccountView, ClientView, ConfigurationView, Readiness, RelayView, StatusView } from '../core/ports/relay-view.ts';
import type { AccountSummary } from '../core/ports/spool.ts';
import { VERSION } from '../core/version.ts';
import type { SecretEnd } from '../observability/secret-expiry.ts';
import { isTroubled, OPEN } from '../delivery/account-state.ts';
import type { GaugedRooms } from './gauges.ts';
import type { ReloadStatus } from './reload.ts';

/** Who is asked. */
export interface ViewedRooms extends GaugedRooms {
  readonly clients: readonly Client[];
}

export class RunningRelayView implements RelayView {
  readonly #rooms: ViewedRooms;
  readonly #source: string;
  readonly #startedAt: EpochMs;
  readonly #begun: MonotonicMs;
  #isStopping = false;

  /** @param source - The configuration file, or `environment`. */
  constructor(rooms: ViewedRooms, source: string) {
    this.#rooms = rooms;
    this.#source = source;
    this.#startedAt = rooms.clock.now();
    this.#begun = rooms.clock.monotonic();
  }

  /** From now on it is not ready: whoever sends applications here should send them elsewhere. */
  stopping(): void {
    this.#isStopping = true;
  }

  readiness(): Readiness {
    const closed = this.#rooms.listeners.filter(({ isOpen }) => !isOpen).map(({ name }) => `listener ${name} is not open`);
    const reasons = this.#isStopping ? ['Postern is stopping'] : closed;
    return { isReady: reasons.length === 0, reasons };
  }

  async status(): Promise<StatusView> {
    const { listeners, accounts, spool, delivery, queueLimit, clock } = this.#rooms;
    const { entries, octets, quarantined } = await spool.stats();
    const held = (await spool.accounts()).reduce((sum, summary) => sum + summary.held, 0);
    return {
      ...this.readiness(),
      version: VERSION,
      startedAt: moment(this.#startedAt),
      uptimeSeconds: Math.floor(between(this.#begun, clock.monotonic()) / 1000),
      source: this.#source,
      configuration: describeConfiguration(this.#rooms.configuration()),
      listeners: listeners.map(({ name, protocol, tls, isOpen, sessionCount: sessions }) => ({ name, protocol, tls, isOpen, sessions })),
      accounts: { total: accounts.length, open: accounts.filter(({ name }) => delivery.stateOf(name)?.kind === 'open').length },
      queue: { messages: entries, held, octets, limitOctets: queueLimit, quarantined },
    };
  }

  async accounts(): Promise<readonly AccountView[]> {
    const { accounts, spool, secretEnds } = this.#rooms;
    const [ends, queued] = await Promise.all([secretEnds(), spool.accounts()]);
    const byName = new Map(queued.map((summary) => [summary.account, summary]));
    return accounts.map((account) => this.#describe(account, byName.get(account.name), ends));
  }

  clients(): readonly ClientView[] {
    return this.#rooms.clients.map(({ name, account, login, networks, senders, onOtherSender, messagesPerMinute }) => ({
      name,
      account,
      ...(login === undefined ? {} : { username: login.username }),
      hasPassword: login !== undefined,
      networks,
      senders,
      onOtherSender: onOtherSender === 'refuse' ? 'refuse' : 'rewrite',
      ...(messagesPerMinute === undefined ? {} : { messagesPerMinute }),
    }));
  }

  async refreshToken(name: string): Promise<string | undefined> {
    const { tokens } = this.#rooms;
    if (tokens.describe(name) === undefined) return undefined;
    return moment((await tokens.refresh(name)).expiresAt);
  }

  #describe(account: Account, queued: AccountSummary | undefined, ends: readonly SecretEnd[]): AccountView {
    const { name, provider, mailbox, smtpUser, auth, delivery: mode } = account;
    const { delivery, pool } = this.#rooms;
    const state = delivery.stateOf(name) ?? OPEN;
    const left = delivery.paceLeft(account);
    return {
      name,
      provider: provider.name,
      mailbox,
      smtpUser,
      grant: auth.grant,
      delivery: mode,
      state: state.kind,
      ...(isTroubled(state) ? { problem: state.problem } : {}),
      ...this.#describeToken(name),
      queue: {
        messages: queued?.entries ?? 0,
        held: queued?.held ?? 0,
        ...(queued === undefined ? {} : { oldestAcceptedAt: moment(queued.oldestAcceptedAt) }),
      },
      connections: { open: pool.connections(name), limit: provider.limits.connections },
      pace: { messagesLeft: left.messages, recipientsLeft: left.recipients },
      secrets: ends.filter((end) => end.account === name).map(({ topic: secret, endsAt }) => ({ secret, endsAt: moment(endsAt) })),
    };
  }

  #describeToken(account: string): Pick<AccountView, 'token'> {
    const status = this.#rooms.tokens.describe(account);
    if (status === undefined) return {};
    const { state, obtainedAt, expiresAt, retryAt, problem } = status;
    return {
      token: {
        state,
        ...(obtainedAt === undefined ? {} : { obtainedAt: moment(obtainedAt) }),
        ...(expiresAt === undefined ? {} : { expiresAt: moment(expiresAt) }),
        ...(retryAt === undefined ? {} : { retryAt: moment(retryAt) }),
        ...(problem === undefined ? {} : { problem }),
      },
    };
  }
}

const moment = (at: EpochMs): string => new Date(at).toISOString();

const describeConfiguration = ({ loadedAt, reloads, problem, problemSince }: ReloadStatus): ConfigurationView => ({
  loadedAt: moment(loadedAt),
  reloads,
  ...(problem === undefined ? {} : { problem }),
  ...(problemSince === undefined ? {} : { problemSince: moment(problemSince) }),
});
