/**
 * Asks the relay that runs whether it is ready. By itself, so that a health check loads next to nothing.
 *
 * @packageDocumentation
 */
import { ControlClient } from '../admin/control-client.ts';
import type { Config } from '../config/config.ts';
import type { DurationMs } from '../core/clock.ts';
import type { Readiness } from '../core/ports/relay-view.ts';
import { ProblemError } from '../core/problem.ts';
import { systemClock } from '../platform/system-clock.ts';
import { controlSocket } from './control-socket.ts';

/** @returns Undefined where none answers on the control socket, or this user may not use it. */
export async function askReadiness(config: Pick<Config, 'state'>, patience: DurationMs): Promise<Readiness | undefined> {
  try {
    return await new ControlClient({ path: controlSocket(config), clock: systemClock }).readiness(patience);
  } catch (error) {
    if (error instanceof ProblemError && error.problem.code === 'CONTROL_UNREACHABLE') return undefined;
    throw error;
  }
}
