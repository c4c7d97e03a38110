/**
 * Signals that come while Postern is being loaded: nothing has been taken yet, so there is nothing to finish.
 *
 * Without a listener SIGHUP would end the process, and SIGTERM would be ignored by the first process of a container, which has no default action (signal(7),
 * pid_namespaces(7)).
 *
 * @packageDocumentation
 */
import { EXIT } from './command.ts';

const ENDING = ['SIGTERM', 'SIGINT'] as const;

/** SIGTERM and SIGINT end the process, SIGHUP says nothing new. @returns Ends that; to be called in the turn in which somebody else begins to listen. */
export function mindEarlySignals(): () => void {
  const leave = (): never => process.exit(EXIT.ok);
  const stay = (): void => undefined; // The configuration is read after this.
  for (const signal of ENDING) process.on(signal, leave);
  process.on('SIGHUP', stay);
  return () => {
    for (const signal of ENDING) process.off(signal, leave);
    process.off('SIGHUP', stay);
  };
}
