/**
 * The relay that runs, for commands that are about it alone. Loads next to nothing, for the sake of health checks.
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

/** What commands can ask of it. Each throws `CONTROL_UNREACHABLE` where none runs, or this user may not ask. */
export type RunningRelay = Pick<
  ControlClient,
  'startTrace' | 'traces' | 'readTrace' | 'removeTrace' | 'readiness' | 'fetch' | 'makeSignInLink'
>;

export function controlOf(config: Pick<Config, 'state'>): RunningRelay {
  return new ControlClient({ path: controlSocket(config), clock: systemClock });
}

/** @returns Undefined where none answers on the control socket, or this user may not use it. */
export async function askReadiness(config: Pick<Config, 'state'>, patience: DurationMs): Promise<Readiness | undefined> {
  try {
    return await controlOf(config).readiness(patience);
  } catch (error) {
    if (error instanceof ProblemError && error.problem.code === 'CONTROL_UNREACHABLE') return undefined;
    throw error;
  }
}
