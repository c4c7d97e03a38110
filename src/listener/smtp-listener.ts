/**
 * One inbound SMTP port: opens it, serves sessions on it, closes it without losing an answer.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { SmtpListenerSettings } from '../core/listener.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { MessageNotes } from '../core/ports/message-notes.ts';
import type { Random } from '../core/ports/random.ts';
import type { Submission } from '../core/ports/submission.ts';
import { problem, ProblemError } from '../core/problem.ts';
import { serverTlsOptions } from '../platform/server-tls.ts';
import type { ClientDirectory } from '../policy/client-directory.ts';
import { ListenerEngine } from './listener-engine.ts';
import { PasswordCheck } from '../platform/password-check.ts';
import type { UnconfirmedAnswers } from './unconfirmed-answers.ts';

/** What a listener needs. All listeners share one directory, which counts a client's pace and failed logins. */
export interface SmtpListenerDependencies {
  readonly submission: Submission;
  readonly clients: ClientDirectory;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Our own name: in the greeting and in Received. */
  readonly hostname: string;
  /** Of all listeners. */
  readonly unconfirmed: UnconfirmedAnswers;
  /** Absent: nobody looks. */
  readonly notes?: MessageNotes;
}

export class SmtpListener {
  readonly protocol = 'smtp';
  readonly #settings: SmtpListenerSettings;
  readonly #deps: SmtpListenerDependencies;
  readonly #engine: ListenerEngine;
  #closed: Promise<void> | undefined;

  /** @throws ProblemError `LISTENER_FAILED` where TLS is wanted and certificate and key are no good. */
  constructor(settings: SmtpListenerSettings, deps: SmtpListenerDependencies) {
    this.#settings = settings;
    this.#deps = deps;
    this.#engine = new ListenerEngine({ ...deps, settings, passwords: new PasswordCheck(deps) });
  }

  /** How log lines and metrics call it. */
  get name(): string {
    return this.#settings.name;
  }

  /** Sessions that are open. */
  get sessionCount(): number {
    return this.#engine.sessions.size;
  }

  get isOpen(): boolean {
    return this.#engine.server.listening;
  }

  /** @throws ProblemError `LISTENER_FAILED` */
  async open(): Promise<{ readonly host: string; readonly port: number }> {
    const { host, port, name } = this.#settings;
    const { server } = this.#engine;
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error): void => {
        const cause = `listener ${name} cannot be opened: ${error.message}`;
        reject(new ProblemError(problem('LISTENER_FAILED', cause), { cause: error }));
      };
      server.once('error', fail);
      server.listen({ host, port }, () => {
        server.off('error', fail);
        resolve();
      });
    });
    const { log } = this.#deps;
    server.on('error', (error) =>
      log.error({ event: 'listener-error', listener: name, problem: problem('LISTENER_FAILED'), error }, error.message),
    );
    const address = server.address();
    const opened = typeof address === 'object' && address !== null ? { host: address.address, port: address.port } : { host, port };
    log.info({ event: 'listener-opened', listener: name }, `listening for SMTP on ${opened.host}:${opened.port}`);
    return opened;
  }

  /**
   * Stop accepting at once. Transactions in progress get their answer, all other sessions 421.
   *
   * @param graceMs - After this the sessions that are left are cut. A later call may shorten it.
   */
  async close(graceMs: DurationMs): Promise<void> {
    if (this.#engine.server.listening) this.#closed = this.#finish();
    if (this.#closed === undefined) return;
    const deadline = this.#deps.clock.startTimer(graceMs, () => {
      for (const session of this.#engine.sessions) session.cut();
    });
    await this.#closed;
    deadline.cancel();
  }

  async #finish(): Promise<void> {
    const engine = this.#engine;
    const closed = new Promise<void>((resolve) => void engine.server.close(() => resolve()));
    engine.cutHandshakes();
    for (const session of engine.sessions) session.finish();
    await closed;
    this.#deps.log.info({ event: 'listener-closed', listener: this.#settings.name }, 'no longer listening for SMTP');
  }

  /**
   * Use a renewed certificate for handshakes from now on.
   *
   * @throws ProblemError `LISTENER_FAILED`; the old one stays in use.
   */
  updateTls(tls: { readonly cert: string; readonly key: string }): void {
    const { name, minTls } = this.#settings;
    this.#engine.replaceContext(serverTlsOptions({ name, minTls, ...tls }));
  }
}
