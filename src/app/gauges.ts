/**
 * What the metrics say about the present: each room is asked how it is at the moment somebody reads them.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { between, type EpochMs } from '../core/clock.ts';
import type { Octets } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Gauges, GaugeSource } from '../core/ports/metrics.ts';
import type { Spool } from '../core/ports/spool.ts';
import type { Delivery } from '../delivery/delivery.ts';
import type { FetchRules } from '../fetch/fetch-rules.ts';
import type { Mailboxes } from '../mailbox/mailboxes.ts';
import type { SecretEnd } from '../observability/secret-expiry.ts';
import type { TokenManager } from '../token/token-manager.ts';
import type { SessionPool } from '../upstream/session-pool.ts';
import type { WantedListenerState } from './listeners.ts';
import type { ReloadStatus } from './reload.ts';

/** Who is asked. */
export interface GaugedRooms {
  readonly accounts: readonly Account[];
  readonly listeners: readonly WantedListenerState[];
  readonly spool: Spool;
  readonly delivery: Delivery;
  readonly tokens: TokenManager;
  readonly pool: SessionPool;
  readonly mailboxes: Pick<Mailboxes, 'sessionCount'>;
  readonly fetch: Pick<FetchRules, 'list'>;
  readonly secretEnds: () => Promise<readonly SecretEnd[]>;
  readonly queueLimit: Octets;
  readonly configuration: () => ReloadStatus;
  readonly clock: Clock;
}

/** One source for each room, so that trouble of one does not hide the others. */
export function gaugeSources(rooms: GaugedRooms): readonly GaugeSource[] {
  return [
    (gauges) => gaugeConfiguration(rooms, gauges),
    (gauges) => gaugeListeners(rooms, gauges),
    (gauges) => gaugeQueue(rooms, gauges),
    (gauges) => gaugeAccounts(rooms, gauges),
    (gauges) => gaugeMailboxes(rooms, gauges),
    (gauges) => gaugeFetch(rooms, gauges),
    (gauges) => gaugeSecrets(rooms, gauges),
  ];
}

/** Exported for its test: the other rooms take a whole relay. */
export function gaugeConfiguration({ configuration }: Pick<GaugedRooms, 'configuration'>, gauges: Gauges): void {
  const { loadedAt, problem } = configuration();
  gauges.set('postern_config_in_use', {}, problem === undefined ? 1 : 0);
  gauges.set('postern_config_loaded_timestamp_seconds', {}, loadedAt / 1000);
}

function gaugeListeners({ listeners }: GaugedRooms, gauges: Gauges): void {
  for (const { name: listener, sessionCount } of listeners) gauges.set('postern_sessions', { listener }, sessionCount);
}

async function gaugeQueue({ accounts, spool, queueLimit, clock }: GaugedRooms, gauges: Gauges): Promise<void> {
  const { octets, quarantined } = await spool.stats();
  gauges.set('postern_queue_bytes', {}, octets);
  gauges.set('postern_queue_limit_bytes', {}, queueLimit);
  gauges.set('postern_queue_quarantined', {}, quarantined);
  const summaries = new Map((await spool.accounts()).map((summary) => [summary.account, summary]));
  const now = clock.now();
  for (const account of new Set([...accounts.map(({ name }) => name), ...summaries.keys()])) {
    const { entries, held, oldestAcceptedAt } = summaries.get(account) ?? { entries: 0, held: 0, oldestAcceptedAt: now };
    gauges.set('postern_queue_messages', { account, state: 'waiting' }, entries - held);
    gauges.set('postern_queue_messages', { account, state: 'held' }, held);
    gauges.set('postern_queue_oldest_seconds', { account }, Math.max(0, secondsUntil(oldestAcceptedAt, now)));
  }
}

function gaugeAccounts(rooms: GaugedRooms, gauges: Gauges): void {
  const { delivery, pool } = rooms;
  for (const each of rooms.accounts) {
    const { name: account, provider } = each;
    const state = delivery.stateOf(account)?.kind;
    if (state !== undefined) gauges.set('postern_account_state', { account, state }, 1);
    const left = delivery.paceLeft(each);
    gauges.set('postern_pace_messages_left', { account }, left.messages);
    gauges.set('postern_pace_recipients_left', { account }, left.recipients);
    gauges.set('postern_upstream_connections', { account }, pool.connections(account));
    gauges.set('postern_upstream_connections_limit', { account }, provider.limits.connections);
    gaugeToken(rooms, account, gauges);
  }
}

/** Exported for its test: the other rooms take a whole relay. */
export function gaugeMailboxes(
  { accounts, listeners, mailboxes }: Pick<GaugedRooms, 'accounts' | 'listeners' | 'mailboxes'>,
  gauges: Gauges,
): void {
  for (const protocol of ['imap', 'pop3'] as const) {
    if (!listeners.some((listener) => listener.protocol === protocol)) continue;
    for (const { name: account } of accounts)
      gauges.set('postern_mailbox_sessions', { account, protocol }, mailboxes.sessionCount(account, protocol));
  }
}

function gaugeFetch({ fetch }: GaugedRooms, gauges: Gauges): void {
  for (const { name: rule, lastUid, lagSeconds, held, asideCount, problem } of fetch.list()) {
    gauges.set('postern_fetch_failing', { rule }, problem === undefined ? 0 : 1);
    if (lastUid !== undefined) gauges.set('postern_fetch_last_uid', { rule }, lastUid);
    if (lagSeconds !== undefined) gauges.set('postern_fetch_lag_seconds', { rule }, lagSeconds);
    gauges.set('postern_fetch_held', { rule }, held);
    gauges.set('postern_fetch_aside', { rule }, asideCount);
  }
}

/** An account that signs in with a password has no tokens. */
function gaugeToken({ tokens, clock }: GaugedRooms, account: string, gauges: Gauges): void {
  const status = tokens.describe(account);
  if (status === undefined) return;
  const { state, obtainedAt, expiresAt } = status;
  gauges.set('postern_token_state', { account, state }, 1);
  if (obtainedAt !== undefined) gauges.set('postern_token_age_seconds', { account }, secondsUntil(obtainedAt, clock.now()));
  if (expiresAt !== undefined) gauges.set('postern_token_expires_seconds', { account }, secondsUntil(clock.now(), expiresAt));
}

async function gaugeSecrets({ secretEnds, clock }: GaugedRooms, gauges: Gauges): Promise<void> {
  const now = clock.now();
  for (const { account, topic: secret, endsAt } of await secretEnds())
    gauges.set('postern_secret_expires_seconds', { account, secret }, secondsUntil(now, endsAt));
}

const secondsUntil = (from: EpochMs, until: EpochMs): number => between(from, until) / 1000;
