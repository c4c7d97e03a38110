/**
 * A token endpoint on loopback that gives a new refresh token with every answer, and takes the newest and the one which that was traded for, as
 * Entra does. It outlives the processes that ask it, so it knows what they were given.
 *
 * @packageDocumentation
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** Called while an answer is under way; the answer waits for it. */
type Watcher = (point: 'endpoint/asked' | 'endpoint/rotated') => Promise<void> | void;

export class RotatingEndpoint {
  readonly #server: Server;
  readonly #seed: number;
  #handedOut = 0;
  newest: string;
  /** What the newest was traded for. */
  previous: string | undefined;
  /** Requests with a refresh token that is neither. */
  refusals = 0;
  watcher: Watcher = () => undefined;

  private constructor(seed: number) {
    this.#seed = seed;
    this.newest = this.#next();
    this.#server = createServer(
      (request, response) => void this.#serve(request, response).catch((error: Error) => response.destroy(error)),
    );
  }

  static async listen(seed: number): Promise<RotatingEndpoint> {
    const endpoint = new RotatingEndpoint(seed);
    endpoint.#server.listen(0, '127.0.0.1');
    await once(endpoint.#server, 'listening');
    return endpoint;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/tenant/oauth2/v2.0/token`;
  }

  /** Refresh tokens handed out so far. */
  get handedOut(): number {
    return this.#handedOut;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = new URLSearchParams(await text(request)).get('refresh_token');
    await this.watcher('endpoint/asked');
    if (response.destroyed) return;
    response.setHeader('content-type', 'application/json');
    if (sent === null || (sent !== this.newest && sent !== this.previous)) {
      this.refusals += 1;
      response.writeHead(400).end(JSON.stringify({ error: 'invalid_grant', error_codes: [700082] }));
      return;
    }
    this.previous = sent;
    this.newest = this.#next();
    await this.watcher('endpoint/rotated');
    const tokens = { access_token: `access-${this.#handedOut}`, refresh_token: this.newest, token_type: 'Bearer', expires_in: 3600 };
    response.end(JSON.stringify(tokens));
  }

  /** As long as Entra's, and each of another length. */
  #next(): string {
    this.#handedOut += 1;
    return `refresh-${this.#seed}-${this.#handedOut}-`.padEnd(900 + ((this.#handedOut * 131) % 1_100), 'x');
  }
}
