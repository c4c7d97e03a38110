/**
 * Tokens without a sign-in, for set-up and tests; and their revocation.
 *
 * @packageDocumentation
 */
import type { OAuthState } from './oauth/grants.ts';
import { delegatedScopes } from './oauth/scopes.ts';

const EXCHANGE_SCOPES = [
  'https://outlook.office.com/SMTP.Send',
  'https://outlook.office.com/IMAP.AccessAsUser.All',
  'https://outlook.office.com/POP.AccessAsUser.All',
  'offline_access',
];

/** What a minted token is like. */
export interface MintOptions {
  /** Default: the confidential application. */
  readonly clientId?: string;
  /** Default: all of Exchange. */
  readonly scopes?: readonly string[];
}

export class Mint {
  readonly #state: OAuthState;
  readonly #clientId: string;

  constructor(state: OAuthState, clientId: string) {
    this.#state = state;
    this.#clientId = clientId;
  }

  /** A refresh token, as a sign-in of that mailbox would give. The mailbox is created where it does not exist. */
  refreshToken(mailbox: string, { clientId = this.#clientId, scopes = EXCHANGE_SCOPES }: MintOptions = {}): string {
    this.#state.directory.ensureMailbox(mailbox);
    return this.#state.refreshTokens.issue({ mailbox, clientId, scopes });
  }

  /** A person's access token. @param lifetimeSeconds - Default: as the switches say; negative for one that has ended. */
  accessToken(
    mailbox: string,
    { clientId = this.#clientId, scopes = EXCHANGE_SCOPES }: MintOptions = {},
    lifetimeSeconds?: number,
  ): string {
    this.#state.directory.ensureMailbox(mailbox);
    const { audience, names } = delegatedScopes(scopes);
    return this.#state.accessTokens.issue({ audience, clientId, mailbox, scopes: names, roles: [] }, lifetimeSeconds).value;
  }

  /** Every access token issued so far is refused with 535. */
  revokeAccessTokens(): void {
    this.#state.accessTokens.revokeAll();
  }

  /** Every refresh token of the mailbox, or of all, is refused with AADSTS70000. */
  revokeRefreshTokens(mailbox?: string): void {
    this.#state.refreshTokens.revoke(mailbox);
  }
}
