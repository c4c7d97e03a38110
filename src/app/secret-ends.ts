/**
 * When the secrets of an account end, as far as that can be known.
 *
 * @packageDocumentation
 */
import type { Account, ClientCertificate } from '../core/account.ts';
import { days, type EpochMs, plus } from '../core/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { TokenStore } from '../core/ports/token-store.ts';
import { ProblemError } from '../core/problem.ts';
import type { SecretEnd } from '../observability/secret-expiry.ts';
import { certificateOf, endOf, openSigningKey, SigningKeyError } from '../platform/signing-key.ts';

/** Microsoft ends a refresh token that was not used for so long. Each use gives a new one, or at least is saved. */
const REFRESH_TOKEN_IDLE = days(90);

/** Asks for all that is known of all accounts that are configured by then. */
export function knownEnds(accounts: () => readonly Account[], store: TokenStore, log: Log): () => Promise<readonly SecretEnd[]> {
  return async () => (await Promise.all(accounts().map((account) => secretEnds(account, store, log)))).flat();
}

/** Never rejects: an end that cannot be found out now is left out, and whoever uses the secret tells what is wrong with it. */
export async function secretEnds(account: Account, store: TokenStore, log: Log): Promise<readonly SecretEnd[]> {
  const { name, auth } = account;
  if (auth.grant !== 'refresh_token' && (auth.grant !== 'client_credentials' || auth.managedIdentity === true)) return [];
  const { clientSecretExpires, certificate } = auth;
  const certificateEnd = certificate === undefined ? undefined : endOfCertificate(certificate);
  const idleEnd = auth.grant === 'refresh_token' ? await idleEndOf(account, store, log) : undefined;
  return [
    ...(clientSecretExpires === undefined ? [] : [{ account: name, topic: 'client-secret', endsAt: clientSecretExpires } as const]),
    ...(certificateEnd === undefined ? [] : [{ account: name, topic: 'certificate', endsAt: certificateEnd } as const]),
    ...(idleEnd === undefined ? [] : [{ account: name, topic: 'refresh-token', endsAt: idleEnd } as const]),
  ];
}

/** Undefined where it cannot be used at all. */
export function endOfCertificate({ cert, key, passphrase }: ClientCertificate): EpochMs | undefined {
  try {
    return endOf(certificateOf(cert, openSigningKey(key, passphrase))) as EpochMs;
  } catch (error) {
    if (error instanceof SigningKeyError) return undefined; // The configuration was refused for it, or getting a token is.
    throw error;
  }
}

async function idleEndOf({ name }: Account, store: TokenStore, log: Log): Promise<EpochMs | undefined> {
  try {
    const stored = await store.load(name);
    return stored?.refreshToken === undefined ? undefined : plus(stored.savedAt, REFRESH_TOKEN_IDLE);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    log.debug(
      { event: 'secret-end-unknown', account: name, problem: error.problem },
      'when the refresh token ends cannot be found out now',
    );
    return undefined;
  }
}
