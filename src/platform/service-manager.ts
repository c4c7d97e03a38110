/**
 * Tells systemd how the service is doing.
 *
 * That takes a datagram to a Unix socket, which Node cannot send, so systemd's own program does it. Where no service manager asks (`NOTIFY_SOCKET`), nothing is
 * started.
 *
 * Sources: sd_notify(3), systemd-notify(1), systemd.service(5) (`Type=notify`, `NotifyAccess=`).
 *
 * @packageDocumentation
 */
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { lastLines, runProgram } from './run-program.ts';

/** What it is told: up and answering, or on its way out. */
export type ServiceState = 'READY=1' | 'STOPPING=1';

const PROGRAM = 'systemd-notify';
/** It waits until systemd has read the word, so that the word is known to be ours (sd_notify_barrier(3)). */
const DEADLINE = seconds(10);

export class ServiceManager {
  readonly #env: Readonly<Record<string, string>> | undefined;
  readonly #clock: Clock;

  /** @param env - Where systemd has left its socket's name; taken out of it, since nothing else that we start has anything to tell. */
  constructor(env: NodeJS.ProcessEnv, clock: Clock) {
    const { NOTIFY_SOCKET: socket, PATH } = env;
    this.#env = socket === undefined ? undefined : { NOTIFY_SOCKET: socket, ...(PATH === undefined ? {} : { PATH }) };
    this.#clock = clock;
    delete env['NOTIFY_SOCKET'];
  }

  /** @returns Why it could not be told; undefined where it was, or nobody asks. Never throws. */
  async tell(state: ServiceState): Promise<string | undefined> {
    if (this.#env === undefined) return undefined;
    const how = { program: PROGRAM, args: [state], directory: '/', env: this.#env, deadline: DEADLINE, clock: this.#clock };
    const result = await runProgram(how);
    switch (result.kind) {
      case 'exited':
        return result.code === 0
          ? undefined
          : `${PROGRAM} ended with ${result.code ?? result.signal}: ${lastLines(result.errors, 1).join()}`;
      case 'not-started':
        return `${PROGRAM} could not be started: ${result.reason}`;
      default:
        return `${PROGRAM} did not end within ${DEADLINE / 1000} s`;
    }
  }
}
