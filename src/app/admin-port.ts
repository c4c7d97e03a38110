/**
 * The admin port as the configuration has it at present: opened, moved, closed, opened to another password while the relay runs.
 *
 * A renewed certificate counts for new handshakes. Anything else is a new server with a new doorkeeper: whoever signed in with a password that was changed is out,
 * and pages that follow events are cut when the grace is over.
 *
 * @packageDocumentation
 */
import { isDeepStrictEqual } from 'node:util';
import { AdminServer } from '../admin/admin-server.ts';
import type { Routes } from '../admin/api.ts';
import { Doorkeeper } from '../admin/doorkeeper.ts';
import type { AdminSettings } from '../core/admin.ts';
import { type DurationMs, seconds } from '../core/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { systemClock } from '../platform/system-clock.ts';

/** What requests in progress at a port that goes get to finish. */
const GRACE = seconds(2);

interface Present {
  readonly settings: AdminSettings;
  readonly server: AdminServer;
}

export class AdminPort {
  readonly #routes: (door: Doorkeeper) => Routes;
  readonly #log: Log;
  #present: Present | undefined;
  /** Servers that take nothing new any more. */
  readonly #closing = new Set<Promise<void>>();

  /**
   * Opens nothing yet.
   *
   * @param routes - What is served behind a door.
   * @throws ProblemError `LISTENER_FAILED` where the certificate is no good.
   */
  constructor(settings: AdminSettings | undefined, routes: (door: Doorkeeper) => Routes, log: Log) {
    this.#routes = routes;
    this.#log = log;
    this.#present = settings === undefined ? undefined : this.#make(settings);
  }

  /** @throws ProblemError `LISTENER_FAILED` */
  async open(): Promise<void> {
    await this.#present?.server.open();
  }

  /** @returns Why it could not be opened as it is wanted; then it is as it was before. */
  async update(wanted: AdminSettings | undefined): Promise<readonly ProblemError[]> {
    const before = this.#present;
    if (isDeepStrictEqual(before?.settings, wanted)) return [];
    if (before !== undefined && wanted !== undefined && isDeepStrictEqual(withoutPair(before.settings), withoutPair(wanted))) {
      return this.#renew(before, wanted);
    }
    return this.#replace(before, wanted);
  }

  /** Let requests in progress come to their end for at most `grace`. */
  async close(grace: DurationMs): Promise<void> {
    await Promise.all([this.#present?.server.close(grace), ...this.#closing]);
  }

  #renew({ server }: Present, wanted: AdminSettings): readonly ProblemError[] {
    try {
      server.updateTls(wanted);
    } catch (error) {
      const failure = failureOf(error);
      this.#log.error({ event: 'certificate-refused', problem: failure.problem }, 'the certificate in use at the admin port stays in use');
      return [failure];
    }
    this.#present = { settings: wanted, server };
    this.#log.info({ event: 'certificate-renewed' }, 'new connections to the admin port get the renewed certificate');
    return [];
  }

  async #replace(before: Present | undefined, wanted: AdminSettings | undefined): Promise<readonly ProblemError[]> {
    if (wanted === undefined) {
      this.#present = undefined;
      this.#closeBehind(before);
      return [];
    }
    // Two addresses may overlap, so of two servers at the same port number the old one goes first; else it stays until the new one is there.
    const isInTheWay = before?.settings.port === wanted.port;
    if (isInTheWay) this.#closeBehind(before);
    const failure = await this.#tryOpen(wanted);
    if (failure === undefined && !isInTheWay) this.#closeBehind(before);
    if (failure !== undefined && isInTheWay) {
      this.#present = undefined;
      await this.#tryOpen(before.settings);
    }
    return failure === undefined ? [] : [failure];
  }

  async #tryOpen(settings: AdminSettings): Promise<ProblemError | undefined> {
    try {
      const present = this.#make(settings);
      await present.server.open();
      this.#present = present;
      return undefined;
    } catch (error) {
      const failure = failureOf(error);
      this.#log.error({ event: 'listener-failed', problem: failure.problem }, 'the admin port cannot be opened');
      return failure;
    }
  }

  /** Not waited for: the change may have been asked for by a request that is still in progress there. */
  #closeBehind(gone: Present | undefined): void {
    if (gone === undefined) return;
    const closing = gone.server.close(GRACE).finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #make(settings: AdminSettings): Present {
    const { secret, hostnames, tls } = settings;
    const log = this.#log;
    const door = new Doorkeeper({ secret, hostnames, isTls: tls !== 'off', clock: systemClock, log });
    return { settings, server: new AdminServer({ settings, routes: this.#routes(door), door, clock: systemClock, log }) };
  }
}

const withoutPair = ({ cert: _cert, key: _key, ...rest }: AdminSettings) => rest;

const failureOf = (error: unknown): ProblemError =>
  error instanceof ProblemError
    ? error
    : new ProblemError(problem('LISTENER_FAILED', error instanceof Error ? error.message : String(error)), { cause: error });
