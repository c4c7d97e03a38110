/**
 * Where upstream sessions get their access tokens.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../account.ts';
import type { EpochMs } from '../clock.ts';

/** An access token in hand. */
export interface AccessToken {
  /** Opaque; free of control characters and spaces, at most 16 KB. Goes nowhere but into an encrypted upstream connection. */
  readonly value: string;
  /** When the provider will stop accepting it, by our wall clock. */
  readonly expiresAt: EpochMs;
  /** Fence: grows with every token obtained and every change of the account or its secrets. */
  readonly generation: number;
}

/** Implementation: token/token-manager.ts. */
export interface TokenSource {
  /**
   * A living access token, from the cache where possible. However many ask at once, at most one request per account goes to the token
   * endpoint. While a refresh ahead of expiry fails and the cached token still lives, the cached one is returned.
   *
   * @throws ProblemError with a `TOKEN_…` code. Never waits longer than 30 s.
   */
  accessToken(account: AccountName): Promise<AccessToken>;

  /**
   * An upstream has refused `refused`. Returns the cached token if that is already a newer generation, else refreshes once (shared by all
   * who ask).
   *
   * @throws ProblemError as {@link accessToken}; the cached token is not used as a fallback here. `UPSTREAM_AUTH_REFUSED`, without a request,
   * where the account's tokens were refused so often in the last minutes that another one would not help.
   */
  replaceRefused(account: AccountName, refused: AccessToken): Promise<AccessToken>;
}
