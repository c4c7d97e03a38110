/**
 * One HTTP request of a grant: bounded in time and size, no redirect, no retry.
 *
 * undici's own limits do not bound a body that drips (its timeout begins anew with each byte) and by default it keeps 200 MB of a hostile
 * one in memory, so a deadline over everything and a size limit stand here. Connections come from the dialer of the whole program: TLS 1.2 or newer,
 * always verified. undici is loaded with the first request, since a start with a living token needs none.
 *
 * Sources: RFC 6749 §3.2 (TLS required); RFC 8252 §8.3 (loopback without TLS); RFC 3927 §2.1 (link-local addresses).
 *
 * @packageDocumentation
 */
import { isIPv4 } from 'node:net';
import type { Dispatcher } from 'undici';
import { type DurationMs, seconds } from '../core/clock.ts';
import { mebibytes } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Dial, dial as systemDial } from '../platform/dial.ts';
import { withinDeadline } from '../platform/deadline.ts';
import { DialError, errorCode } from '../platform/dial-error.ts';
import { LaterAgent } from '../platform/http-agent.ts';
import { undiciConnector } from '../platform/http-post.ts';
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
/** Servers close idle connections without a word; a request on one that is being closed would fail. */
const LONGEST_IDLE = seconds(20);
/** Per host. More than this many accounts refresh at once only after a long outage. */
const MOST_CONNECTIONS = 16;

export class TokenHttp {
  readonly #clock: Clock;
  readonly #dial: Dial;
  readonly #deadline: DurationMs;
  readonly #connectDeadline: DurationMs;
  /** One per additional CA. */
  readonly #agents = new Map<string, LaterAgent>();

  constructor({ clock, dial = systemDial, deadline = DEADLINE, connectDeadline = CONNECT_DEADLINE }: TokenHttpOptions) {
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

  async close(): Promise<void> {
    const agents = [...this.#agents.values()];
    this.#agents.clear();
    await Promise.all(agents.map((agent) => agent.close()));
  }

  async #send({ url, method, headers, body, ca }: TokenHttpRequest, signal: AbortSignal): Promise<TokenHttpResponse> {
    const agent = await this.#agentFor(ca).get();
    const response = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
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
      status: response.statusCode,
      host: url.host,
      contentType: single(response.headers['content-type']),
      retryAfter: single(response.headers['retry-after']),
      body: await readBody(response.body),
    };
  }

  #withinDeadline<Result>(url: URL, action: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const deadline = this.#deadline;
    const expired = (): Error => new DialError('timeout', `${url.host}: no complete answer within ${deadline / 1000} s`);
    return withinDeadline({ clock: this.#clock, deadline, expired }, action);
  }

  #agentFor(ca: string | undefined): LaterAgent {
    const key = ca ?? '';
    const known = this.#agents.get(key) ?? this.#makeAgent(ca);
    this.#agents.set(key, known);
    return known;
  }

  #makeAgent(ca: string | undefined): LaterAgent {
    return new LaterAgent({
      connections: MOST_CONNECTIONS,
      keepAliveTimeout: seconds(4),
      keepAliveMaxTimeout: LONGEST_IDLE,
      headersTimeout: this.#deadline,
      bodyTimeout: this.#deadline,
      maxResponseSize: LARGEST_BODY,
      connect: undiciConnector({ clock: this.#clock, dial: this.#dial, ca, deadline: this.#connectDeadline }),
    });
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

async function readBody(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer); // Bounded by maxResponseSize.
  return Buffer.concat(chunks).toString('utf8');
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

const CERTIFICATE_REMEDY =
  'If a firewall inspects TLS, exempt the host or name its CA in providers.NAME.caFile; else the host is not the one it claims to be.';

/** What an error of undici or the dialer means. */
function describeFailure(host: string, error: unknown): TokenFailure {
  if (error instanceof DialError) {
    const remedy = error.failure === 'certificate' || error.failure === 'tls' ? { remedy: CERTIFICATE_REMEDY } : {};
    return { kind: 'unreachable', cause: error.message, ...remedy };
  }
  if (error instanceof Error && error.name === 'HTTPParserError') return { kind: 'nonsense', cause: `${host} does not speak HTTP` };
  const code = errorCode(error);
  switch (code) {
    case 'UND_ERR_RES_EXCEEDED_MAX_SIZE':
      return { kind: 'nonsense', cause: `${host} sent more than 1 MB, which no token response is` };
    case 'UND_ERR_HEADERS_OVERFLOW':
      return { kind: 'nonsense', cause: `${host} sent too many header fields` };
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return { kind: 'unreachable', cause: `${host}: no complete answer in time` };
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return { kind: 'unreachable', cause: `${host} closed the connection before its answer was complete (${code})` };
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return { kind: 'unreachable', cause: `${host} was not asked: Postern is stopping` };
    default:
      return { kind: 'unreachable', cause: `${host}: the request failed (${code === '' ? 'unknown error' : code})` };
  }
}
