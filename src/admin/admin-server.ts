/**
 * The admin port: health, metrics and the API over TCP.
 *
 * node:http itself, with one small router that the control socket has too: a framework would bring its own router, parsers and defaults, and each of the
 * limits below would have to be proven against it. Bounded are the header section, the body, the time for both, and connections, as a whole and of one
 * peer, so that whoever holds connections open keeps nobody else out.
 *
 * @packageDocumentation
 */
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { AdminSettings } from '../core/admin.ts';
import { type DurationMs, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { serverTlsOptions } from '../platform/server-tls.ts';
import type { Routes } from './api.ts';
import { type Door, HttpExchange } from './http-exchange.ts';

/** What the server needs. */
export interface AdminServerOptions {
  readonly settings: AdminSettings;
  readonly routes: Routes;
  readonly door: Door;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<AdminLimits>;
}

/** Tunables; times in milliseconds, sizes in octets. */
export interface AdminLimits {
  /** Of the request line and all header fields. */
  readonly headers: number;
  readonly body: number;
  /** Until the header section is complete. */
  readonly headersTime: number;
  /** Until the whole request is. */
  readonly requestTime: number;
  readonly connections: number;
  readonly connectionsOfOne: number;
}

const LIMITS: AdminLimits = {
  headers: 16 * 1024,
  body: 256 * 1024,
  headersTime: 10_000,
  requestTime: 30_000,
  connections: 100,
  connectionsOfOne: 32,
};
/** Longest that a change of very many messages takes. */
const IDLE_LIMIT_MS = 600_000;
const KEEP_ALIVE_MS = 5_000;
/** How often times are looked at. */
const CHECK_EVERY_MS = 1_000;
const USUAL_GRACE = seconds(2);

export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #limits: AdminLimits;
  readonly #server: Server;
  /** The same, where it speaks TLS. */
  readonly #secure: HttpsServer | undefined;
  /** Connections by address. */
  readonly #peers = new Map<string, number>();

  /** @throws ProblemError `LISTENER_FAILED` where TLS is wanted and certificate and key are no good. */
  constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    const { settings } = options;
    const exchange = new HttpExchange({ ...options, bodyLimit: this.#limits.body });
    const serve = (request: IncomingMessage, response: ServerResponse): void => void exchange.serve(request, response);
    this.#secure = settings.tls === 'off' ? undefined : createHttpsServer({ ...this.#timeLimits(), ...tlsOf(settings) }, serve);
    this.#server = this.#secure ?? createHttpServer(this.#timeLimits(), serve);
    this.#server.maxConnections = this.#limits.connections;
    this.#server.setTimeout(IDLE_LIMIT_MS);
    this.#server.on('connection', (socket) => this.#count(socket));
  }

  /** @throws ProblemError `LISTENER_FAILED` */
  async open(): Promise<{ readonly host: string; readonly port: number }> {
    const { settings, log } = this.#options;
    const { host, port, name } = settings;
    await new Promise<void>((resolve, reject) => {
      const fail = (error: Error): void => {
        const cause = `the admin port ${name} cannot be opened: ${error.message}`;
        reject(new ProblemError(problem('LISTENER_FAILED', cause), { cause: error }));
      };
      this.#server.once('error', fail);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', fail);
        resolve();
      });
    });
    this.#server.on('error', (error) => log.warn({ event: 'admin-error', error }, 'the admin port has a problem'));
    const { address, port: opened } = this.#server.address() as AddressInfo;
    log.info({ event: 'listener-opened' }, `admin port on ${settings.tls === 'off' ? 'http' : 'https'}://${name}/`);
    return { host: address, port: opened };
  }

  /**
   * Use a renewed certificate for handshakes from now on.
   *
   * @throws ProblemError `LISTENER_FAILED`; the old one stays in use.
   */
  updateTls(pair: Pick<AdminSettings, 'cert' | 'key'>): void {
    this.#secure?.setSecureContext(tlsOf({ ...this.#options.settings, ...pair }));
  }

  /** Let requests in progress come to their end for at most `grace`. */
  async close(grace: DurationMs = USUAL_GRACE): Promise<void> {
    if (!this.#server.listening) return;
    const timer = this.#options.clock.startTimer(grace, () => this.#server.closeAllConnections());
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    await closed;
    timer.cancel();
  }

  #timeLimits(): ServerOptions {
    return {
      maxHeaderSize: this.#limits.headers,
      headersTimeout: this.#limits.headersTime,
      requestTimeout: this.#limits.requestTime,
      connectionsCheckingInterval: Math.min(CHECK_EVERY_MS, this.#limits.headersTime),
      keepAliveTimeout: KEEP_ALIVE_MS,
    };
  }

  #count(socket: Socket): void {
    const peer = socket.remoteAddress ?? '';
    const held = (this.#peers.get(peer) ?? 0) + 1;
    this.#peers.set(peer, held);
    socket.once('close', () => {
      const left = (this.#peers.get(peer) ?? 1) - 1;
      if (left > 0) this.#peers.set(peer, left);
      else this.#peers.delete(peer);
    });
    if (held > this.#limits.connectionsOfOne) socket.destroy();
  }
}

const tlsOf = (settings: AdminSettings): ReturnType<typeof serverTlsOptions> =>
  serverTlsOptions({ ...settings, name: `admin ${settings.name}` });
