/**
 * Is this the admin password?
 *
 * A plain one is compared as keyed digests in constant time. A hash costs a key derivation; what was right is remembered for some minutes under a digest with a
 * random key of this process, so that Prometheus does not pay each time. What was wrong never is.
 *
 * @packageDocumentation
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { minutes, type MonotonicMs, plus } from '../core/clock.ts';
import type { PlainSecret } from '../core/client.ts';
import type { Clock } from '../core/ports/clock.ts';
import { verifyPassword } from '../platform/password.ts';

const REMEMBERED_FOR = minutes(5);

export class AdminPassword {
  readonly #secret: PlainSecret;
  readonly #clock: Clock;
  readonly #key = randomBytes(32);
  #right: { readonly digest: Buffer; readonly until: MonotonicMs } | undefined;

  constructor(secret: PlainSecret, clock: Clock) {
    this.#secret = secret;
    this.#clock = clock;
  }

  /** @throws PasswordCheckBusyError */
  async isRight(password: string): Promise<boolean> {
    const given = this.#digest(password);
    if (this.#secret.kind === 'password') return timingSafeEqual(this.#digest(this.#secret.password), given);
    const now = this.#clock.monotonic();
    if (this.#right !== undefined && this.#right.until > now && timingSafeEqual(this.#right.digest, given)) return true;
    if (!(await verifyPassword(password, this.#secret.hash))) return false;
    this.#right = { digest: given, until: plus(this.#clock.monotonic(), REMEMBERED_FOR) };
    return true;
  }

  #digest(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest();
  }
}
