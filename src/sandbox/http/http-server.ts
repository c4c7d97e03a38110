/**
 * The sandbox's HTTP server: node:http on loopback, with a small router.
 *
 * Requests whose Host is not a loopback name are refused, so that a web page cannot reach the sandbox by rebinding its own name; so are
 * requests that a page of another origin sent. Bodies, header fields and connections are bounded.
 *
 * @packageDocumentation
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from '../../core/ports/log.ts';
import { type HttpAnswer, HttpRefusal, type HttpRequest, plainText, type Route } from './answer.ts';

const LARGEST_BODY = 256 * 1024;
const MOST_CONNECTIONS = 200;
const LOOPBACK_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;

/** A server that listens. */
export interface RunningHttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/** @param routes - Asked for each request, since some know the port only once it is open. */
export async function startHttpServer(host: string, port: number, routes: () => readonly Route[], log: Log): Promise<RunningHttpServer> {
  const server = createServer({ maxHeaderSize: 16 * 1024, headersTimeout: 10_000, requestTimeout: 30_000 }, (message, response) => {
    void respond(message, response, routes(), log);
  });
  server.maxConnections = MOST_CONNECTIONS;
  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function respond(message: IncomingMessage, response: ServerResponse, routes: readonly Route[], log: Log): Promise<void> {
  try {
    write(response, await answer(message, routes));
  } catch (error) {
    if (message.destroyed && !message.complete) return; // The peer left; there is nobody to answer.
    if (!(error instanceof HttpRefusal)) log.error({ event: 'sandbox-http-failed', error }, 'the sandbox failed to answer a request');
    const refusal = error instanceof HttpRefusal ? error : new HttpRefusal(500, 'The sandbox has a defect; its log says more.');
    if (response.headersSent) response.destroy();
    else write(response, plainText(refusal.status, `${refusal.message}\n`, refusal.headers));
  }
}

async function answer(message: IncomingMessage, routes: readonly Route[]): Promise<HttpAnswer> {
  refuseStrangers(message);
  const url = parseUrl(message.url ?? '/');
  const method = message.method === 'HEAD' ? 'GET' : (message.method ?? 'GET');
  const matching = routes.filter(({ path }) => path.test(url.pathname));
  const route = matching.find((candidate) => candidate.method === method);
  if (matching.length === 0) throw new HttpRefusal(404, 'There is nothing here.');
  if (route === undefined) throw new HttpRefusal(405, 'Not with this method.', { allow: matching.map((one) => one.method).join(', ') });
  const body = await readBody(message);
  const request: HttpRequest = { method, url, headers: message.headers, body, parameters: parametersOf(route.path, url.pathname) };
  return route.handle(request);
}

function refuseStrangers({ headers }: IncomingMessage): void {
  if (!LOOPBACK_HOST.test(headers.host ?? '')) throw new HttpRefusal(403, 'The sandbox answers to loopback names only.');
  const { origin } = headers;
  if (origin === undefined) return;
  // "null" is what a form on a page with a strict referrer policy sends; a foreign page can send it too, so it is refused.
  if (!LOOPBACK_HOST.test(origin.replace(/^http:\/\//, ''))) throw new HttpRefusal(403, 'Pages of other origins may not use the sandbox.');
}

function parseUrl(target: string): URL {
  try {
    return new URL(target, 'http://sandbox.invalid');
  } catch {
    throw new HttpRefusal(400, 'The request target is not a URL.');
  }
}

function parametersOf(path: RegExp, pathname: string): Map<string, string> {
  const groups = Object.entries(path.exec(pathname)?.groups ?? {});
  try {
    return new Map(groups.map(([name, value]) => [name, decodeURIComponent(value)]));
  } catch {
    throw new HttpRefusal(400, 'The path is not properly encoded.');
  }
}

async function readBody(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Not destroyed when the loop is left early: the refusal still has to be written.
  for await (const chunk of message.iterator({ destroyOnReturn: false })) {
    const octets = chunk as Buffer;
    size += octets.length;
    if (size > LARGEST_BODY) throw new HttpRefusal(413, 'The body is too large.', { connection: 'close' });
    chunks.push(octets);
  }
  return Buffer.concat(chunks);
}

function write(response: ServerResponse, reply: HttpAnswer): void {
  if (reply.kind === 'hang') return;
  if (reply.kind === 'reset') {
    response.socket?.resetAndDestroy();
    return;
  }
  response.writeHead(reply.status, {
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
    'content-length': Buffer.byteLength(reply.body),
    ...reply.headers,
  });
  response.end(reply.body);
}
