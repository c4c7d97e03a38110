/**
 * smtp-server's server: accepts sockets, does the handshake of implicit TLS, and makes each connection an {@link SmtpSession}.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import { type DurationMs, seconds } from '../core/clock.ts';
import { describeRefusal, type PlaceLimits, type PlaceRefusal, PeerPlaces } from '../policy/peer-places.ts';
import { serverTlsOptions } from '../platform/server-tls.ts';
import { type SessionDependencies, SmtpSession } from './smtp-session.ts';
import { clientTlsFailure } from '../platform/client-tls-failure.ts';

/** More sessions than this are turned away; each idle one costs about 20 KB. */
const MOST_SESSIONS: PlaceLimits = { all: 5_000, ofOnePeer: 1_000 };
const HANDSHAKE_LIMIT: DurationMs = seconds(10);

/** What an engine needs; other limits are for tests. */
export interface EngineDependencies extends SessionDependencies {
  readonly places?: PlaceLimits;
}

export class ListenerEngine extends SMTPServer {
  readonly #deps: EngineDependencies;
  readonly #places: PeerPlaces;

  /** @throws ProblemError `LISTENER_FAILED` where TLS is wanted and certificate and key are no good. */
  constructor(deps: EngineDependencies) {
    const { settings, places = MOST_SESSIONS } = deps;
    super({
      ...(settings.tls === 'off' ? {} : serverTlsOptions(settings)),
      secure: settings.tls === 'implicit',
      logger: false,
      name: deps.hostname,
      maxClients: places.all,
      // STARTTLS is offered by our own dialogue; this keeps the library's warning about its built-in key to where it would matter.
      ...(settings.tls === 'off' ? { hideSTARTTLS: true } : {}),
      // A client may close its side behind QUIT and still read the replies. In TLS nobody does, and a handshake would not notice that its peer left.
      allowHalfOpen: settings.tls !== 'implicit',
      keepAlive: true,
    });
    this.#deps = deps;
    this.#places = new PeerPlaces(places);
    this.on('error', (error: SocketError) => this.#noteError(error));
  }

  override connect(socket: Socket | TLSSocket): void {
    const place = this.#places.take(socket.remoteAddress);
    if (place.kind !== 'taken') return this.#turnAway(socket, place);
    if (socket.closed) place.release();
    else socket.once('close', place.release);
    const session = new SmtpSession(this, socket, this.#deps);
    this.connections.add(session);
    session.on('error', (error: SocketError) => this.#noteError(error));
    session.init();
  }

  /** RFC 5321 §3.8. */
  #turnAway(socket: Socket | TLSSocket, refusal: PlaceRefusal): void {
    const { log, settings } = this.#deps;
    const { text, problem: what } = describeRefusal(refusal);
    if (refusal.isNews) {
      log.warn({ event: 'session-refused', listener: settings.name, peer: socket.remoteAddress ?? '', problem: what }, what.cause);
    }
    socket.on('error', () => undefined);
    socket.end(`421 4.${refusal.kind === 'full' ? '3.2' : '7.0'} ${text}\r\n`, () => socket.destroy());
  }

  /** A handshake gets ten seconds altogether; the library would count idle seconds. */
  override _upgrade(socket: Socket, callback: (error: Error | null, tlsSocket?: TLSSocket) => void): void {
    const expire = (): void => void this._pendingSockets.get(socket)?.destroy();
    const deadline = this.#deps.clock.startTimer(HANDSHAKE_LIMIT, expire, { isBackground: true });
    super._upgrade(socket, (error, tlsSocket) => {
      deadline.cancel();
      callback(error, tlsSocket);
    });
  }

  /** Sessions that are open. */
  *sessions(): Generator<SmtpSession> {
    for (const connection of this.connections) if (connection instanceof SmtpSession) yield connection;
  }

  /** New handshakes use these; sessions that are open keep what they have. */
  replaceContext(options: SecureContextOptions): void {
    this.updateSecureContext(options);
  }

  /** Errors of sockets are the other side's business, but for handshakes that failed: somebody has set something up wrongly. */
  #noteError(error: SocketError): void {
    const { log, settings } = this.#deps;
    const fields = { listener: settings.name, peer: error.meta?.remoteAddress ?? error.remoteAddress ?? '' };
    // A peer that only connects and leaves is a health check or a port scan.
    if (error.meta === undefined || error.report === false || error.code === 'ECONNRESET' || error.code === 'EPIPE') {
      log.debug({ ...fields, event: 'socket-error', error }, error.message);
      return;
    }
    const what = clientTlsFailure(error.message);
    log.warn({ ...fields, event: 'tls-refused', problem: what }, what.cause);
  }
}

/** As the library reports them; `meta` is there for handshakes only. */
interface SocketError extends Error {
  readonly code?: string;
  readonly report?: boolean;
  readonly remoteAddress?: string;
  readonly meta?: { readonly remoteAddress?: string };
}
