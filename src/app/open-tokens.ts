/**
 * Tokens for a command that runs by itself, perhaps beside a Postern that serves on the same state: same store, same manager, same locks.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Account } from '../core/account.ts';
import type { Log } from '../core/ports/log.ts';
import type { TokenStore } from '../core/ports/token-store.ts';
import type { Scrubber } from '../observability/scrubber.ts';
import { keyText, openStateKeys } from '../platform/key-file.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { FileTokenStore } from '../token/file-token-store.ts';
import { TokenManager } from '../token/token-manager.ts';
import { TokenRouter } from '../token/token-router.ts';

/** To be closed after use: a refresh in progress is then waited for, so that no rotated token is lost. */
export interface OpenTokens {
  readonly manager: TokenManager;
  readonly store: TokenStore;
}

/** For commands whose output says what a log would. */
export const SILENCE: Log = { error() {}, warn() {}, info() {}, debug() {}, trace() {} };

/** @throws ProblemError `STATE_KEY_UNUSABLE` */
export async function openTokens({ state }: Config, accounts: readonly Account[], scrubber: Scrubber): Promise<OpenTokens> {
  const masterKey = await openStateKeys(state.keyFile);
  for (const known of masterKey.keys) scrubber.add(keyText(known));
  const base = { clock: systemClock, random: systemRandom, log: SILENCE };
  const store = new FileTokenStore({ directory: join(state.dir, 'tokens'), masterKey, log: SILENCE });
  const manager = new TokenManager({ ...base, accounts, store, endpoint: new TokenRouter(base), redactor: scrubber });
  return { manager, store };
}
