/**
 * Listens on loopback for the browser that comes back from a sign-in.
 *
 * It answers one path under the host name of the redirect URI, GET only: a page of another site that rebinds its name to this address gets nothing
 * (DNS rebinding), and what a request can do is decided by the flow behind. Open only as long as the sign-in lasts; every wait and size is bounded.
 *
 * Sources: RFC 8252 §7.3 and §8.3 (loopback), RFC 9110 §15.5.20 (421).
 *
 * @packageDocumentation
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { seconds } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { ProblemError, problem } from '../../core/problem.ts';
import { type CallbackPage, PAGE_HEADERS, renderPage } from './callback-page.ts';
import { bindAddress, type LoopbackRedirect, redirectUriAt } from './redirect-uri.ts';

/** Looks at the query of a request; never rejects. */
export type CallbackHandler = (parameters: URLSearchParams) => Promise<CallbackPage>;

/** Codes have up to three kilobytes at the largest providers. */
const LARGEST_HEADER = 32 * 1024;
const MOST_CONNECTIONS = 20;
const REQUEST_DEADLINE = seconds(10);
/** So long may the last page take to reach the browser. */
const GRACE = seconds(2);

const NOT_YET: CallbackPage = { status: 503, title: 'Not ready', text: 'Try again in a moment.' };

export class CallbackListener {
  /** To send to the provider. */
  readonly redirectUri: string;
  readonly #server: Server;
  readonly #host: string;
  readonly #path: string;
  readonly #clock: Clock;
  #handler: CallbackHandler = () => Promise.resolve(NOT_YET);

  private constructor(server: Server, redirect: LoopbackRedirect, clock: Clock) {
    const { port } = server.address() as AddressInfo;
    this.redirectUri = redirectUriAt(redirect, port);
    this.#server = server;
    this.#host = new URL(this.redirectUri).host;
    this.#path = redirect.path === '' ? '/' : redirect.path;
    this.#clock = clock;
    server.on('request', (request, response) => void this.#respond(request, response));
  }

  /** @throws ProblemError `SIGN_IN_LISTENER_FAILED` */
  static async open(redirect: LoopbackRedirect, clock: Clock): Promise<CallbackListener> {
    const server = createServer({
      maxHeaderSize: LARGEST_HEADER,
      headersTimeout: REQUEST_DEADLINE,
      requestTimeout: REQUEST_DEADLINE,
    });
    server.maxConnections = MOST_CONNECTIONS;
    await listen(server, bindAddress(redirect), redirect.port);
    return new CallbackListener(server, redirect, clock);
  }

  /** Until then requests are told to wait. */
  handleWith(handler: CallbackHandler): void {
    this.#handler = handler;
  }

  /** No new connections from now on; pages under way arrive. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const timer = this.#clock.startTimer(GRACE, () => this.#server.closeAllConnections());
    await closed;
    timer.cancel();
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => undefined); // The browser left; there is nobody to answer.
    const page = await this.#answer(request);
    const body = renderPage(page);
    response.writeHead(page.status, { ...PAGE_HEADERS, 'content-length': Buffer.byteLength(body) });
    response.end(request.method === 'HEAD' ? '' : body);
  }

  async #answer({ method, headers, url = '/' }: IncomingMessage): Promise<CallbackPage> {
    if (headers.host?.toLowerCase() !== this.#host) {
      return { status: 421, title: 'Wrong host', text: 'This address answers to its own name only.' };
    }
    const target = url.startsWith('/') && URL.canParse(url, 'http://unused') ? new URL(url, 'http://unused') : undefined;
    if (target?.pathname !== this.#path) return { status: 404, title: 'Nothing here', text: 'There is nothing at this address.' };
    // HEAD too: something that only looks must not use up the code.
    if (method !== 'GET') return { status: 405, title: 'Not this way', text: 'The answer to a sign-in comes with GET.' };
    return this.#handler(target.searchParams);
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'the port is in use (ss -ltnp shows by which program)' : (error.code ?? error.message);
      reject(new ProblemError(problem('SIGN_IN_LISTENER_FAILED', `cannot listen on ${host} port ${port}: ${why}`)));
    });
    server.listen({ host, port }, resolve);
  });
}
