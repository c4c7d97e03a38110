/**
 * From a valid configuration to a relay that runs, and to its end.
 *
 * @packageDocumentation
 */
import { type Config, type ConfigNotice, describeFinding, type LoadResult } from '../config/config.ts';
import type { DurationMs } from '../core/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { ServiceManager, type ServiceState } from '../platform/service-manager.ts';
import { requireSpareFiles } from '../platform/spare-files.ts';
import { systemClock } from '../platform/system-clock.ts';
import { atTurnEnd } from '../platform/turn-end.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { composeObservation, type Observation, Relay, type RelayParts } from './compose.ts';
import { Lifecycle, type Service } from './lifecycle.ts';
import { Reloader } from './reload.ts';
import { SetupDesk } from './setup-desk.ts';
import type { SandboxAccount } from './sandbox-account.ts';

/** How the configuration came to be, and how it is read again. */
export interface ServeOptions {
  readonly config: Config;
  readonly notices: readonly ConfigNotice[];
  /** @param text - In place of what is in the file. */
  readonly load: (text?: string) => Promise<LoadResult>;
}

/** `failed`: it could not start, or crashed; the log says why. */
export async function serve({ config, notices, load }: ServeOptions): Promise<'stopped' | 'failed'> {
  const observation = composeObservation(config);
  const { log } = observation;
  const lifecycle = new Lifecycle(log);
  const tellManager = managerTeller(log);
  // Where an account has no refresh token, its first try says so, and where it has one in the store there is nothing to say.
  // The sandbox brings a reader along.
  const isSandbox = config.accounts.length === 0;
  const told = notices.filter(({ topic }) => topic !== 'no-refresh-token' && !(isSandbox && topic === 'no-reader'));
  for (const notice of told) log.warn({ event: 'config-notice', file: config.source }, describeFinding(notice));
  try {
    requireSpareFiles();
    let reloader: Reloader | undefined;
    const reload = async (): Promise<void> => reloader?.reload();
    const setup = new SetupDesk({ load, reload, clock: systemClock, scrubber: observation.scrubber });
    const serving = await Serving.start(config, observation, { setup, reloadStatus: () => reloader?.status });
    const apply = (changed: Config): Promise<readonly ProblemError[]> => serving.apply(changed);
    reloader = new Reloader({ config, load: () => load(), apply, clock: systemClock, log: serving.log });
    log.info({ event: 'ready' }, 'ready');
    tellManager('READY=1');
    await reloader.start();
    const service = new Reloading(serving, reloader, setup, () => tellManager('STOPPING=1'));
    return (await lifecycle.run(service)) === 0 ? 'stopped' : 'failed';
  } catch (error) {
    reportFailedStart(error, log);
    return 'failed';
  }
}

/** Nobody waits for the word to arrive. @returns Which it is to be. */
function managerTeller(log: Log): (state: ServiceState) => void {
  const manager = new ServiceManager(process.env, systemClock);
  return (state) =>
    void manager.tell(state).then((fault) => {
      if (fault === undefined) return;
      const what = problem('SERVICE_MANAGER_NOT_TOLD', `${state}: ${fault}`);
      log.warn({ event: 'service-manager-not-told', problem: what }, 'the service manager could not be told');
    });
}

/** A service that reads its configuration again when it is told to. */
class Reloading implements Service {
  readonly #serving: Serving;
  readonly #reloader: Reloader;
  readonly #setup: SetupDesk;
  readonly #onStop: () => void;

  constructor(serving: Serving, reloader: Reloader, setup: SetupDesk, onStop: () => void) {
    this.#setup = setup;
    this.#onStop = onStop;
    this.#serving = serving;
    this.#reloader = reloader;
  }

  reload(): void {
    void this.#reloader.reload();
  }

  async stop(grace: DurationMs): Promise<void> {
    this.#onStop();
    void this.#setup.close();
    await this.#reloader.close();
    await this.#serving.stop(grace);
  }
}

/** A relay for the configured accounts, or for the sandbox's where none is configured. */
class Serving implements Service {
  readonly #relay: Relay;
  readonly #observation: Observation;
  #sandbox: SandboxAccount | undefined;

  private constructor(relay: Relay, observation: Observation, sandbox: SandboxAccount | undefined) {
    this.#relay = relay;
    this.#observation = observation;
    this.#sandbox = sandbox;
  }

  /** @throws ProblemError `SANDBOX_FAILED`, or as {@link Relay}. */
  static async start(config: Config, observation: Observation, parts: Pick<RelayParts, 'setup' | 'reloadStatus'>): Promise<Serving> {
    const sandbox = config.accounts.length === 0 ? await openSandbox(config, observation) : undefined;
    try {
      const relay = await Relay.compose(config, { ...(sandbox ?? config), ...observation, ...parts, environment: process.env });
      await relay.start();
      // Behind the log's lines of this turn: what is read last.
      if (sandbox !== undefined) atTurnEnd(() => process.stdout.write(sandbox.invitation), 'record');
      return new Serving(relay, observation, sandbox);
    } catch (error) {
      await sandbox?.sandbox.close();
      throw error;
    }
  }

  get log(): Log {
    return this.#relay.log;
  }

  /** See {@link Relay.apply}. The first account that is configured takes the place of the sandbox. */
  async apply(config: Config): Promise<readonly ProblemError[]> {
    const before = this.#sandbox;
    if (config.accounts.length === 0 && before !== undefined) {
      const { clientsOnSandbox } = await import('./sandbox-account.ts');
      return this.#relay.apply(config, { accounts: before.accounts, clients: clientsOnSandbox(config, before.accounts) });
    }
    const failures = await this.#relay.apply(config, config);
    this.#sandbox = undefined;
    await before?.sandbox.close();
    if (before !== undefined) {
      this.#observation.log.info({ event: 'sandbox-closed' }, 'an account is configured: the sandbox has ended');
    }
    return failures;
  }

  async stop(grace: DurationMs): Promise<void> {
    await this.#relay.stop(grace);
    await this.#sandbox?.sandbox.close();
  }
}

/** The sandbox is loaded only where it is used: it brings a certificate library along. */
async function openSandbox(config: Config, observation: Observation): Promise<SandboxAccount> {
  const { openSandboxAccount } = await import('./sandbox-account.ts');
  return openSandboxAccount(config, observation);
}

function reportFailedStart(error: unknown, log: Log): void {
  if (error instanceof ProblemError) log.error({ event: 'start-failed', problem: error.problem }, 'Postern could not start');
  else log.error({ event: 'start-failed', problem: problem('INTERNAL'), error }, 'Postern could not start');
}
