/**
 * From started to ended: signals, and the crash that must not go on.
 *
 * SIGHUP has the configuration read again. SIGTERM and the first SIGINT stop gracefully: nothing new is accepted, transactions in progress get their answer, then the process ends with 0. A
 * second signal ends it at once. An error that nobody caught ends it too: after one, what the process would do next is unknown, and a relay that
 * might lose mail is worse than one that its supervisor starts again.
 *
 * @packageDocumentation
 */
import { type DurationMs, seconds } from '../core/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { problem } from '../core/problem.ts';

/** Something that runs until it is stopped. */
export interface Service {
  /** Finish what is in progress for at most `grace`, then end all the same. */
  stop(grace: DurationMs): Promise<void>;
  /** SIGHUP: something outside has changed. */
  reload?(): void;
}

/** Supervisors kill after 10 s (docker stop) or more; 8 s leaves room for the rest of the shutdown. */
const GRACE = seconds(8);

export class Lifecycle {
  readonly #log: Log;
  #service: Service | undefined;
  #stopWith: NodeJS.Signals | undefined;
  #end: (code: number) => void = () => undefined;

  /** Signals count from now on: one that comes while the service starts would else end the process in the middle of the first message. */
  constructor(log: Log) {
    this.#log = log;
    process.on('SIGHUP', () => {
      log.info({ event: 'reload-asked' }, 'SIGHUP: reading the configuration again');
      if (this.#stopWith === undefined) this.#service?.reload?.();
    });
    process.on('SIGTERM', (signal) => this.#ask(signal));
    process.on('SIGINT', (signal) => this.#ask(signal));
    const crash = (error: unknown): void => {
      log.error({ event: 'crashed', problem: problem('INTERNAL'), error }, 'crashed');
      process.exit(1);
    };
    process.on('uncaughtException', crash);
    process.on('unhandledRejection', crash);
  }

  /** @returns The exit code, once the service has stopped. */
  run(service: Service): Promise<number> {
    this.#service = service;
    return new Promise((resolve) => {
      this.#end = resolve;
      if (this.#stopWith !== undefined) this.#stop(service);
    });
  }

  #ask(signal: NodeJS.Signals): void {
    if (this.#stopWith !== undefined) {
      this.#log.warn({ event: 'stopping' }, `${signal} again: ending at once`);
      process.exit(1);
    }
    this.#stopWith = signal;
    this.#log.info({ event: 'stopping' }, `${signal}: finishing what is in progress`);
    if (this.#service !== undefined) this.#stop(this.#service);
  }

  #stop(service: Service): void {
    service.stop(GRACE).then(
      () => {
        this.#log.info({ event: 'stopped' }, 'stopped');
        this.#end(0);
      },
      (error: unknown) => {
        this.#log.error({ event: 'stopped', problem: problem('INTERNAL'), error }, 'stopped with an error');
        this.#end(1);
      },
    );
  }
}
