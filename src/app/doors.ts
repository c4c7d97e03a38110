/**
 * How operators reach a relay that runs: the control socket for commands, and the admin port where one is configured. Both have the same routes.
 *
 * @packageDocumentation
 */
import type { Route, Routes } from '../admin/api.ts';
import type { ControlServer } from '../admin/control-server.ts';
import type { Doorkeeper } from '../admin/doorkeeper.ts';
import type { Config } from '../config/config.ts';
import type { DurationMs } from '../core/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { ProblemError } from '../core/problem.ts';
import { AdminPort } from './admin-port.ts';
import type { DoorParts, OperatorRoutes } from './operator-routes.ts';
import { openControlServer } from './control-door.ts';

export class Doors {
  readonly #config: Pick<Config, 'state'>;
  readonly #parts: DoorParts;
  readonly #admin: AdminPort;
  #routes: OperatorRoutes | undefined;
  #control: ControlServer | undefined;

  /** Opens nothing yet. @throws ProblemError `LISTENER_FAILED` where the admin port's certificate is no good. */
  constructor(config: Pick<Config, 'state' | 'admin'>, parts: DoorParts) {
    this.#config = config;
    this.#parts = parts;
    this.#admin = new AdminPort(config.admin, (door) => this.#behind(door), this.#log);
  }

  /** @throws ProblemError `LISTENER_FAILED`: the admin port. Without the control socket a relay goes on. */
  async open(): Promise<void> {
    this.#control = await openControlServer(this.#config, async () => (await this.#load()).control, this.#log);
    await this.#admin.open();
  }

  /** Take over a changed configuration of the admin port. @returns Why that could not be done; then it is as it was before. */
  update({ admin }: Pick<Config, 'admin'>): Promise<readonly ProblemError[]> {
    return this.#admin.update(admin);
  }

  async close(grace: DurationMs): Promise<void> {
    await Promise.all([this.#control?.close(grace), this.#admin.close(grace)]);
  }

  get #log(): Log {
    return this.#parts.log;
  }

  async #load(): Promise<OperatorRoutes> {
    const loaded = await import('./operator-routes.ts');
    return (this.#routes ??= new loaded.OperatorRoutes(this.#parts));
  }

  #behind(door: Doorkeeper): Routes {
    let routes: readonly Route[] | undefined;
    return async () => {
      const all = await this.#load();
      return (routes ??= all.behind(door));
    };
  }
}
