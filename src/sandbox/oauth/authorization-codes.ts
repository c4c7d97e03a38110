/**
 * Authorization codes: ten minutes, once.
 *
 * Source: RFC 6749 §4.1.2 and §4.1.3, RFC 7636 §4.6 (S256 only).
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { type EpochMs, minutes, plus } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Random } from '../../core/ports/random.ts';
import { EntraRefusal } from './entra-errors.ts';

/** What a code stands for. */
export interface Authorization {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly mailbox: string;
  readonly scopes: readonly string[];
  /** S256 challenge, where one was sent. */
  readonly codeChallenge?: string;
}

interface Entry extends Authorization {
  readonly endsAt: EpochMs;
  isRedeemed: boolean;
}

const LIFETIME = minutes(10);
const MOST_CODES = 1_000;

export class AuthorizationCodes {
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  issue(authorization: Authorization): string {
    const code = `1.sandbox-code.${Buffer.from(this.#random.octets(48)).toString('base64url')}`;
    this.#entries.set(code, { ...authorization, endsAt: plus(this.#clock.now(), LIFETIME), isRedeemed: false });
    const oldest = this.#entries.keys().next();
    if (this.#entries.size > MOST_CODES && oldest.done !== true) this.#entries.delete(oldest.value);
    return code;
  }

  /** @throws EntraRefusal where the code is not good for this client, redirect URI and verifier. */
  redeem(code: string, clientId: string, redirectUri: string, codeVerifier: string | null): Authorization {
    const entry = this.#entries.get(code);
    if (entry === undefined) throw new EntraRefusal(9002313, 'the authorization code is malformed');
    if (entry.clientId !== clientId) throw new EntraRefusal(70000, 'the code was issued to another application');
    if (entry.isRedeemed) throw new EntraRefusal(54005);
    if (this.#clock.now() >= entry.endsAt) throw new EntraRefusal(70008);
    if (entry.redirectUri !== redirectUri) throw new EntraRefusal(50011, 'it differs from the one of the authorization request');
    if (!isVerified(entry.codeChallenge, codeVerifier)) throw new EntraRefusal(501481);
    entry.isRedeemed = true;
    return entry;
  }
}

/** RFC 7636 §4.6. A verifier without a challenge is refused too: one of the two requests was tampered with. */
function isVerified(codeChallenge: string | undefined, codeVerifier: string | null): boolean {
  if (codeChallenge === undefined) return codeVerifier === null;
  return codeVerifier !== null && createHash('sha256').update(codeVerifier).digest('base64url') === codeChallenge;
}
