/**
 * Applications that come from email-oauth2-proxy log in with the password that they always had.
 *
 * That proxy encrypts its tokens with the password of the application and keeps no password itself. So a password is right when it opens the
 * sealed tokens. At the first login that does, in this order:
 *
 * 1. the refresh token becomes the account's grant, durable, encrypted with our key. From then on it is a line of tokens like every other. It does
 *    not take the place of a grant that is there already (a sign-in is newer), unless that came from other sealed tokens: importing again wins.
 * 2. a hash of the password is stored, durable; later logins cost what those of other clients cost.
 *
 * A kill between the two is made good by the next login, which finds the grant marked with these sealed tokens. A wrong password changes nothing.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import type { Account } from '../core/account.ts';
import type { Client, PasswordVerdict, SealedCredentials } from '../core/client.ts';
import { type DurationMs, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { TokenStore } from '../core/ports/token-store.ts';
import { ProblemError } from '../core/problem.ts';
import { deriveFernetKey, openFernet } from '../platform/fernet.ts';
import { hashPassword, PasswordCheckBusyError, verifyPassword } from '../platform/password.ts';
import type { ImportedPasswords } from './imported-passwords.ts';

/** What it works with. */
export interface ImportedLoginsDependencies {
  readonly store: TokenStore;
  readonly passwords: ImportedPasswords;
  readonly clock: Clock;
  readonly log: Log;
  /** Learns each secret before anything else does. */
  readonly redactor: { add(secret: string): void };
  /** The account has a new grant: try it now. */
  readonly onGrant: (account: string) => Promise<unknown>;
}

/** How long the first login waits for the first access token; the application's first message then finds it. */
const PATIENCE: DurationMs = seconds(5);

type ImportedClient = Client & { readonly login: { readonly username: string; readonly secret: { readonly kind: 'sealed' } } };

/** @returns The clients, with those that come from email-oauth2-proxy asking here about passwords. */
export function withImportedLogins(
  clients: readonly Client[],
  accounts: readonly Account[],
  deps: ImportedLoginsDependencies,
): readonly Client[] {
  return clients.map((client) => {
    if (!isImported(client)) return client;
    const account = accounts.find(({ name }) => name === client.account);
    const login = new ImportedLogin(client.name, account, client.login.secret.sealed, deps);
    return { ...client, login: { ...client.login, secret: { kind: 'asked', id: login.digest, ask: (password) => login.check(password) } } };
  });
}

const isImported = (client: Client): client is ImportedClient & { login: { secret: { sealed: SealedCredentials } } } =>
  client.login?.secret.kind === 'sealed';

class ImportedLogin {
  readonly #client: string;
  readonly #account: Account | undefined;
  readonly #sealed: SealedCredentials;
  readonly #deps: ImportedLoginsDependencies;
  /** Stands for the sealed tokens, in the grant and beside the password. */
  readonly digest: string;
  /** Logins one after the other: ten connections at once of an application are one takeover. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(client: string, account: Account | undefined, sealed: SealedCredentials, deps: ImportedLoginsDependencies) {
    this.#client = client;
    this.#account = account;
    this.#sealed = sealed;
    this.#deps = deps;
    this.digest = digestOf(sealed);
  }

  async check(password: string): Promise<PasswordVerdict> {
    try {
      const known = await this.#deps.passwords.load(this.#client, this.digest);
      if (known !== undefined) return await verify(password, known);
      const verdict = this.#last.then(() => this.#first(password));
      this.#last = verdict.catch(() => undefined); // Whoever waits for this one is told; the next starts afresh.
      return await verdict;
    } catch (error) {
      if (error instanceof PasswordCheckBusyError) return 'busy';
      if (!(error instanceof ProblemError)) throw error;
      const { problem } = error;
      this.#deps.log.error({ event: 'import-failed', client: this.#client, problem }, 'an imported password could not be taken over');
      return 'busy';
    }
  }

  /** While nothing has been taken over, or nobody knew of it when the login began. */
  async #first(password: string): Promise<PasswordVerdict> {
    const known = await this.#deps.passwords.load(this.#client, this.digest);
    if (known !== undefined) return verify(password, known);
    const { salt, iterations, refreshToken, accessToken } = this.#sealed;
    const key = await deriveFernetKey(password, Buffer.from(salt, 'base64'), iterations);
    const proof = openFernet(refreshToken ?? accessToken ?? '', key);
    if (proof === undefined || proof === '') return 'wrong';
    this.#deps.redactor.add(proof);
    this.#deps.redactor.add(password);
    const isNew = refreshToken !== undefined && (await this.#takeOver(proof));
    await this.#deps.passwords.save(this.#client, this.digest, await hashPassword(password));
    this.#deps.log.info(
      { event: 'import-taken-over', client: this.#client, ...(this.#account === undefined ? {} : { account: this.#account.name }) },
      isNew
        ? 'the password and the refresh token of email-oauth2-proxy were taken over'
        : 'the password of email-oauth2-proxy was taken over',
    );
    if (isNew && this.#account !== undefined) await this.#settle(this.#account.name);
    return 'right';
  }

  /** @returns False where the account has a grant that counts for more. */
  async #takeOver(refreshToken: string): Promise<boolean> {
    const { store, clock } = this.#deps;
    const account = this.#account;
    // A seed in the configuration was put there by hand, and wins.
    if (account?.auth.grant !== 'refresh_token' || account.auth.refreshToken !== undefined) return false;
    return store.exclusively(account.name, async () => {
      const stored = await store.load(account.name);
      if (stored?.seedDigest === this.digest) return false;
      if (stored?.refreshToken !== undefined && stored.seedDigest?.startsWith(DIGEST_PREFIX) !== true) return false;
      const now = clock.now();
      const generation = (stored?.generation ?? 0) + 1;
      await store.save(account.name, { refreshToken, refreshTokenSince: now, seedDigest: this.digest, generation, savedAt: now });
      return true;
    });
  }

  /** The application has proved its password whatever comes of this; the token manager tells of trouble by itself. */
  async #settle(account: string): Promise<void> {
    const { clock, log, onGrant } = this.#deps;
    const tried = onGrant(account).catch((error: unknown) => {
      if (!(error instanceof ProblemError)) throw error;
      log.debug({ event: 'import-not-usable-yet', account, problem: error.problem }, 'no access token yet with the imported refresh token');
    });
    await new Promise<void>((resolve, reject) => {
      const timer = clock.startTimer(PATIENCE, resolve, { isBackground: true });
      tried.then(() => resolve(), reject).finally(() => timer.cancel());
    });
  }
}

const verify = async (password: string, hash: string): Promise<PasswordVerdict> =>
  (await verifyPassword(password, hash)) ? 'right' : 'wrong';

const DIGEST_PREFIX = 'imported:';

function digestOf({ salt, iterations, refreshToken, accessToken }: SealedCredentials): string {
  const parts = JSON.stringify([salt, iterations, refreshToken ?? null, refreshToken === undefined ? (accessToken ?? null) : null]);
  return `${DIGEST_PREFIX}${createHash('sha256').update(parts).digest('hex')}`;
}
