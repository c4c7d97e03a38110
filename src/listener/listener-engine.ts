/**
 * Accepts the connections of one port, does the handshake of implicit TLS, and makes each an {@link SmtpSession}, as far as there are places.
 *
 * @packageDocumentation
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { problem } from '../core/problem.ts';
import { describeRefusal, type PlaceLimits, type PlaceRefusal, PeerPlaces } from '../policy/peer-places.ts';
import { clientTlsFailure } from '../platform/client-tls-failure.ts';
import { HandshakeTimedOut, PeerLeft, ServerHandshake } from '../platform/server-handshake.ts';
import { serverTlsOptions } from '../platform/server-tls.ts';
import { type SessionDependencies, type SessionPort, SmtpSession } from './smtp-session.ts';

/** More sessions than this are turned away; each idle one costs about 20 KB. */
const MOST_SESSIONS: PlaceLimits = { all: 5_000, ofOnePeer: 1_000 };

/** What an engine needs; other limits are for tests. */
export interface EngineDependencies extends SessionDependencies {
  readonly places?: PlaceLimits;
}

export class ListenerEngine {
  readonly server: Server;
  readonly #deps: EngineDependencies;
  readonly #places: PeerPlaces;
  readonly #sessions = new Set<SmtpSession>();
  /** Of implicit TLS, not done yet. */
  readonly #handshakes = new Set<ServerHandshake>();
  readonly #port: SessionPort;
  #secureContext: SecureContext | undefined;

  /** @throws ProblemError `LISTENER_FAILED` where TLS is wanted and certificate and key are no good. */
  constructor(deps: EngineDependencies) {
    const { settings, places = MOST_SESSIONS } = deps;
    this.#deps = deps;
    this.#places = new PeerPlaces(places);
    this.#secureContext = settings.tls === 'off' ? undefined : createSecureContext(serverTlsOptions(settings));
    const secureContext = (): SecureContext | undefined => this.#secureContext;
    this.#port = {
      get secureContext() {
        return secureContext();
      },
      left: (session) => void this.#sessions.delete(session),
      noteError: (error, peer, during) => this.#noteError(error, peer, during),
    };
    // A client may close its side behind QUIT and still read the replies. In TLS nobody does, and a handshake would not notice that its peer left.
    const allowHalfOpen = settings.tls !== 'implicit';
    this.server = createServer({ allowHalfOpen, noDelay: true, keepAlive: true }, (socket) => this.#accept(socket));
  }

  /** Sessions that are open. */
  get sessions(): ReadonlySet<SmtpSession> {
    return this.#sessions;
  }

  /** Connections that are not sessions yet. */
  get handshakeCount(): number {
    return this.#handshakes.size;
  }

  /** A connection that is ready for SMTP. */
  connect(socket: Socket): void {
    if (socket.destroyed) return; // Lost since it came.
    const place = this.#places.take(socket.remoteAddress);
    if (place.kind !== 'taken') return this.#turnAway(socket, place);
    socket.once('close', place.release);
    const session = new SmtpSession(socket, this.#port, this.#deps);
    this.#sessions.add(session);
    session.begin();
  }

  /** They have no session that could be finished. */
  cutHandshakes(): void {
    for (const { socket } of this.#handshakes) socket.destroy();
  }

  /** New handshakes use these; sessions that are open keep what they have. */
  replaceContext(options: SecureContextOptions): void {
    this.#secureContext = createSecureContext(options);
  }

  #accept(socket: Socket): void {
    if (this.#deps.settings.tls === 'implicit' && this.#secureContext !== undefined) this.#secure(socket, this.#secureContext);
    else this.connect(socket);
  }

  #secure(plain: Socket, context: SecureContext): void {
    const { places = MOST_SESSIONS, clock } = this.#deps;
    const peer = plain.remoteAddress ?? '';
    if (this.#handshakes.size >= places.all) {
      plain.destroy(); // Nothing can be said before the handshake.
      return;
    }
    const handshake = new ServerHandshake(plain, context, clock);
    this.#handshakes.add(handshake);
    handshake.secured
      .finally(() => this.#handshakes.delete(handshake))
      .then(
        (socket) => this.connect(socket),
        (error: Error) => this.#noteError(error, peer, 'handshake'),
      )
      .catch((error: unknown) => this.#noteDefect(error, handshake.socket));
  }

  #noteDefect(error: unknown, socket: Socket): void {
    const { log, settings } = this.#deps;
    log.error(
      { event: 'defect', listener: settings.name, error, problem: problem('INTERNAL', 'a session could not begin') },
      'a session could not begin',
    );
    socket.destroy();
  }

  /** RFC 5321 §3.8. */
  #turnAway(socket: Socket, refusal: PlaceRefusal): void {
    const { log, settings } = this.#deps;
    const { text, problem: what } = describeRefusal(refusal);
    if (refusal.isNews) {
      log.warn({ event: 'session-refused', listener: settings.name, peer: socket.remoteAddress ?? '', problem: what }, what.cause);
    }
    socket.on('error', () => undefined);
    socket.end(`421 4.${refusal.kind === 'full' ? '3.2' : '7.0'} ${text}\r\n`, () => socket.destroy());
  }

  /** Errors of sockets are the other side's business, but for handshakes that failed: somebody has set something up wrongly. */
  #noteError(error: Error, peer: string, during: 'handshake' | 'session'): void {
    const { log, settings } = this.#deps;
    const fields = { listener: settings.name, peer };
    // A peer that only connects and leaves is a health check or a port scan.
    if (during === 'session' || hasLeft(error)) return log.debug({ ...fields, event: 'socket-error', error }, error.message);
    const what = clientTlsFailure(error.message);
    log.warn({ ...fields, event: 'tls-refused', problem: what }, what.cause);
  }
}

function hasLeft(error: Error & { readonly code?: string }): boolean {
  return error instanceof PeerLeft || error instanceof HandshakeTimedOut || error.code === 'ECONNRESET' || error.code === 'EPIPE';
}
