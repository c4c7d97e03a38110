/**
 * Fetched messages into a webhook: one POST for each, the message as it is (message/rfc822, streamed) or parsed ({@link ./webhook-json.ts}).
 *
 * - 2xx: stored. 408, 425, 429, 5xx, whatever breaks, and an answer that does not come within the time: offered again, after `Retry-After` where that is
 *   given. A redirect is not followed: a message must not go where nobody sent it. Any other answer refuses the message.
 * - `Idempotency-Key` is the message's key, the same at each offer, so that a receiver recognises a repetition.
 * - With a secret, `X-Postern-Signature: sha256=` and the HMAC-SHA256, in hex, of the timestamp in `X-Postern-Timestamp` (seconds since 1970), a full stop and
 *   the body, as for alerts. It stands before the body, so a large message is read twice; should the second reading differ, it is never completed.
 *
 * The URL mostly is a credential itself, so nothing but its host is ever shown. Of the answer only status and `Retry-After` count: its body may
 * repeat the message, is not read, and the connection ends with it (platform/http-post.ts). What is not in memory goes out in chunks: some servers are wrong about the
 * size of a message, and a body that breaks off is then no message either.
 *
 * Sources: RFC 2104 (HMAC), RFC 9110 §10.2.3 (Retry-After), §15; RFC 6585 §4 (429); RFC 8470 §5.2 (425); draft-ietf-httpapi-idempotency-key-header.
 *
 * @packageDocumentation
 */
import { createHash, createHmac, type Hmac } from 'node:crypto';
import { type DurationMs, hours } from '../../core/clock.ts';
import { isLoopback, parseIpAddress } from '../../core/ip-network.ts';
import { mebibytes, type Octets } from '../../core/octets.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { FetchedMessage, MessageSink, SinkOutcome } from '../../core/ports/message-sink.ts';
import { type Problem, ProblemError, problem } from '../../core/problem.ts';
import { withinDeadline } from '../../platform/deadline.ts';
import { DialError } from '../../platform/dial-error.ts';
import { isTlsFailure } from '../../platform/dial-problem.ts';
import { dialRemedy } from '../../platform/dial-remedy.ts';
import { withoutBrackets } from '../../platform/http-client.ts';
import { HttpPost, type PostAnswer, PostError } from '../../platform/http-post.ts';
import { ReadFailure, readContent } from './read-content.ts';
import type { NetworkParts } from './sink-parts.ts';
import { composeJson, FormUnfit } from './webhook-json.ts';

/** Where to post, and how. */
export interface WebhookSettings {
  readonly url: string;
  /** Signs each request. */
  readonly secret?: string | undefined;
  readonly format: 'rfc822' | 'json';
  /** For one request: connection, body, answer. Reading a message ahead to sign it has the same time once more. */
  readonly timeoutMs: DurationMs;
  /** PEM text trusted in addition to the system's roots. */
  readonly ca?: string | undefined;
  /** A larger message is not put into JSON. */
  readonly mostJson?: Octets | undefined;
}

/** Larger messages are not kept in memory to be signed. */
const MOST_IN_MEMORY = mebibytes(1);
/** Parsed, a message takes some times its size in memory. */
const MOST_JSON = mebibytes(10);
/** A receiver that asks for more is asked again after this. */
const LONGEST_RETRY = hours(24);
/** RFC 9110 §15.5.9, RFC 8470 §5.2, RFC 6585 §4: try again. */
const LATER = new Set([408, 425, 429]);

/**
 * Connects with the first message.
 *
 * @throws ProblemError `CONFIG_INVALID` for a URL that is neither https nor loopback.
 */
export const openWebhookSink = (settings: WebhookSettings, parts: NetworkParts): MessageSink => new WebhookSink(settings, parts);

/** What is sent behind the header section. */
interface Body {
  readonly type: string;
  /** Where it is known. */
  readonly length?: number;
  readonly content: AsyncIterable<Uint8Array>;
  readonly timestamp: string;
  readonly signature: string | undefined;
}

class WebhookSink implements MessageSink {
  readonly description: string;
  readonly #post: HttpPost;
  readonly #settings: WebhookSettings;
  readonly #clock: Clock;
  readonly #closing = new AbortController();

  constructor(settings: WebhookSettings, { clock, dial }: NetworkParts) {
    const { url, ca, timeoutMs: deadline } = settings;
    this.#post = new HttpPost({ url: postableUrl(url), clock, dial, ca, deadline });
    this.#settings = settings;
    this.#clock = clock;
    this.description = `webhook ${this.#post.host}`;
  }

  async deliver(message: FetchedMessage, caller: AbortSignal): Promise<SinkOutcome> {
    const outer = AbortSignal.any([caller, this.#closing.signal]);
    outer.throwIfAborted();
    const reading = new AbortController();
    const request = new Request(message, AbortSignal.any([outer, reading.signal]));
    try {
      const body = await this.#readAhead(request, outer);
      const answer = await this.#send(message, body, outer);
      return this.#outcomeOf(answer, request);
    } catch (error) {
      outer.throwIfAborted();
      if (request.failure !== undefined) throw request.failure.reason;
      if (error instanceof ReadFailure) throw error.reason;
      if (error instanceof FormUnfit) return { kind: 'refused', problem: problem('FETCH_FORM_UNFIT', error.message) };
      return { kind: 'later', problem: describeFailure(error, request.isWhole) };
    } finally {
      reading.abort(new Error('nobody wants the rest'));
    }
  }

  /** Cuts what is in progress. */
  async close(): Promise<void> {
    this.#closing.abort(new Error(`${this.description}: closed`));
    await this.#post.close();
  }

  /** What has to be known before the first octet is sent. */
  #readAhead(request: Request, outer: AbortSignal): Promise<Body> {
    const { timeoutMs: deadline } = this.#settings;
    const expired = (): Error => new PostError('silent', `the mailbox did not give the message within ${deadline / 1000} s`);
    return withinDeadline({ clock: this.#clock, deadline, expired, signals: [outer] }, (signal) => this.#bodyOf(request, signal));
  }

  async #bodyOf(request: Request, signal: AbortSignal): Promise<Body> {
    const { format, mostJson = MOST_JSON, secret } = this.#settings;
    const { message } = request;
    if (format === 'json') {
      const content = await composeJson(message, mostJson, signal);
      return this.#inMemory('application/json', content, request);
    }
    const type = 'message/rfc822';
    if (secret === undefined) {
      return { type, content: request.stream(), timestamp: this.#timestamp(), signature: undefined };
    }
    if (message.size <= MOST_IN_MEMORY) return this.#inMemory(type, await readWhole(message, signal), request);
    const timestamp = this.#timestamp();
    const hmac = createHmac('sha256', secret).update(`${timestamp}.`);
    const digest = await digestOf(message, hmac, signal);
    return { type, content: request.stream(digest), timestamp, signature: hmac.digest('hex') };
  }

  #inMemory(type: string, content: Buffer, request: Request): Body {
    const { secret } = this.#settings;
    const timestamp = this.#timestamp();
    const signature = secret === undefined ? undefined : createHmac('sha256', secret).update(`${timestamp}.`).update(content).digest('hex');
    return { type, length: content.length, content: request.whole(content), timestamp, signature };
  }

  #timestamp(): string {
    return String(Math.floor(this.#clock.now() / 1000));
  }

  #send(message: FetchedMessage, { type, length, content, timestamp, signature }: Body, signal: AbortSignal): Promise<PostAnswer> {
    const headers = {
      'content-type': type,
      ...(length === undefined ? {} : { 'content-length': String(length) }),
      'idempotency-key': message.key,
      ...namesOf(message),
      'x-postern-timestamp': timestamp,
      ...(signature === undefined ? {} : { 'x-postern-signature': `sha256=${signature}` }),
    };
    return this.#post.send({ headers, body: content, signal });
  }

  #outcomeOf({ status, retryAfter }: PostAnswer, { isWhole }: Request): SinkOutcome {
    const said = `${this.#post.host} answered HTTP ${status}`;
    if (status >= 200 && status < 300) {
      if (isWhole) return { kind: 'stored', detail: `HTTP ${status}` };
      return { kind: 'later', problem: problem('FETCH_SINK_NONSENSE', `${said} before it had the whole message`) };
    }
    if (LATER.has(status) || status >= 500) {
      const afterMs = retryAfter === undefined ? {} : { afterMs: Math.min(retryAfter, LONGEST_RETRY) };
      return { kind: 'later', problem: problem('FETCH_NOT_TAKEN', said), ...afterMs };
    }
    const code = status >= 300 && status < 400 ? 'FETCH_WEBHOOK_MOVED' : 'FETCH_REFUSED';
    return { kind: 'refused', problem: problem(code, said) };
  }
}

/** One message on its way, and how far it has got. */
class Request {
  readonly message: FetchedMessage;
  /** The last octet has been given to the connection. */
  isWhole = false;
  /** Why the mailbox could not be read on. */
  failure: ReadFailure | undefined;

  readonly #signal: AbortSignal;

  /** @param signal - Ends the reading. */
  constructor(message: FetchedMessage, signal: AbortSignal) {
    this.message = message;
    this.#signal = signal;
  }

  /** What is in memory already. Asked for once there is a connection. */
  async *whole(content: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
    this.isWhole = true;
    yield await Promise.resolve(content);
  }

  /**
   * The content, once. Its last piece is held back until all of it is known to be what was signed.
   *
   * @param digest - SHA-256 of what was signed.
   * @throws ReadFailure
   */
  async *stream(digest?: string): AsyncGenerator<Uint8Array, void, undefined> {
    const hash = createHash('sha256');
    let held: Buffer | undefined;
    try {
      for await (const chunk of readContent(this.message, this.#signal)) {
        if (chunk.length === 0) continue;
        if (digest !== undefined) hash.update(chunk);
        if (held !== undefined) yield held;
        held = chunk;
      }
      if (digest !== undefined && hash.digest('hex') !== digest) throw new ReadFailure(new Error('other octets than a moment ago'));
    } catch (error) {
      if (error instanceof ReadFailure) this.failure = error;
      throw error;
    }
    this.isWhole = true;
    if (held !== undefined) yield held;
  }
}

/** The configuration has been checked; this is the last line before a message crosses a network in clear text. */
function postableUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isThisMachine(url.hostname));
  if (url === undefined || !isSafe || url.username !== '' || url.password !== '') {
    throw new ProblemError(problem('CONFIG_INVALID', 'fetch[].to.webhook is not an https:// URL (http:// is taken on loopback only)'));
  }
  return url;
}

function isThisMachine(hostname: string): boolean {
  const address = parseIpAddress(withoutBrackets(hostname));
  return address === undefined ? hostname === 'localhost' : isLoopback(address);
}

/** Names may hold any character; a field value may not (RFC 9110 §5.5). */
function namesOf({ rule, account, mailbox, uid, uidValidity }: FetchedMessage): Record<string, string> {
  return {
    'x-postern-rule': encodeURIComponent(rule),
    'x-postern-account': encodeURIComponent(account),
    'x-postern-mailbox': encodeURIComponent(mailbox),
    'x-postern-uid': String(uid),
    'x-postern-uid-validity': String(uidValidity),
  };
}

async function readWhole(message: FetchedMessage, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readContent(message, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Reads the content through, into both. @returns Its SHA-256 in hex. */
async function digestOf(message: FetchedMessage, hmac: Hmac, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of readContent(message, signal)) {
    hash.update(chunk);
    hmac.update(chunk);
  }
  return hash.digest('hex');
}

function describeFailure(error: unknown, isWhole: boolean): Problem {
  if (error instanceof DialError) {
    if (isTlsFailure(error)) return problem('FETCH_SINK_INSECURE', error.message);
    return problem('FETCH_SINK_UNREACHABLE', error.message, { remedy: dialRemedy(error, { key: 'fetch[].to.webhook', starttls: '' }) });
  }
  if (!(error instanceof PostError)) throw error;
  if (error.fault === 'nonsense') return problem('FETCH_SINK_NONSENSE', error.message);
  return problem(isWhole ? 'FETCH_SINK_AMBIGUOUS' : 'FETCH_SINK_UNREACHABLE', error.message);
}
