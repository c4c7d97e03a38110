/**
 * Who has signed in on the page, and the tokens by which a request of the page is told from one that another page has made.
 *
 * A session is known by the digest of its cookie only. It ends after an hour without a request, and after twelve in any case; of too many the oldest ends.
 *
 * @packageDocumentation
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { hours, type MonotonicMs, plus } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';

const IDLE = hours(1);
/** How long a session lasts at most. */
export const SESSION_LIMIT = hours(12);
const MOST_SESSIONS = 100;

interface Session {
  readonly endsAt: MonotonicMs;
  idleUntil: MonotonicMs;
}

export class AdminSessions {
  readonly #clock: Clock;
  readonly #key = randomBytes(32);
  /** By the digest of the cookie, oldest first. */
  readonly #sessions = new Map<string, Session>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @returns The value of its cookie, which is kept nowhere else. */
  begin(): string {
    const cookie = randomBytes(32).toString('base64url');
    const now = this.#clock.monotonic();
    this.#sessions.set(digest(cookie), { endsAt: plus(now, SESSION_LIMIT), idleUntil: plus(now, IDLE) });
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size <= MOST_SESSIONS) break;
      this.#sessions.delete(oldest);
    }
    return cookie;
  }

  /** True while the session lasts; it then goes on for another while. */
  touch(cookie: string): boolean {
    const key = digest(cookie);
    const session = this.#sessions.get(key);
    const now = this.#clock.monotonic();
    if (session === undefined) return false;
    if (session.endsAt <= now || session.idleUntil <= now) {
      this.#sessions.delete(key);
      return false;
    }
    session.idleUntil = plus(now, IDLE);
    return true;
  }

  end(cookie: string): void {
    this.#sessions.delete(digest(cookie));
  }

  /** What a page that may read our answers has to send along. @param cookie - Undefined where no password is asked for. */
  csrfToken(cookie: string | undefined): string {
    return createHmac('sha256', this.#key)
      .update(cookie ?? 'no session')
      .digest('base64url');
  }

  isCsrfToken(given: string, cookie: string | undefined): boolean {
    const expected = createHmac('sha256', this.#key).update(this.csrfToken(cookie)).digest();
    return timingSafeEqual(expected, createHmac('sha256', this.#key).update(given).digest());
  }
}

const digest = (cookie: string): string => createHash('sha256').update(cookie).digest('base64');
