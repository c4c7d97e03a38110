/**
 * Which refresh token of an account is the newest, and whether a stored one still belongs to the configuration.
 *
 * Pure. A line is what one seed has become by rotation. A seed that changed in the configuration starts a new line; an unchanged or removed one
 * goes on with what is stored. Digests stand for secrets, so that comparing needs no second copy of them.
 *
 * Source: RFC 6749 §6, last paragraph: a new refresh token replaces the old one; where none comes, the old one stays.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import type { Account, AuthSettings } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import type { StoredGrant } from '../core/ports/token-store.ts';
import { configuredSeed, identityOf, requestedScopes } from './grants/grants.ts';

/** The refresh tokens of one line. Empty for grants that have none. */
export type RefreshLine = Pick<StoredGrant, 'refreshToken' | 'previousRefreshToken' | 'seedDigest' | 'refreshTokenSince'>;

/** Stands for the configured seed; undefined where the configuration gives none. */
export function seedDigest(auth: AuthSettings): string | undefined {
  if (auth.grant !== 'refresh_token' || auth.refreshToken === undefined) return undefined;
  return digest([auth.clientId, auth.refreshToken]);
}

/** Stands for everything that decides what an access token is good for. An access token is not used with other settings. */
export function settingsDigest(account: Account): string {
  const { auth, provider, mailbox } = account;
  return digest([auth.grant, ...identityOf(auth), provider.tokenUrl, mailbox, seedDigest(auth), ...requestedScopes(account)]);
}

/** The line to go on with. */
export function resumeLine(auth: AuthSettings, stored: StoredGrant | undefined): RefreshLine {
  const seed = configuredSeed(auth);
  const wanted = seedDigest(auth);
  if (seed !== undefined && wanted !== undefined && stored?.seedDigest !== wanted) return { refreshToken: seed, seedDigest: wanted };
  return stored === undefined ? {} : linePart(stored);
}

/**
 * The line after an answer.
 *
 * @param used - The refresh token that was sent.
 * @param returned - The one that came back, if any.
 * @param now - When it came.
 */
export function rotateLine(line: RefreshLine, used: string | undefined, returned: string | undefined, now: EpochMs): RefreshLine {
  const newest = returned ?? used ?? line.refreshToken;
  if (newest === undefined || newest === line.refreshToken) return line;
  const previous = used === undefined || used === newest ? line.refreshToken : used;
  return { ...line, refreshToken: newest, refreshTokenSince: now, ...(previous === undefined ? {} : { previousRefreshToken: previous }) };
}

/**
 * True where `line` may replace what is stored: it is the configured seed's, or a later part of the stored line. The second holds after another
 * seed was configured too, as long as nothing of that one is stored: should it not work and the old one come back, the newest of the old is there.
 */
export function mayReplace(auth: AuthSettings, line: RefreshLine, stored: StoredGrant | undefined): boolean {
  const wanted = seedDigest(auth);
  return (wanted !== undefined && wanted === line.seedDigest) || stored === undefined || stored.seedDigest === line.seedDigest;
}

/** True where `line` is the one to go on with: the configured seed's; without a seed, the stored one. */
export function isWanted(auth: AuthSettings, line: RefreshLine, stored: StoredGrant | undefined): boolean {
  const wanted = seedDigest(auth);
  return wanted === undefined ? stored === undefined || stored.seedDigest === line.seedDigest : wanted === line.seedDigest;
}

/** True where tries with `before` and `after` may send the same refresh token. Without a seed it is the stored line, whosever that is. */
export function mayShareLine(before: AuthSettings, after: AuthSettings): boolean {
  const [one, other] = [seedDigest(before), seedDigest(after)];
  return one === undefined || other === undefined || one === other;
}

function linePart({ refreshToken, previousRefreshToken, seedDigest: origin, refreshTokenSince }: StoredGrant): RefreshLine {
  return {
    ...(refreshToken === undefined ? {} : { refreshToken }),
    ...(previousRefreshToken === undefined ? {} : { previousRefreshToken }),
    ...(origin === undefined ? {} : { seedDigest: origin }),
    ...(refreshTokenSince === undefined ? {} : { refreshTokenSince }),
  };
}

/** Each part with its length before it, so that no two lists look alike. */
function digest(parts: readonly (string | undefined)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part === undefined ? '-;' : `${Buffer.byteLength(part)}:${part};`);
  return hash.digest('hex');
}
