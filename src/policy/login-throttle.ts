/**
 * Slowing down those who guess passwords, without locking out anybody else.
 *
 * Pure: time comes with each call. Failures are counted per peer and user name: a wrong password in one device never stops another device,
 * nor another user name on the same machine. IPv6 peers count by their /64, since one machine owns all of it.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, minutes, type MonotonicMs, plus, seconds } from '../core/clock.ts';
import { type IpAddress, networkOf } from '../core/ip-network.ts';

/** Failures that cost nothing but the pause each one brings: people mistype, and devices retry. */
const FREE_FAILURES = 10;
const FIRST_PENALTY = seconds(30);
const LONGEST_PENALTY = minutes(15);
/** Without a failure for this long, all is forgotten. */
const MEMORY = minutes(60);
/** Beyond this many peer and user name pairs the one that failed longest ago is forgotten. */
const MOST_ENTRIES = 10_000;

interface Entry {
  readonly failures: number;
  readonly lastFailure: MonotonicMs;
  readonly blockedUntil: MonotonicMs;
}

export class LoginThrottle {
  /** In the order of the last failure. */
  readonly #entries = new Map<string, Entry>();

  /** How long this peer has to wait before this user name is looked at again; 0 for not at all. */
  penalty(peer: IpAddress, username: string, now: MonotonicMs): DurationMs {
    const entry = this.#entries.get(keyOf(peer, username));
    return entry === undefined ? seconds(0) : (Math.max(0, between(now, entry.blockedUntil)) as DurationMs);
  }

  noteFailure(peer: IpAddress, username: string, now: MonotonicMs): void {
    const key = keyOf(peer, username);
    const known = this.#entries.get(key);
    const failures = known === undefined || between(known.lastFailure, now) > MEMORY ? 1 : known.failures + 1;
    this.#entries.delete(key);
    this.#entries.set(key, { failures, lastFailure: now, blockedUntil: plus(now, penaltyAfter(failures)) });
    this.#forgetOldest();
  }

  noteSuccess(peer: IpAddress, username: string): void {
    this.#entries.delete(keyOf(peer, username));
  }

  #forgetOldest(): void {
    for (const key of this.#entries.keys()) {
      if (this.#entries.size <= MOST_ENTRIES) return;
      this.#entries.delete(key);
    }
  }
}

function penaltyAfter(failures: number): DurationMs {
  if (failures < FREE_FAILURES) return seconds(0);
  return Math.min(FIRST_PENALTY * 2 ** (failures - FREE_FAILURES), LONGEST_PENALTY) as DurationMs;
}

function keyOf(peer: IpAddress, username: string): string {
  const origin = peer.family === 6 ? networkOf(peer, 64).bits : peer.bits;
  return `${peer.family} ${origin.toString(16)} ${username}`;
}
