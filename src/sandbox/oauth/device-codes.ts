/**
 * The device flow: a code for the device to poll with and one for the person to type.
 *
 * Source: RFC 8628 §3.2–§3.5. As at Entra there is no `verification_uri_complete`.
 *
 * @packageDocumentation
 */
import { between, type EpochMs, minutes, plus, seconds } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Random } from '../../core/ports/random.ts';
import type { FaultSwitches } from '../faults.ts';
import { EntraRefusal } from './entra-errors.ts';

/** Waiting for a person. */
export interface DeviceRequest {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  readonly expiresInSeconds: number;
  readonly intervalSeconds: number;
}

/** What the person decided. */
export type DeviceDecision = { readonly kind: 'accepted'; readonly mailbox: string } | { readonly kind: 'declined' };

interface Entry extends DeviceRequest {
  readonly endsAt: EpochMs;
  decision?: DeviceDecision;
  lastPollAt?: EpochMs;
  /** Grows by 5 with each poll that came too soon. */
  currentInterval: number;
  isRedeemed: boolean;
}

const LIFETIME = minutes(15);
const MOST_REQUESTS = 1_000;
/** Without vowels and digits that read like letters (RFC 8628 §6.1). */
const ALPHABET = 'BCDFGHJKLMNPQRSTVWXZ';
const USER_CODE_LENGTH = 9;

export class DeviceCodes {
  readonly #entries = new Map<string, Entry>();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #faults: FaultSwitches;

  constructor(clock: Clock, random: Random, faults: FaultSwitches) {
    this.#clock = clock;
    this.#random = random;
    this.#faults = faults;
  }

  issue(clientId: string, scopes: readonly string[]): DeviceRequest {
    const intervalSeconds = this.#faults.token.devicePollSeconds;
    const entry: Entry = {
      deviceCode: `sandbox-device.${Buffer.from(this.#random.octets(48)).toString('base64url')}`,
      userCode: [...this.#random.octets(USER_CODE_LENGTH)].map((octet) => ALPHABET[octet % ALPHABET.length] ?? 'B').join(''),
      clientId,
      scopes,
      expiresInSeconds: LIFETIME / 1_000,
      intervalSeconds,
      endsAt: plus(this.#clock.now(), LIFETIME),
      currentInterval: intervalSeconds,
      isRedeemed: false,
    };
    this.#entries.set(entry.deviceCode, entry);
    const oldest = this.#entries.keys().next();
    if (this.#entries.size > MOST_REQUESTS && oldest.done !== true) this.#entries.delete(oldest.value);
    return entry;
  }

  /** The request a person typed the code of; case, spaces and hyphens do not count. */
  find(userCode: string): DeviceRequest | undefined {
    const wanted = userCode.toUpperCase().replace(/[\s-]/g, '');
    return [...this.#entries.values()].find((entry) => entry.userCode === wanted && this.#isOpen(entry));
  }

  decide(userCode: string, decision: DeviceDecision): void {
    const entry = this.#entries.get(this.find(userCode)?.deviceCode ?? '');
    if (entry !== undefined) entry.decision = decision;
  }

  /** A poll of the device. @throws EntraRefusal until the person has accepted. */
  redeem(deviceCode: string, clientId: string): { readonly mailbox: string; readonly scopes: readonly string[] } {
    const entry = this.#entries.get(deviceCode);
    if (entry === undefined || entry.clientId !== clientId || entry.isRedeemed) throw new EntraRefusal(70018);
    if (this.#clock.now() >= entry.endsAt) throw new EntraRefusal(70019);
    this.#countPoll(entry);
    if (entry.decision === undefined) throw new EntraRefusal(70016);
    if (entry.decision.kind === 'declined') throw new EntraRefusal(65004, undefined, { error: 'authorization_declined' });
    entry.isRedeemed = true;
    return { mailbox: entry.decision.mailbox, scopes: entry.scopes };
  }

  /** RFC 8628 §3.5: a poll that comes too soon makes the interval 5 seconds longer from then on. */
  #countPoll(entry: Entry): void {
    const now = this.#clock.now();
    const isTooSoon = entry.lastPollAt !== undefined && between(entry.lastPollAt, now) < seconds(entry.currentInterval);
    entry.lastPollAt = now;
    if (!isTooSoon) return;
    entry.currentInterval += 5;
    throw new EntraRefusal(70016, 'polled too soon', { error: 'slow_down' });
  }

  #isOpen(entry: Entry): boolean {
    return entry.decision === undefined && this.#clock.now() < entry.endsAt;
  }
}
