/**
 * Is this the client's password?
 *
 * Plain configured passwords are compared as keyed digests in constant time. Hashes cost a key derivation (platform/password.ts); a success is
 * remembered for some minutes, under a digest keyed with a random key of this process, so that an application which logs in for each
 * message pays once. Failures are never remembered. A user name that does not exist costs what a wrong password costs.
 *
 * @packageDocumentation
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { ClientSecret, PasswordVerdict } from '../core/client.ts';
import { minutes, type MonotonicMs, plus } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Random } from '../core/ports/random.ts';
import { NOBODY, PasswordCheckBusyError, verifyPassword } from './password.ts';

const REMEMBERED_FOR = minutes(5);
const MOST_REMEMBERED = 1_000;

export class PasswordCheck {
  readonly #clock: Clock;
  readonly #key: Uint8Array;
  readonly #verifyHash: (password: string, hash: string) => Promise<boolean>;
  /** Digest of hash and password → when to forget it, oldest first. */
  readonly #successes = new Map<string, MonotonicMs>();

  /** @param verifyHash - Replaced in tests. */
  constructor(deps: { readonly clock: Clock; readonly random: Random }, verifyHash = verifyPassword) {
    this.#clock = deps.clock;
    this.#key = deps.random.octets(32);
    this.#verifyHash = verifyHash;
  }

  /**
   * @param secret - Undefined for a user name that does not exist: the verdict is `wrong`.
   * @param hasHashes - Whether some client has a hash; then an unknown user name costs a derivation.
   */
  async check(secret: ClientSecret | undefined, password: string, hasHashes: boolean): Promise<PasswordVerdict> {
    if (secret?.kind === 'password') return this.#isSame(secret.password, password) ? 'right' : 'wrong';
    if (secret?.kind === 'hash') return this.#checkHash(secret.hash, password);
    if (secret?.kind === 'asked') return this.#derive(secret.id, password, secret.ask);
    if (hasHashes) return (await this.#checkHash(NOBODY, password)) === 'busy' ? 'busy' : 'wrong';
    this.#isSame('', password);
    return 'wrong';
  }

  /** @param id - Stands for the secret; what was right for one is not remembered for another. */
  async #derive(id: string, password: string, verify: (password: string) => Promise<PasswordVerdict>): Promise<PasswordVerdict> {
    const digest = this.#digest(`${id}\0${password}`).toString('base64');
    const until = this.#successes.get(digest);
    if (until !== undefined && until > this.#clock.monotonic()) return 'right';
    const verdict = await verify(password);
    if (verdict === 'right') this.#remember(digest);
    return verdict;
  }

  async #checkHash(hash: string, password: string): Promise<PasswordVerdict> {
    return this.#derive(hash, password, async () => {
      try {
        return (await this.#verifyHash(password, hash)) ? 'right' : 'wrong';
      } catch (error) {
        if (error instanceof PasswordCheckBusyError) return 'busy';
        throw error;
      }
    });
  }

  #remember(digest: string): void {
    this.#successes.delete(digest);
    this.#successes.set(digest, plus(this.#clock.monotonic(), REMEMBERED_FOR));
    for (const oldest of this.#successes.keys()) {
      if (this.#successes.size <= MOST_REMEMBERED) return;
      this.#successes.delete(oldest);
    }
  }

  #isSame(configured: string, given: string): boolean {
    return timingSafeEqual(this.#digest(configured), this.#digest(given));
  }

  #digest(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest();
  }
}
