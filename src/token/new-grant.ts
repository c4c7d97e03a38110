/**
 * Starts a new line of refresh tokens for an account, from a sign-in or from an operator's hand.
 *
 * The new line carries the digest of the seed that is configured now: as long as that stays, the new line is the newer one; once the seed in the
 * configuration changes, that wins (refresh-line.ts). A running relay on the same state finds it by its generation (account-tokens.ts).
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import type { StoredGrant, TokenStore } from '../core/ports/token-store.ts';
import { type RefreshLine, resumeLine, seedDigest, settingsDigest } from './refresh-line.ts';

/** What the new line begins with. */
export interface NewGrant {
  readonly refreshToken: string;
  /** Where one came along: a running relay then needs no request. */
  readonly accessToken?: { readonly value: string; readonly expiresAt: EpochMs };
  /** Nobody has tried it: the refresh token in use so far stays as second choice, in case it was pasted wrong. */
  readonly isUntried?: boolean;
}

/**
 * Replaces whatever is stored for the account. A refresh that another process has in progress is waited for, so that it cannot bury the new line.
 *
 * @returns What is durable now.
 * @throws ProblemError `TOKEN_STORE_FAILED` or `TOKEN_STORE_LOCKED`; the old grant is still there then.
 */
export async function storeNewGrant(store: TokenStore, account: Account, grant: NewGrant, now: EpochMs): Promise<StoredGrant> {
  return store.exclusively(account.name, async () => {
    const before = await store.load(account.name);
    const origin = seedDigest(account.auth);
    const { refreshToken, accessToken, isUntried = false } = grant;
    const next: StoredGrant = {
      ...(isUntried ? secondChoice(resumeLine(account.auth, before), refreshToken) : {}),
      refreshToken,
      refreshTokenSince: now,
      ...(origin === undefined ? {} : { seedDigest: origin }),
      ...(accessToken === undefined ? {} : { accessToken: { ...accessToken, settingsDigest: settingsDigest(account) } }),
      generation: (before?.generation ?? 0) + 1,
      savedAt: now,
    };
    await store.save(account.name, next);
    return next;
  });
}

/** Storing the same one again must not make it its own second choice. */
function secondChoice(line: RefreshLine, refreshToken: string): Pick<StoredGrant, 'previousRefreshToken'> {
  const previousRefreshToken = line.refreshToken === refreshToken ? line.previousRefreshToken : line.refreshToken;
  return previousRefreshToken === undefined ? {} : { previousRefreshToken };
}
