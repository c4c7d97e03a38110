/**
 * How operators reach a relay that runs: the control socket for commands, and the admin port where one is configured. Both have the same routes.
 *
 * @packageDocumentation
 */
import { activityRoutes } from '../admin/activity-routes.ts';
import type { DocumentedRoute, Route } from '../admin/api.ts';
import type { ControlServer } from '../admin/control-server.ts';
import type { Doorkeeper } from '../admin/doorkeeper.ts';
import { fetchRoutes } from '../admin/fetch-routes.ts';
import { guestRoutes } from '../admin/guest-routes.ts';
import { linkRoutes } from '../admin/link-routes.ts';
import { logRoutes } from '../admin/log-routes.ts';
import { descriptionRoute } from '../admin/openapi.ts';
import { queueRoutes } from '../admin/queue-routes.ts';
import { pageRoutes } from '../admin/page-routes.ts';
import { healthRoutes, metricsRoute, relayRoutes } from '../admin/relay-routes.ts';
import { sessionRoutes } from '../admin/session-routes.ts';
import { setupRoutes } from '../admin/setup-routes.ts';
import { SpoolQueue } from '../admin/spool-queue.ts';
import { traceRoutes } from '../admin/trace-routes.ts';
import type { Config } from '../config/config.ts';
import type { DurationMs } from '../core/clock.ts';
import type { Activity } from '../core/ports/activity.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { FetchControl } from '../core/ports/fetch-control.ts';
import type { Log } from '../core/ports/log.ts';
import type { LogReader } from '../core/ports/log-reader.ts';
import type { QueueControl } from '../core/ports/queue-control.ts';
import type { RelayView } from '../core/ports/relay-view.ts';
import type { Setup } from '../core/ports/setup.ts';
import type { GuestSignIn, SignInLinks } from '../core/ports/sign-in-links.ts';
import type { Spool } from '../core/ports/spool.ts';
import type { Traces } from '../core/ports/traces.ts';
import type { ProblemError } from '../core/problem.ts';
import { VERSION } from '../core/version.ts';
import { systemClock } from '../platform/system-clock.ts';
import { AdminPort } from './admin-port.ts';
import { readPage } from './page-files.ts';
import { openControlServer } from './queue-access.ts';

/** What operators are let at. */
export interface DoorParts {
  readonly spool: Spool;
  /** By which messages fall due. */
  readonly calendar: Pick<Clock, 'now'>;
  readonly view: RelayView;
  readonly traces: Traces;
  readonly fetch: FetchControl;
  readonly activity: Activity;
  readonly lines: LogReader;
  /** Absent: it cannot be set up while it runs. */
  readonly setup?: { readonly desk: Setup; readonly links: SignInLinks & GuestSignIn };
  readonly metrics: { readonly contentType: string; render(): Promise<string> };
  readonly log: Log;
}

/** What the operations of the API are done with. */
export interface ApiParts {
  readonly queue: QueueControl;
  readonly view: RelayView;
  readonly traces: Traces;
  readonly fetch: FetchControl;
  readonly activity: Activity;
  readonly lines: LogReader;
}

/** All operations of the API that both doors have. */
export function apiRoutes({ queue, view, traces, fetch, activity, lines }: ApiParts): readonly DocumentedRoute[] {
  return [
    ...relayRoutes(view),
    ...queueRoutes(queue),
    ...traceRoutes(traces),
    ...fetchRoutes(fetch),
    ...activityRoutes(activity, systemClock),
    ...logRoutes(lines),
  ];
}

export class Doors {
  readonly #config: Pick<Config, 'state'>;
  readonly #log: Log;
  readonly #controlRoutes: readonly Route[];
  readonly #admin: AdminPort;
  #control: ControlServer | undefined;

  /** Opens nothing yet. @throws ProblemError `LISTENER_FAILED` where the admin port's certificate is no good. */
  constructor(
    config: Pick<Config, 'state' | 'admin'>,
    { spool, calendar, view, traces, fetch, activity, lines, setup, metrics, log }: DoorParts,
  ) {
    const operations = apiRoutes({ queue: new SpoolQueue({ spool, clock: calendar, log }), view, traces, fetch, activity, lines });
    const links = setup === undefined ? [] : linkRoutes(setup.links);
    const common = [...healthRoutes(view), metricsRoute(metrics), ...operations, ...links];
    this.#config = config;
    this.#log = log;
    this.#controlRoutes = [...common, descriptionRoute([...operations, ...links], VERSION)];
    const behind = (door: Doorkeeper): readonly Route[] => {
      const setting = setup === undefined ? [] : [...setupRoutes(setup.desk), ...guestRoutes(setup.links, systemClock)];
      const own = [...sessionRoutes(door), ...setting];
      return [...pageRoutes(readPage()), ...common, ...own, descriptionRoute([...operations, ...links, ...own], VERSION)];
    };
    this.#admin = new AdminPort(config.admin, behind, log);
  }

  /** @throws ProblemError `LISTENER_FAILED`: the admin port. Without the control socket a relay goes on. */
  async open(): Promise<void> {
    this.#control = await openControlServer(this.#config, this.#controlRoutes, this.#log);
    await this.#admin.open();
  }

  /** Take over a changed configuration of the admin port. @returns Why that could not be done; then it is as it was before. */
  update({ admin }: Pick<Config, 'admin'>): Promise<readonly ProblemError[]> {
    return this.#admin.update(admin);
  }

  async close(grace: DurationMs): Promise<void> {
    await Promise.all([this.#control?.close(grace), this.#admin.close(grace)]);
  }
}
