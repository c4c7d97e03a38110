/**
 * Where refresh tokens survive a restart, a kill and a power cut.
 *
 * Contract test: test/contract/token-store.ts, run on every implementation.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../account.ts';
import type { EpochMs } from '../clock.ts';

/** What is kept for one account. */
export interface StoredGrant {
  /** The newest refresh token; absent for grants that have none. */
  readonly refreshToken?: string;
  /** The one before it, kept since a provider may still accept it should the newest turn out to be unusable. */
  readonly previousRefreshToken?: string;
  /** Digest of the configured seed from which this line of tokens comes; a different seed in the configuration starts a new line. */
  readonly seedDigest?: string;
  /** A living access token, so that a restart costs no request. */
  readonly accessToken?: {
    readonly value: string;
    readonly expiresAt: EpochMs;
    /** Digest of the settings it was obtained with (scopes, client id, mailbox …); it is not used with others. */
    readonly settingsDigest: string;
  };
  readonly generation: number;
  readonly savedAt: EpochMs;
  /** When the newest refresh token came. Absent in what older versions have written. */
  readonly refreshTokenSince?: EpochMs;
}

/** Implementations: token/file-token-store.ts; test/support/memory-token-store.ts. */
export interface TokenStore {
  /**
   * @returns Undefined where nothing was ever saved.
   * @throws ProblemError `TOKEN_STORE_FAILED` where something is there but cannot be read or decrypted; the damaged data is left untouched.
   */
  load(account: AccountName): Promise<StoredGrant | undefined>;

  /**
   * A mark that differs after each save by whatever process, at much less cost than {@link load}: to look often whether there is something new.
   *
   * @returns Undefined where nothing is kept, or where it cannot be told now. Never rejects.
   */
  markOf(account: AccountName): Promise<string | undefined>;

  /**
   * Replace what is kept. When the promise resolves, the new value survives a power cut; until then the old one does.
   *
   * @throws ProblemError `TOKEN_STORE_FAILED`; the old value is still there, or, where only the last step failed, the new one: whole in each
   * case. Saving again is safe.
   */
  save(account: AccountName, grant: StoredGrant): Promise<void>;

  /**
   * Run `action` while no other process that shares this store runs one for the same account: from loading a refresh token to saving what became
   * of it, nobody else may use it. Within one process actions run side by side.
   *
   * @throws ProblemError `TOKEN_STORE_LOCKED` where the other process does not finish within 40 s; and whatever `action` throws.
   */
  exclusively<Result>(account: AccountName, action: () => Promise<Result>): Promise<Result>;
}
