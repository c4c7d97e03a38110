/**
 * Access tokens: made, padded to a real one's length, and checked by the servers that are shown one.
 *
 * A JWT is signed with the sandbox's own key and needs no memory; an opaque one is remembered. Clients must treat both as opaque.
 *
 * Source: RFC 7519; claims as in Entra's v1.0 access tokens for Exchange.
 *
 * @packageDocumentation
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { EpochMs } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { Random } from '../../core/ports/random.ts';
import type { FaultSwitches } from '../faults.ts';

/** What a token is good for. */
export interface AccessGrant {
  readonly audience: string;
  readonly clientId: string;
  /** Absent: the application's own token. */
  readonly mailbox?: string;
  /** Delegated. */
  readonly scopes: readonly string[];
  /** Application. */
  readonly roles: readonly string[];
}

/** A token as the token response needs it. */
export interface IssuedAccessToken {
  readonly value: string;
  readonly lifetimeSeconds: number;
}

/** What a server learns about a token it is shown. */
export type AccessCheck =
  | { readonly kind: 'valid'; readonly grant: AccessGrant; readonly expiresAt: EpochMs }
  | { readonly kind: 'unknown' | 'expired' | 'revoked' };

interface Claims {
  readonly aud: string;
  readonly iat: number;
  readonly exp: number;
  readonly appid: string;
  readonly upn?: string;
  readonly scp?: string;
  readonly roles?: readonly string[];
  /** Counts up; a revocation is a floor under it. */
  readonly sbx_serial: number;
}

const MOST_OPAQUE_TOKENS = 10_000;
const SHORTEST_LIFETIME = 3_600;
const LIFETIME_SPREAD = 1_800;

export class AccessTokens {
  readonly #key: Buffer;
  readonly #tenantId: string;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #faults: FaultSwitches;
  readonly #opaque = new Map<string, Claims>();
  #serial: number;
  #oldestValid = 0;

  constructor(signingKey: string, tenantId: string, clock: Clock, random: Random, faults: FaultSwitches) {
    this.#key = Buffer.from(signingKey, 'base64');
    this.#tenantId = tenantId;
    this.#clock = clock;
    this.#random = random;
    this.#faults = faults;
    // Serials of an earlier run stay below ours.
    this.#serial = clock.now() * 1_000;
  }

  issue(grant: AccessGrant, lifetimeSeconds = this.#lifetime()): IssuedAccessToken {
    const claims = this.#claims(grant, lifetimeSeconds);
    const value = this.#faults.token.accessTokenFormat === 'jwt' ? this.#jwt(claims) : this.#remember(claims);
    return { value, lifetimeSeconds };
  }

  check(value: string): AccessCheck {
    const claims = this.#opaque.get(value) ?? this.#verify(value);
    if (claims === undefined) return { kind: 'unknown' };
    if (claims.sbx_serial < this.#oldestValid) return { kind: 'revoked' };
    const expiresAt = (claims.exp * 1_000) as EpochMs;
    if (this.#clock.now() >= expiresAt) return { kind: 'expired' };
    return { kind: 'valid', grant: grantOf(claims), expiresAt };
  }

  /** All tokens issued so far are refused from now on. */
  revokeAll(): void {
    this.#serial += 1;
    this.#oldestValid = this.#serial;
  }

  #lifetime(): number {
    const { accessTokenLifetimeSeconds } = this.#faults.token;
    if (accessTokenLifetimeSeconds !== 'random') return accessTokenLifetimeSeconds;
    return SHORTEST_LIFETIME + Math.floor(this.#random.fraction() * LIFETIME_SPREAD);
  }

  #claims(grant: AccessGrant, lifetimeSeconds: number): Claims {
    const iat = Math.floor(this.#clock.now() / 1_000);
    this.#serial += 1;
    return {
      aud: grant.audience,
      iat,
      exp: iat + lifetimeSeconds,
      appid: grant.clientId,
      ...(grant.mailbox === undefined ? { roles: grant.roles } : { upn: grant.mailbox, scp: grant.scopes.join(' ') }),
      sbx_serial: this.#serial,
    };
  }

  #jwt(claims: Claims): string {
    const full = { iss: `https://sts.sandbox.test/${this.#tenantId}/`, tid: this.#tenantId, nbf: claims.iat, ver: '1.0', ...claims };
    const wanted = this.#faults.token.accessTokenOctets;
    const bare = this.#signed(full);
    // Base64 makes four characters of three octets; the claim's name and quotes take 18 octets of their own.
    const padding = Math.floor(((wanted - bare.length) * 3) / 4) - 18;
    return padding <= 0 ? bare : this.#signed({ ...full, sbx_padding: 'x'.repeat(padding) });
  }

  #signed(payload: object): string {
    const head = `${encode({ typ: 'JWT', alg: 'HS256' })}.${encode(payload)}`;
    return `${head}.${this.#mac(head)}`;
  }

  #mac(head: string): string {
    return createHmac('sha256', this.#key).update(head).digest('base64url');
  }

  #remember(claims: Claims): string {
    const octets = Math.max(48, Math.floor((this.#faults.token.accessTokenOctets * 3) / 4));
    const value = `EwSandbox${Buffer.from(this.#random.octets(octets)).toString('base64url')}`;
    this.#opaque.set(value, claims);
    const oldest = this.#opaque.keys().next();
    if (this.#opaque.size > MOST_OPAQUE_TOKENS && oldest.done !== true) this.#opaque.delete(oldest.value);
    return value;
  }

  /** The claims of a JWT with our signature. */
  #verify(value: string): Claims | undefined {
    const end = value.lastIndexOf('.');
    const head = value.slice(0, Math.max(end, 0));
    // Compared as text: several texts decode to the same octets.
    const mac = Buffer.from(value.slice(end + 1));
    const expected = Buffer.from(this.#mac(head));
    if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) return undefined;
    // Signed by us, so it is what we wrote.
    return JSON.parse(Buffer.from(head.slice(head.indexOf('.') + 1), 'base64url').toString()) as Claims;
  }
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function grantOf(claims: Claims): AccessGrant {
  const scopes = claims.scp === undefined ? [] : claims.scp.split(' ');
  const grant = { audience: claims.aud, clientId: claims.appid, scopes, roles: claims.roles ?? [] };
  return claims.upn === undefined ? grant : { ...grant, mailbox: claims.upn };
}
