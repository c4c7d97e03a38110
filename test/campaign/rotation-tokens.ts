/**
 * The real token manager on the real store, for whoever takes part in the campaign of refresh tokens.
 *
 * @packageDocumentation
 */
import type { Account } from '../../src/core/account.ts';
import type { TokenStore } from '../../src/core/ports/token-store.ts';
import type { FileOperations } from '../../src/platform/atomic-file.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { FileTokenStore } from '../../src/token/file-token-store.ts';
import type { TokenEndpoint } from '../../src/token/token-answer.ts';
import { HttpTokenEndpoint } from '../../src/token/token-endpoint.ts';
import { TokenManager } from '../../src/token/token-manager.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { MemoryLog } from '../support/memory-log.ts';

/** An account whose only refresh token is the stored one, as after `postern login`. */
export function rotatingAccount(tokenUrl: string): Account {
  return testAccount({ provider: testProvider({ tokenUrl }), auth: { grant: 'refresh_token', tenant: 'tenant', clientId: 'test-client' } });
}

export function openStore(directory: string, operations?: FileOperations): FileTokenStore {
  const masterKey = Buffer.alloc(32, 7);
  return new FileTokenStore({ directory, masterKey, log: new MemoryLog(), ...(operations === undefined ? {} : { operations }) });
}

export function openEndpoint(): TokenEndpoint {
  return new HttpTokenEndpoint({ clock: systemClock });
}

export function openManager(account: Account, store: TokenStore, endpoint: TokenEndpoint): TokenManager {
  const redactor = { add: () => undefined };
  return new TokenManager({
    accounts: [account],
    store,
    endpoint,
    redactor,
    clock: systemClock,
    random: systemRandom,
    log: new MemoryLog(),
  });
}
