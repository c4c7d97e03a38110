/**
 * Hands one text to a webhook: one POST over HTTPS, bounded in time and size, no redirect, signed where a secret is configured.
 *
 * The URL of a webhook mostly is a credential itself, so nothing but its host is ever shown, and its parts are made known to the log scrubber. Of the
 * answer only the status counts: its body may repeat what was sent, is not read, and the connection ends with it. undici is loaded with the first alert.
 *
 * Signature: `X-Postern-Signature: sha256=` and the HMAC-SHA256, in hex, of the timestamp in `X-Postern-Timestamp` (seconds since 1970), a full stop
 * and the body. The timestamp is that of the try, so that a receiver can refuse old ones.
 *
 * Sources: RFC 2104 (HMAC), RFC 9110 §15.3 (2xx: taken), §15.4 (redirects; following one is the sender's choice).
 *
 * @packageDocumentation
 */
import { createHmac } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Agent, buildConnector } from 'undici';
import { type DurationMs, seconds } from '../core/clock.ts';
import { isLoopback, parseIpAddress } from '../core/ip-network.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Redactor } from '../core/ports/log.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { type Dial, dial as systemDial } from '../platform/dial.ts';
import { DialError, errorCode } from '../platform/dial-error.ts';

/** What a webhook needs. */
export interface WebhookOptions {
  readonly url: string;
  /** Signs each request. */
  readonly secret?: string;
  readonly clock: Clock;
  readonly redactor: Redactor;
  readonly dial?: Dial;
}

/** `untaken`: the cause names the host and what it did, nothing else. */
export type Handover = { readonly kind: 'taken' } | { readonly kind: 'untaken'; readonly cause: string };

/** For everything: DNS, connection, request, status. */
const DEADLINE: DurationMs = seconds(10);
/** A path segment or parameter as long as this is no word, but a token. */
const SHORTEST_TOKEN = 16;

export class Webhook {
  /** With the port, where it is not the usual one. */
  readonly host: string;
  readonly #url: URL;
  readonly #secret: string | undefined;
  readonly #clock: Clock;
  readonly #dial: Dial;
  #agent: Promise<Agent> | undefined;

  /** @throws ProblemError `CONFIG_INVALID` for a URL that is neither https nor loopback. */
  constructor({ url, secret, clock, redactor, dial = systemDial }: WebhookOptions) {
    this.#url = postableUrl(url);
    this.host = this.#url.host;
    this.#secret = secret;
    this.#clock = clock;
    this.#dial = dial;
    for (const part of [...secretParts(this.#url), ...(secret === undefined ? [] : [secret])]) redactor.add(part);
  }

  /**
   * Offer a body once. Never throws.
   *
   * @param id - The same for each try, so that a receiver can tell a repetition.
   */
  async post(body: string, id: string): Promise<Handover> {
    try {
      const status = await this.#withinDeadline((signal) => this.#send(body, id, signal));
      if (status >= 200 && status < 300) return { kind: 'taken' };
      const what = status >= 300 && status < 400 ? 'a redirect, which is not followed' : 'not 2xx';
      return { kind: 'untaken', cause: `${this.host} answered HTTP ${status}, ${what}` };
    } catch (error) {
      return { kind: 'untaken', cause: describeFailure(this.host, error) };
    }
  }

  /** Cuts what is in progress. */
  async close(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await (await agent)?.destroy();
  }

  /** @returns The status. */
  async #send(body: string, id: string, signal: AbortSignal): Promise<number> {
    this.#agent ??= this.#makeAgent();
    const agent = await this.#agent;
    const response = await agent.request({
      origin: this.#url.origin,
      path: this.#url.pathname + this.#url.search,
      method: 'POST',
      reset: true, // Alerts are rare: a connection kept open would be closed by the other side before the next one.
      signal,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'postern',
        'x-postern-delivery': id,
        ...this.#signature(body),
      },
      body,
    });
    // Destroying a body that was not read makes undici report that it was cut off; that was the purpose.
    response.body.on('error', () => undefined).destroy();
    return response.statusCode;
  }

  #signature(body: string): Record<string, string> {
    const timestamp = String(Math.floor(this.#clock.now() / 1000));
    if (this.#secret === undefined) return { 'x-postern-timestamp': timestamp };
    const digest = createHmac('sha256', this.#secret).update(`${timestamp}.${body}`).digest('hex');
    return { 'x-postern-timestamp': timestamp, 'x-postern-signature': `sha256=${digest}` };
  }

  /** undici hears the signal only once it has a connection; so the deadline is also kept beside it. */
  async #withinDeadline<Result>(action: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const controller = new AbortController();
    let expire: (reason: Error) => void = () => {};
    const expired = new Promise<never>((_resolve, reject) => {
      expire = reject;
    });
    const timer = this.#clock.startTimer(DEADLINE, () => {
      const reason = new DialError('timeout', `${this.host}: no answer within ${DEADLINE / 1000} s`);
      controller.abort(reason);
      expire(reason);
    });
    try {
      return await Promise.race([action(controller.signal), expired]);
    } finally {
      timer.cancel();
    }
  }

  async #makeAgent(): Promise<Agent> {
    const { Agent: UndiciAgent } = await import('undici');
    return new UndiciAgent({
      connections: 1,
      headersTimeout: DEADLINE,
      bodyTimeout: DEADLINE,
      connect: (target, callback) => void this.#connect(target, callback),
    });
  }

  /** undici's connections come from our dialer. */
  async #connect(target: buildConnector.Options, callback: buildConnector.Callback): Promise<void> {
    const isTls = target.protocol === 'https:';
    let socket: Socket;
    try {
      socket = await this.#dial({
        host: withoutBrackets(target.hostname),
        port: target.port === '' ? (isTls ? 443 : 80) : Number(target.port),
        tls: isTls ? 'implicit' : 'none',
        deadline: DEADLINE,
        clock: this.#clock,
      });
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)), null);
      return;
    }
    callback(null, socket);
  }
}

/** The configuration has been checked; this is the last line before the token in the URL crosses a network. */
function postableUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isThisMachine(url.hostname));
  if (url === undefined || !isSafe || url.username !== '' || url.password !== '') {
    throw new ProblemError(problem('CONFIG_INVALID', 'alerts[].webhook is not an https:// URL (http:// is taken on loopback only)'));
  }
  return url;
}

function isThisMachine(hostname: string): boolean {
  const address = parseIpAddress(withoutBrackets(hostname));
  return address === undefined ? hostname === 'localhost' : isLoopback(address);
}

const withoutBrackets = (hostname: string): string => hostname.replace(/^\[(.*)\]$/, '$1');

/** Everything behind the host, as a whole and in those parts that look like tokens. */
function secretParts({ pathname, search, searchParams }: URL): string[] {
  const parts = [...pathname.split('/'), ...searchParams.values()].filter((part) => part.length >= SHORTEST_TOKEN);
  return [pathname + search, ...parts];
}

/** In words of ours: texts of libraries may hold the URL. */
function describeFailure(host: string, error: unknown): string {
  if (error instanceof DialError) return error.message;
  if (error instanceof Error && error.name === 'HTTPParserError') return `${host} does not speak HTTP`;
  const code = errorCode(error);
  switch (code) {
    case 'UND_ERR_HEADERS_OVERFLOW':
      return `${host} sent too many header fields`;
    case 'UND_ERR_HEADERS_TIMEOUT':
      return `${host}: no answer within ${DEADLINE / 1000} s`;
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return `${host} closed the connection before it answered (${code})`;
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
      return `${host}: given up, since Postern stops`;
    default:
      return `${host}: the request failed (${code === '' ? 'unknown error' : code})`;
  }
}
