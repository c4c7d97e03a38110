/** docs/openapi.json: the description of the API on the admin port. */
import { Doorkeeper } from '../src/admin/doorkeeper.ts';
import { guestRoutes } from '../src/admin/guest-routes.ts';
import { linkRoutes } from '../src/admin/link-routes.ts';
import { describeApi } from '../src/admin/openapi.ts';
import { sessionRoutes } from '../src/admin/session-routes.ts';
import { setupRoutes } from '../src/admin/setup-routes.ts';
import { apiRoutes } from '../src/app/operator-routes.ts';
import { createLog } from '../src/observability/log.ts';
import { Scrubber } from '../src/observability/scrubber.ts';
import { systemClock } from '../src/platform/system-clock.ts';

/** Routes that are described are never run. */
const unused = {} as never;

/** The document as a text, the same for each build. */
export function renderApiDescription(): string {
  const log = createLog({ level: 'error', format: 'json' }, new Scrubber(), { write: () => undefined });
  const doorkeeper = new Doorkeeper({ secret: undefined, hostnames: [], isTls: false, clock: systemClock, log });
  return `${JSON.stringify(describeApi([...apiRoutes(unused), ...linkRoutes(unused), ...sessionRoutes(doorkeeper), ...setupRoutes(unused), ...guestRoutes(unused, systemClock)], 'v1'), undefined, 2)}\n`;
}
