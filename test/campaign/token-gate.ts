/**
 * A token endpoint in front of the sandbox's. It notes the client secret and the refresh token of each request, and knows which secrets an application has at
 * present: real providers let an old one and its successor count at the same time.
 *
 * @packageDocumentation
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';

/** A request that came. */
export interface TokenRequest {
  /** Whose endpoint it came to. */
  readonly name: string;
  /** By `performance.now()`. */
  readonly at: number;
  readonly secret: string | undefined;
  readonly refreshToken: string | undefined;
}

export class TokenGate {
  readonly requests: TokenRequest[] = [];
  readonly #server: Server;
  readonly #sandbox: Sandbox;
  /** Secrets that count, by the name of the endpoint. */
  readonly #secrets = new Map<string, Set<string>>();
  #refused = 0;

  private constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
  }

  static async open(sandbox: Sandbox): Promise<TokenGate> {
    const gate = new TokenGate(sandbox);
    await new Promise<void>((resolve) => gate.#server.listen(0, '127.0.0.1', resolve));
    return gate;
  }

  /** Requests whose secret did not count. */
  get refused(): number {
    return this.#refused;
  }

  /** Each name has an endpoint of its own. */
  url(name: string): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no TCP address');
    return `http://127.0.0.1:${address.port}/${name}`;
  }

  /** This secret counts from now on, too. */
  accept(name: string, secret: string): void {
    this.#secrets.set(name, new Set([...(this.#secrets.get(name) ?? []), secret]));
  }

  /** Only this secret counts from now on. */
  acceptOnly(name: string, secret: string): void {
    this.#secrets.set(name, new Set([secret]));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString());
    const name = (request.url ?? '').slice(1);
    const secret = form.get('client_secret') ?? undefined;
    this.requests.push({ name, at: performance.now(), secret, refreshToken: form.get('refresh_token') ?? undefined });
    if (secret !== undefined && this.#secrets.get(name)?.has(secret) === true) form.set('client_secret', this.#sandbox.clientSecret);
    else this.#refused += 1;
    const answer = await fetch(this.#sandbox.tokenUrl, { method: 'POST', body: form });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' });
    response.end(Buffer.from(await answer.arrayBuffer()));
  }
}
