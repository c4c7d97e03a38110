/**
 * Hands one text to a webhook: one POST over HTTPS, bounded in time and size, no redirect, signed where a secret is configured.
 *
 * The URL of a webhook mostly is a credential itself, so nothing but its host is ever shown, and its parts are made known to the log scrubber. Of the
 * answer only the status counts.
 *
 * Signature: `X-Postern-Signature: sha256=` and the HMAC-SHA256, in hex, of the timestamp in `X-Postern-Timestamp` (seconds since 1970), a full stop
 * and the body. The timestamp is that of the try, so that a receiver can refuse old ones.
 *
 * Sources: RFC 2104 (HMAC), RFC 9110 §15.3 (2xx: taken), §15.4 (redirects; following one is the sender's choice).
 *
 * @packageDocumentation
 */
import { createHmac } from 'node:crypto';
import { type DurationMs, seconds } from '../core/clock.ts';
import { isLoopback, parseIpAddress } from '../core/ip-network.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Redactor } from '../core/ports/log.ts';
import { ProblemError, problem } from '../core/problem.ts';
import type { Dial } from '../platform/dial.ts';
import { DialError } from '../platform/dial-error.ts';
import { withoutBrackets } from '../platform/http-client.ts';
import { HttpPost, PostError } from '../platform/http-post.ts';

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
  readonly #post: HttpPost;
  readonly #secret: string | undefined;
  readonly #clock: Clock;

  /** @throws ProblemError `CONFIG_INVALID` for a URL that is neither https nor loopback. */
  constructor({ url, secret, clock, redactor, dial }: WebhookOptions) {
    const target = postableUrl(url);
    this.host = target.host;
    this.#post = new HttpPost({ url: target, clock, dial, deadline: DEADLINE });
    this.#secret = secret;
    this.#clock = clock;
    for (const part of [...secretParts(target), ...(secret === undefined ? [] : [secret])]) redactor.add(part);
  }

  /**
   * Offer a body once. Never throws.
   *
   * @param id - The same for each try, so that a receiver can tell a repetition.
   */
  async post(body: string, id: string): Promise<Handover> {
    try {
      const headers = { 'content-type': 'application/json', 'x-postern-delivery': id, ...this.#signature(body) };
      const { status } = await this.#post.send({ headers, body });
      if (status >= 200 && status < 300) return { kind: 'taken' };
      const what = status >= 300 && status < 400 ? 'a redirect, which is not followed' : 'not 2xx';
      return { kind: 'untaken', cause: `${this.host} answered HTTP ${status}, ${what}` };
    } catch (error) {
      if (!(error instanceof DialError) && !(error instanceof PostError)) throw error;
      return { kind: 'untaken', cause: error.message };
    }
  }

  /** Cuts what is in progress. */
  close(): Promise<void> {
    return this.#post.close();
  }

  #signature(body: string): Record<string, string> {
    const timestamp = String(Math.floor(this.#clock.now() / 1000));
    if (this.#secret === undefined) return { 'x-postern-timestamp': timestamp };
    const digest = createHmac('sha256', this.#secret).update(`${timestamp}.${body}`).digest('hex');
    return { 'x-postern-timestamp': timestamp, 'x-postern-signature': `sha256=${digest}` };
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

/** Everything behind the host, as a whole and in those parts that look like tokens. */
function secretParts({ pathname, search, searchParams }: URL): string[] {
  const parts = [...pathname.split('/'), ...searchParams.values()].filter((part) => part.length >= SHORTEST_TOKEN);
  return [pathname + search, ...parts];
}
