/**
 * From a valid configuration to a relay that runs, and to its end.
 *
 * @packageDocumentation
 */
import type { Config, ConfigNotice } from '../config/config.ts';
import { describeFinding } from '../config/config.ts';
import type { DurationMs } from '../core/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { composeObservation, type Observation, Relay } from './compose.ts';
import { runUntilStopped, type Service } from './lifecycle.ts';

/** `failed`: it could not start, or crashed; the log says why. */
export async function serve(config: Config, notices: readonly ConfigNotice[]): Promise<'stopped' | 'failed'> {
  const observation = composeObservation(config);
  const { log } = observation;
  // Where an account has no refresh token, its first try says so, and where it has one in the store there is nothing to say.
  const told = notices.filter(({ topic }) => topic !== 'no-refresh-token');
  for (const notice of told) log.warn({ event: 'config-notice', file: config.source }, describeFinding(notice));
  try {
    const service = config.accounts.length === 0 ? await startWithSandbox(config, observation) : await startRelay(config, observation);
    log.info({ event: 'ready' }, 'ready');
    return (await runUntilStopped(service, log)) === 0 ? 'stopped' : 'failed';
  } catch (error) {
    reportFailedStart(error, log);
    return 'failed';
  }
}

async function startRelay(config: Config, observation: Observation): Promise<Service> {
  const relay = await Relay.compose(config, { ...observation, accounts: config.accounts, clients: config.clients });
  await relay.start();
  return relay;
}

/** The sandbox is loaded only where it is used: it brings a certificate library along. */
async function startWithSandbox(config: Config, observation: Observation): Promise<Service> {
  const { openSandboxAccount } = await import('./sandbox-account.ts');
  const { sandbox, account, clients, invitation } = await openSandboxAccount(config, observation);
  try {
    const relay = await Relay.compose(config, { ...observation, accounts: [account], clients });
    await relay.start();
    process.stdout.write(invitation);
    return {
      async stop(grace: DurationMs): Promise<void> {
        await relay.stop(grace);
        await sandbox.close();
      },
    };
  } catch (error) {
    await sandbox.close();
    throw error;
  }
}

function reportFailedStart(error: unknown, log: Log): void {
  if (error instanceof ProblemError) log.error({ event: 'start-failed', problem: error.problem }, 'Postern could not start');
  else log.error({ event: 'start-failed', problem: problem('INTERNAL'), error }, 'Postern could not start');
}
