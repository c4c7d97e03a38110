/**
 * The sandbox alone, for `postern sandbox`: other programs, and Posterns with an account of provider `sandbox`, can use it.
 *
 * @packageDocumentation
 */
import type { Config } from '../config/config.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { startSandbox } from '../sandbox/sandbox.ts';
import { composeObservation } from './compose.ts';
import { Lifecycle } from './lifecycle.ts';

/** @returns The exit code. @throws ProblemError `SANDBOX_FAILED` */
export async function runSandbox(config: Config): Promise<number> {
  const { log, scrubber } = composeObservation(config);
  const lifecycle = new Lifecycle(log);
  const sandbox = await startSandbox({ clock: systemClock, random: systemRandom, log, stateDir: config.state.dir });
  scrubber.add(sandbox.clientSecret);
  log.info(
    { event: 'ready' },
    `ready: page ${sandbox.httpUrl}/, submission ${sandbox.smtp.host}:${sandbox.smtp.port}, IMAP ${sandbox.imap.port}, POP3 ${sandbox.pop3.port}`,
  );
  return lifecycle.run({ stop: () => sandbox.close() });
}
