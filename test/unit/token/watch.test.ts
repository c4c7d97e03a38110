/** Whoever watches the tokens of an account hears how each try ended. */
import { expect, it } from 'vitest';
import { hours, minutes } from '../../../src/core/clock.ts';
import type { TokenStatus } from '../../../src/token/account-tokens.ts';
import { TokenManager } from '../../../src/token/token-manager.ts';
import { testAccount } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryTokenStore } from '../../support/memory-token-store.ts';
import { grantedTokens, refusedWith, ScriptedTokenEndpoint, unreachable } from '../../support/scripted-token-endpoint.ts';

function watched(store = new MemoryTokenStore(), clock = new FakeClock()) {
  const endpoint = new ScriptedTokenEndpoint();
  const heard: (TokenStatus & { readonly account: string })[] = [];
  const manager = new TokenManager({
    accounts: [testAccount()],
    store,
    endpoint,
    clock,
    random: { fraction: () => 0, octets: (count) => new Uint8Array(count) },
    log: new MemoryLog(),
    redactor: { add: () => undefined },
    onChange: (account, status) => void heard.push({ account, ...status }),
  });
  return { store, clock, endpoint, manager, heard };
}

it('of success, of an outage, of a dead grant and of its end', async () => {
  const { clock, endpoint, manager, heard } = watched();
  endpoint.next(unreachable, refusedWith('invalid_grant', 50173), grantedTokens());
  manager.start();
  for (let count = 0; count < 10 && heard.at(-1)?.state !== 'active'; count += 1) await clock.advance(minutes(5));
  expect(heard.map(({ account, state, problem }) => [account, state, problem?.code])).toEqual([
    ['billing', 'backing-off', 'TOKEN_ENDPOINT_UNREACHABLE'],
    ['billing', 'reauth-required', 'TOKEN_REAUTH_REQUIRED'],
    ['billing', 'active', undefined],
  ]);
  await manager.close();
});

it('of a token that was restored: when it was obtained, not when it was found', async () => {
  const first = watched();
  await first.manager.accessToken('billing');
  const obtainedAt = first.clock.now();
  await first.clock.advance(minutes(20));
  const second = watched(first.store, first.clock);
  await second.manager.accessToken('billing');
  expect(second.endpoint.requests).toHaveLength(0);
  expect(second.heard).toMatchObject([{ state: 'active', obtainedAt }]);
  expect(second.clock.now() - obtainedAt).toBeLessThan(hours(1));
});
