/**
 * Decides which requests to the admin port are served: the right name, the right origin, the right password.
 *
 * A web page that somebody on this machine or network looks at can make requests as well, so what is refused before the password is even looked at:
 * - a Host that is neither an address nor one of our names: a foreign name that was made to point here (DNS rebinding; an address cannot be rebound);
 * - a request that a page of another site has made (`Sec-Fetch-Site`, `Origin`), whatever it asks for; but a link there may lead to our page.
 * A browser's request that changes something also needs the token of its session (`X-CSRF-Token`), which only a page of ours can read.
 *
 * Without a password (on loopback only) everybody on this machine is an operator. Health is for everybody in any case.
 *
 * Sources: W3C Fetch Metadata, RFC 6454 (origin), RFC 7617 (Basic), RFC 6750 §2.1 (Bearer), RFC 6265bis (SameSite).
 *
 * @packageDocumentation
 */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { PlainSecret } from '../core/client.ts';
import { type IpAddress, isLoopback, parseIpAddress } from '../core/ip-network.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { problem } from '../core/problem.ts';
import { PasswordCheckBusyError } from '../platform/password.ts';
import { LoginThrottle } from '../policy/login-throttle.ts';
import { AdminPassword } from './admin-password.ts';
import { AdminSessions } from './admin-sessions.ts';
import { ApiRefusal, type Route } from './api.ts';
import type { Door } from './http-exchange.ts';

/** What the doorkeeper needs. */
export interface DoorkeeperOptions {
  /** Undefined: nobody is asked for a password. */
  readonly secret: PlainSecret | undefined;
  /** Names under which the port may be reached, besides addresses and `localhost`; lower case. */
  readonly hostnames: readonly string[];
  readonly isTls: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export const COOKIE = 'postern_session';
/** One bucket for all failures of a peer: there is only one password. */
const USER = 'admin';
const LOCAL: IpAddress = { family: 4, bits: 0x7f000001n };

export class Doorkeeper implements Door {
  readonly sessions: AdminSessions;
  readonly #options: DoorkeeperOptions;
  readonly #password: AdminPassword | undefined;
  readonly #failures = new LoginThrottle();
  #verifying: Promise<void> = Promise.resolve();

  constructor(options: DoorkeeperOptions) {
    this.#options = options;
    this.sessions = new AdminSessions(options.clock);
    this.#password = options.secret === undefined ? undefined : new AdminPassword(options.secret, options.clock);
  }

  get asksForPassword(): boolean {
    return this.#password !== undefined;
  }

  get isTls(): boolean {
    return this.#options.isTls;
  }

  /** @throws ApiRefusal */
  async admit(request: IncomingMessage, route: Route): Promise<void> {
    const { headers } = request;
    if (!(request.url ?? '').startsWith('/')) throw new ApiRefusal(400, 'API_REQUEST_INVALID', 'the request target must be a path');
    if (route.access === 'anybody') return;
    this.#checkHost(headers);
    if (route.access === 'page' && isNavigation(headers)) return;
    this.#checkOrigin(headers);
    if (route.access === 'guest' || route.access === 'page') return;
    await this.#checkPassword(headers, request.socket.remoteAddress ?? '');
    if (route.method !== 'GET') this.#checkToken(headers);
  }

  /** Sign in. @returns The value of the session's cookie. @throws ApiRefusal */
  async signIn(password: string, peer: string): Promise<string> {
    if (this.#password !== undefined) await this.#verify(this.#password, password, peer);
    return this.sessions.begin();
  }

  /** Whether a request has been let in, for those who ask. */
  async isOperator(headers: IncomingHttpHeaders, peer: string): Promise<boolean> {
    try {
      await this.#checkPassword(headers, peer);
      return true;
    } catch (error) {
      if (error instanceof ApiRefusal && error.status === 401) return false;
      throw error;
    }
  }

  #checkHost({ host = '' }: IncomingHttpHeaders): void {
    const name = (/^(\[[0-9A-Fa-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/.exec(host)?.[1] ?? '').toLowerCase();
    const isAddress = parseIpAddress(name.replace(/^\[(.*)\]$/, '$1')) !== undefined;
    if (isAddress || name === 'localhost' || this.#options.hostnames.includes(name)) return;
    throw new ApiRefusal(421, 'API_FORBIDDEN', 'the Host of the request is not a name of this server');
  }

  #checkOrigin(headers: IncomingHttpHeaders): void {
    const { origin, host = '' } = headers;
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none') {
      throw new ApiRefusal(403, 'API_FORBIDDEN', 'a page of another site has made the request');
    }
    const own = `${this.#options.isTls ? 'https' : 'http'}://${host}`.toLowerCase();
    if (origin !== undefined && origin.toLowerCase() !== own) {
      throw new ApiRefusal(403, 'API_FORBIDDEN', 'a page of another origin has made the request');
    }
  }

  async #checkPassword(headers: IncomingHttpHeaders, peer: string): Promise<void> {
    const password = this.#password;
    if (password === undefined) return;
    const cookie = cookieOf(headers);
    if (cookie !== undefined && this.sessions.touch(cookie)) return;
    const given = passwordIn(headers.authorization);
    if (given === undefined) throw unauthorized('the admin password is needed');
    await this.#verify(password, given, peer);
  }

  /** One at a time, so that of many tries at once no more are looked at than of many in a row. */
  #verify(password: AdminPassword, given: string, peer: string): Promise<void> {
    const verdict = this.#verifying.then(() => this.#look(password, given, peer));
    this.#verifying = verdict.catch(() => undefined); // Whoever asked hears of it.
    return verdict;
  }

  async #look(password: AdminPassword, given: string, peer: string): Promise<void> {
    const { clock, log } = this.#options;
    const address = addressOf(peer);
    const penalty = this.#failures.penalty(address, USER, clock.monotonic());
    if (penalty > 0) {
      const wait = Math.ceil(penalty / 1000);
      throw new ApiRefusal(429, 'API_UNAUTHORIZED', `too many wrong passwords; the next one counts in ${wait} s`, {
        'retry-after': String(wait),
      });
    }
    if (await isRight(password, given)) {
      this.#failures.noteSuccess(address, USER);
      return;
    }
    this.#failures.noteFailure(address, USER, clock.monotonic());
    const what = problem('API_UNAUTHORIZED', 'a wrong password for the admin port');
    log.warn({ event: 'admin-login-refused', peer, problem: what }, what.cause);
    throw unauthorized('the password is wrong');
  }

  /** Whoever is no browser, and not signed in by cookie, cannot be made to send requests by a page. */
  #checkToken(headers: IncomingHttpHeaders): void {
    const cookie = cookieOf(headers);
    const isBrowser = headers.origin !== undefined || headers['sec-fetch-site'] !== undefined;
    const isByCookie = this.#password !== undefined && cookie !== undefined && headers.authorization === undefined;
    if (!isBrowser && !isByCookie) return;
    const given = headers['x-csrf-token'];
    if (typeof given === 'string' && this.sessions.isCsrfToken(given, cookie)) return;
    throw new ApiRefusal(403, 'API_FORBIDDEN', 'the header X-CSRF-Token is missing or wrong');
  }
}

/** Somebody follows a link: the page becomes a page of its own, which the one with the link can neither read nor frame. */
const isNavigation = (headers: IncomingHttpHeaders): boolean =>
  headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';

/** The value of our cookie. */
export function cookieOf({ cookie = '' }: IncomingHttpHeaders): string | undefined {
  const values = cookie.split(/;\s*/).filter((pair) => pair.startsWith(`${COOKIE}=`));
  const [value] = values;
  return values.length === 1 ? value?.slice(COOKIE.length + 1) : undefined;
}

async function isRight(password: AdminPassword, given: string): Promise<boolean> {
  try {
    return await password.isRight(given);
  } catch (error) {
    if (!(error instanceof PasswordCheckBusyError)) throw error;
    throw new ApiRefusal(429, 'API_UNAUTHORIZED', 'too many passwords are being checked', { 'retry-after': '1' });
  }
}

/** Bearer and no Basic, so that browsers do not open a window of their own; Basic is taken all the same. */
const unauthorized = (cause: string): ApiRefusal =>
  new ApiRefusal(401, 'API_UNAUTHORIZED', cause, { 'www-authenticate': 'Bearer realm="Postern"' });

function passwordIn(authorization: string | undefined): string | undefined {
  const [, scheme = '', credentials = ''] = /^(basic|bearer) +(\S.*)$/i.exec(authorization ?? '') ?? [];
  if (scheme.toLowerCase() === 'bearer') return credentials;
  if (scheme === '') return undefined;
  const pair = Buffer.from(credentials, 'base64').toString('utf8');
  return pair.includes(':') ? pair.slice(pair.indexOf(':') + 1) : undefined;
}

/** This machine has many loopback addresses and is one peer. */
export function addressOf(peer: string): IpAddress {
  const address = parseIpAddress(peer);
  return address === undefined || isLoopback(address) ? LOCAL : address;
}
