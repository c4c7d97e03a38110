/**
 * smtp-server's server: accepts sockets, does the handshake of implicit TLS, and makes each connection an {@link SmtpSession}.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import type { SecureContextOptions, TLSSocket } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import { type DurationMs, seconds } from '../core/clock.ts';
import { type IpAddress, parseIpAddress } from '../core/ip-network.ts';
import { problem } from '../core/problem.ts';
import { type PlaceLimits, type PlaceOutcome, PeerPlaces } from '../policy/peer-places.ts';
import { serverTlsOptions } from '../platform/server-tls.ts';
import { type SessionDependencies, SmtpSession } from './smtp-session.ts';
import { clientTlsFailure } from '../platform/client-tls-failure.ts';

/** More sessions than this are turned away; each idle one costs about 20 KB. */
const MOST_SESSIONS: PlaceLimits = { all: 5_000, ofOnePeer: 1_000 };
const HANDSHAKE_LIMIT: DurationMs = seconds(10);

const PLACES_REMEDY = 'Let applications close their connections; if they do, look at what this peer is.';
/** A socket that is closed already has no address. */
const NOBODY: IpAddress = { family: 6, bits: 0n };

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
    const place = this.#places.take(parseIpAddress(socket.remoteAddress ?? '') ?? NOBODY);
    if (place.kind !== 'taken') return this.#turnAway(socket, place);
    if (socket.closed) place.release();
    else socket.once('close', place.release);
    const session = new SmtpSession(this, socket, this.#deps);
    this.connections.add(session);
    session.on('error', (error: SocketError) => this.#noteError(error));
    session.init();
  }

  /** RFC 5321 §3.8. */
  #turnAway(socket: Socket | TLSSocket, { kind, isNews }: Exclude<PlaceOutcome, { kind: 'taken' }>): void {
    const { log, settings } = this.#deps;
    const text = kind === 'full' ? 'Too many sessions' : 'Too many sessions from your address';
    const what = problem('CLIENT_THROTTLED', `${text.toLowerCase()}: more are turned away`, { remedy: PLACES_REMEDY });
    if (isNews) {
      log.warn({ event: 'session-refused', listener: settings.name, peer: socket.remoteAddress ?? '', problem: what }, what.cause);
    }
    socket.on('error', () => undefined);
    socket.end(`421 4.${kind === 'full' ? '3.2' : '7.0'} ${text}; try again in a moment\r\n`, () => socket.destroy());
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
