/**
 * The control socket: how commands of this machine talk to a relay that runs.
 *
 * HTTP over a Unix domain socket, `control.sock` in the state directory. Who may use it is decided by the file system: the socket is made with mode
 * 0600, so that nobody but the relay's own user (and root) can connect. There is no TCP, no password, and no way in for a browser.
 *
 * A socket that a killed relay has left behind is removed, once nobody has answered on it; one that is in use is left alone, and so is
 * anything there that is no socket. Two relays on one state are kept apart by the lock of the spool.
 *
 * @packageDocumentation
 */
import { lstat, mkdir, unlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { type DurationMs, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { openSocketPath, type SocketPath } from '../platform/socket-path.ts';
import type { Routes } from './api.ts';
import { HttpExchange } from './http-exchange.ts';

/** What the server needs. */
export interface ControlServerOptions {
  /** Of the socket; its folder is made, with mode 0700, if it is not there. */
  readonly path: string;
  readonly routes: Routes;
  readonly clock: Clock;
  readonly log: Log;
}

/** Longest that a change of very many messages takes. */
const IDLE_LIMIT_MS = 600_000;
/** Nobody waits for mail while these come to their end. */
const USUAL_GRACE = seconds(2);
const REQUEST_LIMIT_MS = 10_000;
const MOST_CONNECTIONS = 32;
/** Of the request line and header fields. */
const HEADER_LIMIT = 8 * 1024;
/** Ten thousand queue ids take a quarter of it. */
const BODY_LIMIT = 1024 * 1024;
/** The file system has decided already. */
const OPEN_DOOR = { admit: (): void => undefined };

export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #server: Server;
  #socketPath: SocketPath | undefined;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    const limits = {
      maxHeaderSize: HEADER_LIMIT,
      headersTimeout: REQUEST_LIMIT_MS,
      requestTimeout: REQUEST_LIMIT_MS,
      keepAliveTimeout: 1_000,
    };
    const exchange = new HttpExchange({ ...options, door: OPEN_DOOR, bodyLimit: BODY_LIMIT });
    this.#server = createServer(limits, (request, response) => void exchange.serve(request, response));
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.#server.setTimeout(IDLE_LIMIT_MS);
  }

  /** @throws ProblemError `CONTROL_SOCKET_FAILED` */
  async open(): Promise<void> {
    const { path, log } = this.#options;
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      this.#socketPath = await openSocketPath(path);
      await removeStale(this.#socketPath.path);
      await listen(this.#server, this.#socketPath.path);
      this.#server.on('error', (error) => log.warn({ event: 'control-error', error }, 'the control socket has a problem'));
    } catch (error) {
      await this.#socketPath?.close();
      throw new ProblemError(problem('CONTROL_SOCKET_FAILED', `${path}: ${messageOf(error)}`), { cause: error });
    }
  }

  /** Let requests in progress come to their end for at most `grace`. The socket is gone from the file system after that. */
  async close(grace: DurationMs = USUAL_GRACE): Promise<void> {
    if (!this.#server.listening) return;
    const timer = this.#options.clock.startTimer(grace, () => this.#server.closeAllConnections());
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    await closed;
    await this.#socketPath?.close();
    timer.cancel();
  }
}

/** The umask, not a chmod that follows: at no moment can another user connect. Setting it and binding happen in one turn. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** @throws Error where the socket is in use, or is no socket. */
async function removeStale(path: string): Promise<void> {
  const found = await lstatIfThere(path);
  if (found === undefined) return;
  const what = found.isSocket() ? ((await answers(path)) ? 'another Postern uses it' : undefined) : 'something that is no socket is there';
  if (what !== undefined) throw new Error(what);
  await unlink(path);
}

async function lstatIfThere(path: string) {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** False where the kernel says that nobody listens. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(!('code' in error && (error.code === 'ECONNREFUSED' || error.code === 'ENOENT'))));
  });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
