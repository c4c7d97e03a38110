/**
 * The refresh tokens given out, by digest: the sandbox itself cannot tell what they were.
 *
 * As at Entra a replaced token stays valid until its line is revoked; with the switch `reuseDetection` its use revokes the line (RFC 9700
 * §4.14.2). A token dies after 90 days without use.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { between, days, type EpochMs } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Random } from '../../core/ports/random.ts';
import type { FaultSwitches } from '../faults.ts';
import { EntraRefusal } from './entra-errors.ts';

/** What is known of one refresh token. */
export interface RefreshRecord {
  /** SHA-256, base64url. */
  readonly digest: string;
  readonly mailbox: string;
  readonly clientId: string;
  /** Scopes of the sign-in, asked for again where a refresh names none. */
  readonly scopes: readonly string[];
  /** All tokens that came from one sign-in share this. */
  readonly line: string;
  readonly lastUsedAt: EpochMs;
  readonly isReplaced: boolean;
}

const MOST_TOKENS = 1_000;
/** What our tokens look like; anything else is malformed rather than unknown. */
const SHAPE = /^1\.sandbox\.[A-Za-z0-9_-]{64,}$/;

export class RefreshTokens {
  readonly #records = new Map<string, RefreshRecord>();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #faults: FaultSwitches;
  readonly #changed: () => void;

  /** @param changed - Called when the records should be kept anew. */
  constructor(records: readonly RefreshRecord[], clock: Clock, random: Random, faults: FaultSwitches, changed: () => void) {
    for (const record of records) this.#records.set(record.digest, record);
    this.#clock = clock;
    this.#random = random;
    this.#faults = faults;
    this.#changed = changed;
  }

  records(): readonly RefreshRecord[] {
    return [...this.#records.values()];
  }

  /** A new token; `line` continues an old line. */
  issue(grant: Pick<RefreshRecord, 'mailbox' | 'clientId' | 'scopes'>, line = this.#text(12)): string {
    const token = `1.sandbox.${this.#text(192)}`;
    this.#keep({ ...grant, line, digest: digestOf(token), lastUsedAt: this.#clock.now(), isReplaced: false });
    return token;
  }

  /** @throws EntraRefusal where the token cannot be used by that client. */
  redeem(token: string, clientId: string): RefreshRecord {
    if (!SHAPE.test(token)) throw new EntraRefusal(9002313, 'the refresh token is malformed');
    const record = this.#records.get(digestOf(token));
    if (record === undefined || record.clientId !== clientId)
      throw new EntraRefusal(70000, 'the refresh token is not one of this application');
    if (between(record.lastUsedAt, this.#clock.now()) > days(this.#faults.token.refreshTokenIdleDays)) throw new EntraRefusal(700082);
    if (record.isReplaced && this.#faults.token.reuseDetection) {
      this.#revoke(({ line }) => line === record.line);
      throw new EntraRefusal(70000, 'the refresh token was used before and its whole line is revoked');
    }
    this.#keep({ ...record, lastUsedAt: this.#clock.now() });
    return record;
  }

  /** The token with this record has been replaced by a newer one of its line. */
  markReplaced(record: RefreshRecord): void {
    this.#keep({ ...record, lastUsedAt: this.#clock.now(), isReplaced: true });
  }

  /** Forget the tokens of a mailbox, or all, as when a user's sessions are revoked. */
  revoke(mailbox?: string): void {
    this.#revoke((record) => mailbox === undefined || record.mailbox.toLowerCase() === mailbox.toLowerCase());
  }

  #revoke(fits: (record: RefreshRecord) => boolean): void {
    for (const record of this.records()) if (fits(record)) this.#records.delete(record.digest);
    this.#changed();
  }

  #keep(record: RefreshRecord): void {
    // Deleting first moves it to the end: the oldest unused token is the first to go.
    this.#records.delete(record.digest);
    this.#records.set(record.digest, record);
    const oldest = this.#records.keys().next();
    if (this.#records.size > MOST_TOKENS && oldest.done !== true) this.#records.delete(oldest.value);
    this.#changed();
  }

  #text(octets: number): string {
    return Buffer.from(this.#random.octets(octets)).toString('base64url');
  }
}

const digestOf = (token: string): string => createHash('sha256').update(token).digest('base64url');
