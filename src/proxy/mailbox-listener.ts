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
import { describeRefusal, type PlaceLimits, type PlaceRefusal, PeerPlaces } from '../policy/peer-places.ts';
import { serverTlsOptions } from '../platform/server-tls.ts';
import { FrontSession, type SessionDependencies } from './front-session.ts';

/** What a listener needs. All listeners share one directory, which counts sessions and failed logins. */
export type MailboxListenerDependencies = Omit<SessionDependencies, 'settings' | 'secureContext'> & {
  /** Other limits are for tests. */
  readonly places?: PlaceLimits;
};

/** More sessions than this are turned away. */
const MOST_SESSIONS: PlaceLimits = { all: 10_000, ofOnePeer: 2_000 };
/** An application that has vanished is noticed after this and ten probes, a second apart. */
const KEEPALIVE_AFTER = seconds(60);
const START = { imap: '* BYE', pop3: '-ERR [SYS/TEMP]' };

export class MailboxListener {
  readonly #settings: MailboxListenerSettings;
  readonly #deps: MailboxListenerDependencies;
  readonly #server: Server;
  readonly #sessions = new Set<FrontSession>();
  readonly #places: PeerPlaces;
  #secureContext: SecureContext | undefined;
  #closed: Promise<void> | undefined;

  /** @throws ProblemError `LISTENER_FAILED` where TLS is wanted and certificate and key are no good. */
  constructor(settings: MailboxListenerSettings, deps: MailboxListenerDependencies) {
    this.#settings = settings;
    this.#deps = deps;
    this.#places = new PeerPlaces(deps.places ?? MOST_SESSIONS);
    this.#secureContext = settings.tls === 'off' ? undefined : createSecureContext(serverTlsOptions(settings));
    // Half-open: an application may have said its last word and still listen.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_AFTER }, (socket) =>
      this.#accept(socket),
    );
  }

  get name(): string {
    return this.#settings.name;
  }

  get protocol(): 'imap' | 'pop3' {
    return this.#settings.protocol;
  }

  get isOpen(): boolean {
    return this.#server.listening;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** The clients have changed: sessions end whose login is no longer good. */
  reviewClients(): void {
    for (const session of this.#sessions) session.reviewClient();
  }

  /**
   * Use a renewed certificate for handshakes from now on.
   *
   * @throws ProblemError `LISTENER_FAILED`; the old one stays in use.
   */
  updateTls(tls: { readonly cert: string; readonly key: string }): void {
    const { name, minTls } = this.#settings;
    this.#secureContext = createSecureContext(serverTlsOptions({ name, minTls, ...tls }));
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
   * @param graceMs - After this the sessions that are left are cut. A later call may shorten it.
   */
  async close(graceMs: DurationMs): Promise<void> {
    if (this.#server.listening) this.#closed = this.#finish();
    if (this.#closed === undefined) return;
    const deadline = this.#deps.clock.startTimer(graceMs, () => {
      for (const session of this.#sessions) session.cut();
    });
    await this.#closed;
    deadline.cancel();
  }

  async #finish(): Promise<void> {
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.finish();
    await closed;
    const { name, protocol } = this.#settings;
    this.#deps.log.info({ event: 'listener-closed', listener: name }, `no longer listening for ${protocol.toUpperCase()}`);
  }

  #accept(socket: Socket): void {
    const place = this.#places.take(socket.remoteAddress);
    if (place.kind !== 'taken') return this.#turnAway(socket, place);
    if (socket.closed) place.release();
    else socket.once('close', place.release);
    const session = new FrontSession(socket, { ...this.#deps, settings: this.#settings, secureContext: this.#secureContext });
    this.#sessions.add(session);
    void session.run().finally(() => this.#sessions.delete(session));
  }

  #turnAway(socket: Socket, refusal: PlaceRefusal): void {
    const { name, protocol, tls } = this.#settings;
    const { text, problem: what } = describeRefusal(refusal);
    if (refusal.isNews) {
      this.#deps.log.warn({ event: 'session-refused', listener: name, peer: socket.remoteAddress ?? '', problem: what }, what.cause);
    }
    socket.on('error', () => undefined);
    socket.end(tls === 'implicit' ? '' : `${START[protocol]} ${text}\r\n`, () => socket.destroy());
  }
}
