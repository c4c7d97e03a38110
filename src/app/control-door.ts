/**
 * The door through which commands reach a relay that runs.
 *
 * The relay opens it once it has its spool, and closes what it gets before it closes the spool.
 *
 * @packageDocumentation
 */
import type { Routes } from '../admin/api.ts';
import { ControlServer } from '../admin/control-server.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../core/ports/log.ts';
import { ProblemError } from '../core/problem.ts';
import { systemClock } from '../platform/system-clock.ts';
import { controlSocket } from './control-socket.ts';

/**
 * Let commands reach this process.
 *
 * @returns Undefined where the socket could not be opened. That is said in the log, and no reason not to relay mail.
 */
export async function openControlServer(config: Pick<Config, 'state'>, routes: Routes, log: Log): Promise<ControlServer | undefined> {
  const server = new ControlServer({ path: controlSocket(config), routes, clock: systemClock, log });
  try {
    await server.open();
    return server;
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    log.error({ event: 'control-failed', problem: error.problem }, error.problem.cause);
    return undefined;
  }
}
