/**
 * What operators are served, at either door. Loaded with the first request: the schemas of the API take a good part of the time that there is to a start.
 *
 * @packageDocumentation
 */
import { activityRoutes } from '../admin/activity-routes.ts';
import type { DocumentedRoute, Route } from '../admin/api.ts';
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
import { VERSION } from '../core/version.ts';
import { systemClock } from '../platform/system-clock.ts';
import { readPage } from './page-files.ts';

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

/** The routes of both doors, which have most of them in common. */
export class OperatorRoutes {
  readonly control: readonly Route[];
  readonly #common: readonly Route[];
  readonly #documented: readonly DocumentedRoute[];
  readonly #setup: DoorParts['setup'];

  constructor({ spool, calendar, view, traces, fetch, activity, lines, setup, metrics, log }: DoorParts) {
    const operations = apiRoutes({ queue: new SpoolQueue({ spool, clock: calendar, log }), view, traces, fetch, activity, lines });
    const links = setup === undefined ? [] : linkRoutes(setup.links);
    this.#setup = setup;
    this.#documented = [...operations, ...links];
    this.#common = [...healthRoutes(view), metricsRoute(metrics), ...this.#documented];
    this.control = [...this.#common, descriptionRoute(this.#documented, VERSION)];
  }

  /** Those of the admin port. */
  behind(door: Doorkeeper): readonly Route[] {
    const setup = this.#setup;
    const setting = setup === undefined ? [] : [...setupRoutes(setup.desk), ...guestRoutes(setup.links, systemClock)];
    const own = [...sessionRoutes(door), ...setting];
    return [...pageRoutes(readPage()), ...this.#common, ...own, descriptionRoute([...this.#documented, ...own], VERSION)];
  }
}
