/**
 * One HTTP request of a grant: bounded in time and size, no redirect, no retry.
 *
 * A deadline over everything and a size limit stand here, for bodies that drip or do not end. Connections come from the dialer of the whole program: TLS 1.2 or newer,
 * always verified.
 *
 * Sources: RFC 6749 §3.2 (TLS required); RFC 8252 §8.3 (loopback without TLS); RFC 3927 §2.1 (link-local addresses).
 *
 * @packageDocumentation
 */
import type { IncomingMessage } from 'node:http';
import { isIPv4 } from 'node:net';
import { type DurationMs, seconds } from '../core/clock.ts';
import { mebibytes } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Dial } from '../platform/dial.ts';
import { withinDeadline } from '../platform/deadline.ts';
import { DialError, errorCode } from '../platform/dial-error.ts';
import { HttpClient, HttpClosedError, speaksNonsense } from '../platform/http-client.ts';
import type { TokenFailure } from './token-answer.ts';
import type { TokenHttpResponse } from './token-response.ts';

/** What requests need. */
export interface TokenHttpOptions {
  readonly clock: Clock;
  readonly dial?: Dial;
  /** For everything: connect, request, the whole body. */
  readonly deadline?: DurationMs;
  /** For the connection, TLS included. */
  readonly connectDeadline?: DurationMs;
}

/** One request. */
export interface TokenHttpRequest {
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM text trusted in addition to the system's roots. */
  readonly ca?: string | undefined;
}

const DEADLINE = seconds(30);
const CONNECT_DEADLINE = seconds(10);
const LARGEST_BODY = mebibytes(1);
/** Per host. More than this many accounts refresh at once only after a long outage. */
const MOST_CONNECTIONS = 16;

export class TokenHttp {
  readonly #clock: Clock;
  readonly #dial: Dial | undefined;
  readonly #deadline: DurationMs;
  readonly #connectDeadline: DurationMs;
  /** One per additional CA. */
  readonly #clients = new Map<string, HttpClient>();

  constructor({ clock, dial, deadline = DEADLINE, connectDeadline = CONNECT_DEADLINE }: TokenHttpOptions) {
    this.#clock = clock;
    this.#dial = dial;
    this.#deadline = deadline;
    this.#connectDeadline = connectDeadline;
  }

  /** Never throws for what a network or server can do. */
  async request(request: TokenHttpRequest): Promise<TokenHttpResponse | TokenFailure> {
    try {
      return await this.#withinDeadline(request.url, (signal) => this.#send(request, signal));
    } catch (error) {
      return describeFailure(request.url.host, error);
    }
  }

  close(): Promise<void> {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
    return Promise.resolve();
  }

  async #send({ url, method, headers, body, ca }: TokenHttpRequest, signal: AbortSignal): Promise<TokenHttpResponse> {
    const response = await this.#clientFor(ca).request({
      url,
      method,
      signal,
      headers: {
        accept: 'application/json',
        // A compressed body could grow beyond the limit when unpacked.
        'accept-encoding': 'identity',
        'user-agent': 'postern',
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    });
    return {
      status: response.statusCode ?? 0,
      host: url.host,
      contentType: response.headers['content-type'],
      retryAfter: response.headers['retry-after'],
      body: await readBody(response),
    };
  }

  #withinDeadline<Result>(url: URL, action: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const deadline = this.#deadline;
    const expired = (): Error => new DialError('timeout', `${url.host}: no complete answer within ${deadline / 1000} s`);
    return withinDeadline({ clock: this.#clock, deadline, expired }, action);
  }

  #clientFor(ca: string | undefined): HttpClient {
    const key = ca ?? '';
    const known = this.#clients.get(key) ?? this.#makeClient(ca);
    this.#clients.set(key, known);
    return known;
  }

  #makeClient(ca: string | undefined): HttpClient {
    return new HttpClient({ clock: this.#clock, dial: this.#dial, ca, deadline: this.#connectDeadline, connections: MOST_CONNECTIONS });
  }
}

/**
 * The URL, where it may be asked: https, or http to this machine itself, since a refresh token must not cross a network in the clear.
 *
 * @param mayBeLinkLocal - Also http to 169.254.0.0/16, which no router passes on: the platform's metadata service has no TLS.
 */
export function askableUrl(text: string, mayBeLinkLocal = false): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') return undefined;
  if (url.protocol === 'https:') return url;
  const isNear = isLoopback(url.hostname) || (mayBeLinkLocal && isIPv4(url.hostname) && url.hostname.startsWith('169.254.'));
  return url.protocol === 'http:' && isNear ? url : undefined;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'));
}

/** A URL as it may be shown: credentials and parameters are nobody's business. */
export function withoutQuery(text: string): string {
  return text.replace(/[?#].*$/s, '').replace(/\/\/[^/]*@/, '//');
}

class BodyTooLarge extends Error {}

async function readBody(body: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LARGEST_BODY) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const CERTIFICATE_REMEDY =
  'If a firewall inspects TLS, exempt the host or name its CA in providers.NAME.caFile; else the host is not the one it claims to be.';

/** What an error of a connection, its answer or the dialer means. */
function describeFailure(host: string, error: unknown): TokenFailure {
  if (error instanceof DialError) {
    const remedy = error.failure === 'certificate' || error.failure === 'tls' ? { remedy: CERTIFICATE_REMEDY } : {};
    return { kind: 'unreachable', cause: error.message, ...remedy };
  }
  if (error instanceof BodyTooLarge) return { kind: 'nonsense', cause: `${host} sent more than 1 MB, which no token response is` };
  if (error instanceof HttpClosedError) return { kind: 'unreachable', cause: `${host} was not asked: Postern is stopping` };
  const code = errorCode(error);
  switch (speaksNonsense(code)) {
    case 'no-http':
      return { kind: 'nonsense', cause: `${host} does not speak HTTP` };
    case 'too-much':
      return { kind: 'nonsense', cause: `${host} sent too many header fields` };
    case undefined:
  }
  switch (code) {
    case 'ECONNRESET':
    case 'EPIPE':
      return { kind: 'unreachable', cause: `${host} closed the connection before its answer was complete (${code})` };
    default:
      return { kind: 'unreachable', cause: `${host}: the request failed (${code === '' ? 'unknown error' : code})` };
  }
}
