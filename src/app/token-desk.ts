/**
 * What `postern token` and `postern accounts` look at and do. Nothing here gives a token away: digests and facts only.
 *
 * They read the store, which a running Postern shares; what that Postern has met since is in its log.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import type { Config } from '../config/config.ts';
import type { Account } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import type { StoredGrant } from '../core/ports/token-store.ts';
import { type Problem, ProblemError } from '../core/problem.ts';
import { decodeClaims, type TokenClaims } from '../doctor/token-claims.ts';
import { Scrubber } from '../observability/scrubber.ts';
import { systemClock } from '../platform/system-clock.ts';
import { storeNewGrant } from '../token/new-grant.ts';
import { resumeLine, seedDigest, settingsDigest } from '../token/refresh-line.ts';
import { signInAccount } from '../token/sign-in/sign-in.ts';
import { type OpenTokens, openTokens } from './open-tokens.ts';
import { refuseForeignState } from './state-owner.ts';

/** What the account can do for its next message, as far as the store tells. */
export type TokenReadiness =
  /** A stored access token lives. */
  | 'active'
  /** A new access token is fetched at the next use. */
  | 'renewable'
  /** The same, for the first time with the configured refresh token. */
  | 'configured'
  /** Somebody has to sign in. */
  | 'missing'
  /** Signs in with a password. */
  | 'password'
  | 'unreadable';

/** One line of `postern accounts`. */
export interface AccountFacts {
  readonly name: string;
  readonly provider: string;
  readonly mailbox: string;
  readonly smtpUser: string;
  readonly grant: string;
  readonly token: TokenReadiness;
  /** Of the access token. */
  readonly expiresAt?: EpochMs;
  /** When the newest refresh token came, and when it was last used with success. */
  readonly refreshTokenSince?: EpochMs;
  readonly renewedAt?: EpochMs;
  /** Why the store cannot be read. */
  readonly problem?: Problem;
}

/** Facts about one stored token: the first 8 hex digits of its SHA-256, to compare with. */
export interface TokenFacts {
  readonly digest: string;
  readonly since?: EpochMs;
}

/** What is stored for an account. */
export interface GrantFacts {
  readonly generation: number;
  readonly savedAt: EpochMs;
  readonly refreshToken?: TokenFacts;
  readonly previousRefreshToken?: TokenFacts;
  /** Whether the stored line goes on, or the seed in the configuration takes its place. */
  readonly isOvertakenBySeed: boolean;
  readonly seedDigest?: string;
  readonly accessToken?: TokenFacts & {
    readonly expiresAt: EpochMs;
    /** False: obtained with other settings, and not used any more. */
    readonly isForTheseSettings: boolean;
    /** Absent where the token is opaque. */
    readonly claims?: TokenClaims;
  };
}

/** What a refresh brought. */
export interface RefreshFacts {
  readonly expiresAt: EpochMs;
  readonly generation: number;
  /** The provider gave a new refresh token in place of the old. */
  readonly isRotated: boolean;
  readonly claims?: TokenClaims;
}

const digestOf = (token: string): string => createHash('sha256').update(token).digest('hex').slice(0, 8);

/** @throws ProblemError `STATE_KEY_UNUSABLE` */
export async function describeAccounts(config: Config, accounts: readonly Account[]): Promise<readonly AccountFacts[]> {
  if (!(await exists(config.state.keyFile))) return accounts.map((account) => describeAccount(account, undefined));
  return withTokens(config, accounts, async ({ store }) => {
    const facts: AccountFacts[] = [];
    for (const account of accounts) {
      try {
        facts.push(describeAccount(account, await store.load(account.name)));
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error;
        facts.push({ ...describeAccount(account, undefined), token: 'unreadable', problem: error.problem });
      }
    }
    return facts;
  });
}

function describeAccount(account: Account, stored: StoredGrant | undefined): AccountFacts {
  const { name, mailbox, smtpUser, auth } = account;
  const access = stored?.accessToken?.settingsDigest === settingsDigest(account) ? stored.accessToken : undefined;
  const line = resumeLine(auth, stored);
  const isFromStore = line.refreshToken !== undefined && line.refreshToken === stored?.refreshToken;
  return {
    name,
    provider: account.provider.name,
    mailbox,
    smtpUser,
    grant: auth.grant,
    token: readiness(account, access, line.refreshToken, isFromStore),
    ...(access === undefined ? {} : { expiresAt: access.expiresAt }),
    ...(line.refreshTokenSince === undefined ? {} : { refreshTokenSince: line.refreshTokenSince }),
    ...(isFromStore && stored !== undefined ? { renewedAt: stored.savedAt } : {}),
  };
}

function readiness(
  { auth }: Account,
  access: StoredGrant['accessToken'],
  refreshToken: string | undefined,
  isFromStore: boolean,
): TokenReadiness {
  if (auth.grant === 'basic') return 'password';
  if (access !== undefined && access.expiresAt > systemClock.now()) return 'active';
  if (auth.grant !== 'refresh_token') return 'renewable';
  if (refreshToken === undefined) return 'missing';
  return isFromStore ? 'renewable' : 'configured';
}

/** @returns Undefined where nothing is stored. @throws ProblemError */
export async function describeGrant(config: Config, account: Account): Promise<GrantFacts | undefined> {
  if (!(await exists(config.state.keyFile))) return undefined;
  return withTokens(config, [account], async ({ store }) => {
    const stored = await store.load(account.name);
    return stored === undefined ? undefined : grantFacts(account, stored);
  });
}

function grantFacts(account: Account, stored: StoredGrant): GrantFacts {
  const { refreshToken, previousRefreshToken, refreshTokenSince, accessToken, generation, savedAt } = stored;
  const wanted = seedDigest(account.auth);
  return {
    generation,
    savedAt,
    ...(refreshToken === undefined
      ? {}
      : { refreshToken: { digest: digestOf(refreshToken), ...(refreshTokenSince === undefined ? {} : { since: refreshTokenSince }) } }),
    ...(previousRefreshToken === undefined ? {} : { previousRefreshToken: { digest: digestOf(previousRefreshToken) } }),
    isOvertakenBySeed: wanted !== undefined && wanted !== stored.seedDigest,
    ...(stored.seedDigest === undefined ? {} : { seedDigest: stored.seedDigest.slice(0, 8) }),
    ...(accessToken === undefined ? {} : { accessToken: accessFacts(account, accessToken) }),
  };
}

function accessFacts(account: Account, { value, expiresAt, settingsDigest: used }: NonNullable<StoredGrant['accessToken']>) {
  const claims = decodeClaims(value);
  const isForTheseSettings = used === settingsDigest(account);
  return { digest: digestOf(value), expiresAt, isForTheseSettings, ...(claims === undefined ? {} : { claims }) };
}

/**
 * Ask the token endpoint now, whatever is in hand. What comes back is stored, for a running Postern too.
 *
 * @throws ProblemError with cause and remedy where no token comes back.
 */
export async function refreshNow(config: Config, account: Account): Promise<RefreshFacts> {
  await refuseForeignState(config.state.dir);
  return withTokens(config, [account], async ({ store, manager }) => {
    const before = resumeLine(account.auth, await store.load(account.name));
    const { value, expiresAt, generation } = await manager.refresh(account.name);
    const after = await store.load(account.name);
    const claims = decodeClaims(value);
    const isRotated = after?.refreshToken !== before.refreshToken;
    return { expiresAt, generation, isRotated, ...(claims === undefined ? {} : { claims }) };
  });
}

/** Keep a refresh token that somebody got elsewhere; the one in use so far stays as second choice. @throws ProblemError */
export async function storeRefreshToken(config: Config, account: Account, refreshToken: string): Promise<GrantFacts> {
  const person = signInAccount(account);
  await refuseForeignState(config.state.dir);
  return withTokens(config, [account], async ({ store }) => {
    return grantFacts(person, await storeNewGrant(store, person, { refreshToken, isUntried: true }, systemClock.now()));
  });
}

async function withTokens<Result>(
  config: Config,
  accounts: readonly Account[],
  action: (tokens: OpenTokens) => Promise<Result>,
): Promise<Result> {
  const tokens = await openTokens(config, accounts, new Scrubber());
  try {
    return await action(tokens);
  } finally {
    await tokens.manager.close();
  }
}

/** Only looking must not make a key, perhaps as another user than the relay's. */
async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false; // The answer to the question; if it is there and cannot be read, using it says so.
  }
}
