/**
 * Alerts put together: who notices, the desk that remembers, and where they go.
 *
 * @packageDocumentation
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Account, AccountName } from '../core/account.ts';
import { troubleEvent } from '../core/alert.ts';
import type { Alerts, DeliveryWatch } from '../core/ports/alerts.ts';
import type { Log } from '../core/ports/log.ts';
import { VERSION } from '../core/version.ts';
import { AlertDesk } from '../observability/alert-desk.ts';
import type { Scrubber } from '../observability/scrubber.ts';
import { Webhook } from '../observability/webhook.ts';
import { WebhookSink } from '../observability/webhook-sink.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import type { TokenStatus } from '../token/account-tokens.ts';

/** The log, and what keeps secrets out of it. */
interface Observed {
  readonly log: Log;
  readonly scrubber: Scrubber;
}

/** The desk, and what it takes over of a changed configuration. */
export interface Alerting {
  readonly desk: AlertDesk;
  /** @throws ProblemError `CONFIG_INVALID` */
  update(config: Pick<Config, 'alerts'>, accounts: readonly Account[]): void;
}

/** The desk, with the webhooks of the configuration. @throws ProblemError `CONFIG_INVALID` */
export async function openAlerting(config: Config, accounts: readonly Account[], observed: Observed): Promise<Alerting> {
  const sinks = new Sinks(observed);
  const settings = ({ alerts }: Pick<Config, 'alerts'>, configured: readonly Account[]) => ({
    accounts: configured.map(({ name }) => name),
    sinks: sinks.select(alerts),
  });
  const file = join(config.state.dir, 'alerts.json');
  const desk = await AlertDesk.open({ clock: systemClock, log: observed.log, file, ...settings(config, accounts) });
  return { desk, update: (changed, configured) => desk.update(settings(changed, configured)) };
}

/** One sink for each webhook. One that is configured as before stays the same, with what waits in it. */
class Sinks {
  readonly #observed: Observed;
  #current = new Map<string, WebhookSink>();

  constructor(observed: Observed) {
    this.#observed = observed;
  }

  select(alerts: Config['alerts']): readonly WebhookSink[] {
    const keyed = alerts.map((settings) => ({ key: JSON.stringify(settings), settings }));
    this.#current = new Map(keyed.map(({ key, settings }) => [key, this.#current.get(key) ?? this.#open(settings)]));
    return [...this.#current.values()];
  }

  #open({ webhook: url, events, ...signing }: Config['alerts'][number]): WebhookSink {
    const { log, scrubber } = this.#observed;
    const base = { clock: systemClock, log };
    const webhook = new Webhook({ url, ...signing, clock: systemClock, redactor: scrubber });
    return new WebhookSink({ ...base, webhook, events, origin: { host: hostname(), version: VERSION }, scrubber, random: systemRandom });
  }
}

/** Turns what happens to an account's tokens into conditions. Trouble that passes by itself is none. */
export function tokenWatch(alerts: Alerts) {
  return (account: AccountName, { state, problem, obtainedAt }: TokenStatus): void => {
    // A token that was restored from the store may be older than the trouble.
    if (state === 'active') return alerts.clear(account, 'tokens', obtainedAt);
    if (problem === undefined || (state !== 'reauth-required' && state !== 'misconfigured')) return undefined;
    const usual = state === 'reauth-required' ? 'reauth_required' : 'account_misconfigured';
    return alerts.raise({ account, topic: 'tokens', event: troubleEvent(problem) ?? usual, problem });
  };
}

/** Turns what the upstream says into conditions. Failures to get a token are told by {@link tokenWatch}. */
export function deliveryWatch(alerts: Alerts): DeliveryWatch {
  return {
    relayed: (account) => alerts.clear(account, 'upstream'),
    failed(account, problem) {
      const event = problem.code.startsWith('TOKEN_') ? undefined : troubleEvent(problem);
      if (event !== undefined) alerts.raise({ account, topic: 'upstream', event, problem });
    },
  };
}
