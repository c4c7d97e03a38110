/**
 * One inbound IMAP or POP3 port: opens it, serves sessions on it, closes it with a word to those who are connected.
 *
 * @packageDocumentation
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { type DurationMs, seconds } from '../core/clock.ts';
import type { MailboxListenerSettings } from '../core/listener.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { serverTlsOptions } from '../platform/server-tls.ts';
import { FrontSession, type SessionDependencies } from './front-session.ts';

/** What a listener needs. All listeners share one directory, which counts sessions and failed logins. */
export type MailboxListenerDependencies = Omit<SessionDependencies, 'settings' | 'secureContext'>;

/** More sessions than this are turned away. */
const MOST_SESSIONS = 10_000;
/** An application that has vanished is noticed after this and ten probes, a second apart. */
const KEEPALIVE_AFTER = seconds(60);
const FULL = {
  imap: '* BYE Too many sessions; try again in a moment\r\n',
  pop3: '-ERR [SYS/TEMP] Too many sessions; try again in a moment\r\n',
};

export class MailboxListener {
  readonly #settings: MailboxListenerSettings;
  readonly #deps: MailboxListenerDependencies;
  readonly #server: Server;
  readonly #sessions = new Set<FrontSession>();
  #secureContext: SecureContext | undefined;

  /** @throws ProblemError `LISTENER_FAILED` where TLS is wanted and certificate and key are no good. */
  constructor(settings: MailboxListenerSettings, deps: MailboxListenerDependencies) {
    this.#settings = settings;
    this.#deps = deps;
    this.#secureContext = settings.tls === 'off' ? undefined : createSecureContext(serverTlsOptions(settings));
    // Half-open: an application may have said its last word and still listen.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_AFTER }, (socket) =>
      this.#accept(socket),
    );
  }

  /** @throws ProblemError `LISTENER_FAILED` */
  async open(): Promise<{ readonly host: string; readonly port: number }> {
    const { host, port, name, protocol } = this.#settings;
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error): void => {
        const cause = `listener ${name} cannot be opened: ${error.message}`;
        reject(new ProblemError(problem('LISTENER_FAILED', cause), { cause: error }));
      };
      this.#server.once('error', fail);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', fail);
        resolve();
      });
    });
    const { log } = this.#deps;
    this.#server.on('error', (error) =>
      log.error({ event: 'listener-error', listener: name, problem: problem('LISTENER_FAILED'), error }, error.message),
    );
    const address = this.#server.address();
    const opened = typeof address === 'object' && address !== null ? { host: address.address, port: address.port } : { host, port };
    log.info({ event: 'listener-opened', listener: name }, `listening for ${protocol.toUpperCase()} on ${opened.host}:${opened.port}`);
    return opened;
  }

  /**
   * Stop accepting at once. Sessions end with a word, those with a command in progress behind its answer.
   *
   * @param graceMs - After this the sessions that are left are cut.
   */
  async close(graceMs: DurationMs): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.finish();
    const deadline = this.#deps.clock.startTimer(graceMs, () => {
      for (const session of this.#sessions) session.cut();
    });
    await closed;
    deadline.cancel();
    const { name, protocol } = this.#settings;
    this.#deps.log.info({ event: 'listener-closed', listener: name }, `no longer listening for ${protocol.toUpperCase()}`);
  }

  #accept(socket: Socket): void {
    if (this.#sessions.size >= MOST_SESSIONS) {
      socket.on('error', () => undefined);
      socket.end(this.#settings.tls === 'implicit' ? '' : FULL[this.#settings.protocol], () => socket.destroy());
      return;
    }
    const session = new FrontSession(socket, { ...this.#deps, settings: this.#settings, secureContext: this.#secureContext });
    this.#sessions.add(session);
    void session.run().finally(() => this.#sessions.delete(session));
  }
}
