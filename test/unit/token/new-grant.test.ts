/** A grant that somebody brings while a relay runs: which line goes on, and that the relay takes it up by itself. */
import { describe, expect, it } from 'vitest';
import type { Account } from '../../../src/core/account.ts';
import { hours, minutes, plus, seconds } from '../../../src/core/clock.ts';
import { storeNewGrant } from '../../../src/token/new-grant.ts';
import { resumeLine } from '../../../src/token/refresh-line.ts';
import { MemoryTokenStore } from '../../support/memory-token-store.ts';
import { grantedTokens, refusedWith, unreachable } from '../../support/scripted-token-endpoint.ts';
import { ManagerStage, withAuth } from './manager-stage.ts';

const SEED = 'seed-refresh-token';
const seedless: Account = { ...withAuth({}), auth: { grant: 'refresh_token', clientId: 'test-client' } };

async function stored(account: Account, store = new MemoryTokenStore()) {
  return storeNewGrant(store, account, { refreshToken: 'signed-in' }, 0 as never);
}

describe('the line that goes on after a sign-in', () => {
  it('is the new one, although the configuration has a seed', async () => {
    expect(resumeLine(withAuth({ refreshToken: SEED }).auth, await stored(withAuth({ refreshToken: SEED })))).toMatchObject({
      refreshToken: 'signed-in',
    });
  });

  it('is that of a seed which is put into the configuration later, changed or new', async () => {
    for (const before of [withAuth({ refreshToken: SEED }), seedless]) {
      expect(resumeLine(withAuth({ refreshToken: 'newer-seed' }).auth, await stored(before)).refreshToken).toBe('newer-seed');
    }
  });

  it('is the new one where the seed is taken out, or never was there', async () => {
    for (const before of [withAuth({ refreshToken: SEED }), seedless]) {
      expect(resumeLine(seedless.auth, await stored(before)).refreshToken).toBe('signed-in');
    }
  });

  it('forgets the tokens before it, which may be of somebody else', async () => {
    const store = new MemoryTokenStore();
    await store.save('billing', { refreshToken: 'old', previousRefreshToken: 'older', generation: 7, savedAt: 1 as never });
    expect(await stored(seedless, store)).toEqual({ refreshToken: 'signed-in', refreshTokenSince: 0, generation: 8, savedAt: 0 });
  });
});

describe('a refresh token that nobody has tried (postern token set)', () => {
  const set = async (store: MemoryTokenStore, account: Account, refreshToken: string) =>
    storeNewGrant(store, account, { refreshToken, isUntried: true }, 0 as never);

  it('leaves the one in use so far as second choice, and a relay falls back to it where it was pasted wrong', async () => {
    const stage = new ManagerStage({ accounts: [withAuth({ refreshToken: SEED })] });
    stage.manager.start();
    stage.endpoint.always(({ refreshToken }) =>
      refreshToken === 'pasted-wrong' ? refusedWith('invalid_grant', 50173) : grantedTokens({ refreshToken: 'rotated' }),
    );
    await stage.clock.advance(seconds(1));
    await set(stage.store, withAuth({ refreshToken: SEED }), 'pasted-wrong');
    await stage.clock.advance(minutes(2));
    expect(stage.endpoint.refreshTokensSent).toEqual([SEED, 'pasted-wrong', 'rotated']);
    expect(stage.state).toBe('active');
  });

  it('is preceded by the seed where nothing is stored, and by nothing where there is none', async () => {
    expect(await set(new MemoryTokenStore(), withAuth({ refreshToken: SEED }), 'pasted')).toMatchObject({ previousRefreshToken: SEED });
    expect(await set(new MemoryTokenStore(), seedless, 'pasted')).not.toHaveProperty('previousRefreshToken');
  });

  it('that is there already keeps its second choice', async () => {
    const store = new MemoryTokenStore();
    await store.save('billing', { refreshToken: 'old', generation: 1, savedAt: 1 as never });
    await set(store, seedless, 'pasted');
    expect(await set(store, seedless, 'pasted')).toMatchObject({ refreshToken: 'pasted', previousRefreshToken: 'old' });
  });
});

/** What `postern login` does, as another process. */
async function login({ store, clock }: ManagerStage, account: Account, hasAccessToken = false): Promise<void> {
  const accessToken = hasAccessToken ? { accessToken: { value: 'signed-in-access', expiresAt: plus(clock.now(), hours(1)) } } : {};
  await storeNewGrant(store, account, { refreshToken: 'signed-in', ...accessToken }, clock.now());
}

describe('a running relay', () => {
  it('that has no refresh token takes up a sign-in within seconds', async () => {
    const stage = new ManagerStage({ accounts: [seedless] });
    stage.manager.start();
    await stage.clock.advance(minutes(30));
    expect((await stage.problem()).code).toBe('TOKEN_MISSING');
    await login(stage, seedless, true);
    await stage.clock.advance(seconds(3));
    expect((await stage.token()).value).toBe('signed-in-access');
    expect(stage.requests).toBe(0);
    expect(stage.log.of('grant-found')).toHaveLength(1);
    expect(stage.log.of('token-recovered')).toHaveLength(1);
  });

  it('whose refresh token is dead asks with the new one, and not with the one before', async () => {
    const stage = new ManagerStage({ accounts: [withAuth({ refreshToken: SEED })] });
    stage.manager.start();
    stage.endpoint.always(({ refreshToken }) => (refreshToken === SEED ? refusedWith('invalid_grant', 50173) : grantedTokens()));
    await stage.clock.advance(seconds(1));
    expect(stage.state).toBe('reauth-required');
    await login(stage, withAuth({ refreshToken: SEED }));
    await stage.clock.advance(seconds(3));
    expect(stage.state).toBe('active');
    expect(stage.endpoint.refreshTokensSent).toEqual([SEED, 'signed-in']);
  });

  it.each([
    ['a rule of the organisation', refusedWith('invalid_grant', 53003)],
    ['an unexplained refusal', refusedWith('invalid_grant')],
  ])('looks for a new grant after %s too', async (_what, answer) => {
    const stage = new ManagerStage();
    stage.manager.start();
    stage.endpoint.next(answer);
    await stage.clock.advance(seconds(1));
    await login(stage, withAuth({ refreshToken: SEED }));
    await stage.clock.advance(seconds(3));
    expect(stage.state).toBe('active');
  });

  it('that waits for an endpoint does not ask sooner because of it', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    stage.endpoint.always({ kind: 'busy', cause: 'test', retryAfter: minutes(10) });
    await stage.clock.advance(seconds(1));
    await login(stage, withAuth({ refreshToken: SEED }));
    await stage.clock.advance(minutes(9));
    expect(stage.requests).toBe(1);
  });

  it('that is well takes up a sign-in within seconds, and its access token with it', async () => {
    const stage = new ManagerStage({ accounts: [withAuth({ refreshToken: SEED })] });
    stage.manager.start();
    await stage.clock.advance(minutes(10));
    await login(stage, withAuth({ refreshToken: SEED }), true);
    await stage.clock.advance(seconds(4));
    expect((await stage.token()).value).toBe('signed-in-access');
    expect(stage.endpoint.refreshTokensSent).toEqual([SEED]);
    await stage.clock.advance(minutes(56));
    expect(stage.endpoint.refreshTokensSent).toEqual([SEED, 'signed-in']);
  });

  it('that is well tries a refresh token that came alone within seconds, once, and uses the old access token meanwhile', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    await stage.clock.advance(minutes(10));
    await login(stage, withAuth({ refreshToken: SEED }));
    const held = stage.endpoint.hold();
    await stage.clock.advance(seconds(3));
    expect((await stage.token()).value).toBe('access-1');
    held.answer(grantedTokens({ accessToken: 'of-signed-in' }));
    await stage.clock.advance(minutes(10));
    expect((await stage.token()).value).toBe('of-signed-in');
    expect(stage.endpoint.refreshTokensSent).toEqual([SEED, 'signed-in']);
  });

  it('that is well looks without reading what it has seen', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    await stage.clock.advance(seconds(10));
    const { loads } = stage.store;
    await stage.clock.advance(minutes(40));
    expect(stage.store.loads).toBe(loads);
    expect(stage.requests).toBe(1);
  });

  it('beside another with other settings leaves its tokens alone until the next refresh, so that they do not outdo each other', async () => {
    const stage = new ManagerStage();
    const other = new ManagerStage({ store: stage.store, accounts: [withAuth({ scopes: ['other'] })] });
    for (const { manager } of [stage, other]) manager.start();
    for (let minute = 0; minute < 40; minute += 1) {
      for (const { clock } of [stage, other]) await clock.advance(minutes(1));
    }
    expect(stage.requests + other.requests).toBe(2);
  });

  it('whose token was refused does not take a stored one that is as old: what ended the one may have ended the other', async () => {
    const stage = new ManagerStage();
    const refused = await stage.token();
    await login(stage, withAuth({ refreshToken: SEED }), true);
    await stage.clock.advance(seconds(1));
    expect((await stage.manager.replaceRefused('billing', refused)).value).toBe('access-2');
    expect(stage.endpoint.refreshTokensSent).toEqual([SEED, 'signed-in']);
  });

  it('tries a new grant once, not every three seconds', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    stage.endpoint.always(refusedWith('invalid_grant', 50173));
    await stage.clock.advance(seconds(1));
    await login(stage, withAuth({ refreshToken: SEED }));
    await stage.clock.advance(seconds(59));
    expect(stage.endpoint.refreshTokensSent).toEqual([SEED, 'signed-in']);
    expect(stage.state).toBe('reauth-required');
  });

  it('keeps looking where the store cannot be read for a while', async () => {
    const stage = new ManagerStage({ accounts: [seedless] });
    stage.manager.start();
    await stage.clock.advance(seconds(5));
    stage.store.isLoadBroken = true;
    await stage.clock.advance(seconds(10));
    stage.store.isLoadBroken = false;
    await login(stage, seedless, true);
    await stage.clock.advance(seconds(3));
    expect(stage.state).toBe('active');
  });

  it('stops looking when it is closed', async () => {
    const stage = new ManagerStage({ accounts: [seedless] });
    stage.manager.start();
    await stage.clock.advance(seconds(5));
    await stage.manager.close();
    const { loads } = stage.store;
    await stage.clock.advance(minutes(5));
    expect(stage.store.loads).toBe(loads);
  });

  it('drops a rotation that could not be saved once somebody has signed in', async () => {
    const stage = new ManagerStage();
    stage.endpoint.next(grantedTokens({ accessToken: 'lost', refreshToken: 'rotated' }));
    stage.store.isSaveBroken = true;
    await stage.problem();
    stage.store.isSaveBroken = false;
    await login(stage, withAuth({ refreshToken: SEED }));
    await stage.clock.advance(seconds(10));
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual([SEED, 'signed-in']);
    expect(stage.store.saved.map(({ grant }) => grant.refreshToken)).not.toContain('rotated');
  });

  it('saves a rotation that could not be saved where only its own token is there', async () => {
    const stage = new ManagerStage();
    stage.endpoint.next(grantedTokens({ accessToken: 'late', refreshToken: 'rotated' }));
    stage.store.isSaveBroken = true;
    await stage.problem();
    stage.store.isSaveBroken = false;
    await stage.clock.advance(seconds(10));
    expect((await stage.token()).value).toBe('late');
    expect(stage.store.grants.get('billing')?.refreshToken).toBe('rotated');
  });
});

describe('a refresh that somebody asks for', () => {
  it('goes to the endpoint although a token lives, and tells what came', async () => {
    const stage = new ManagerStage();
    await stage.token();
    expect((await stage.manager.refresh('billing')).value).toBe('access-2');
    expect(stage.store.grants.get('billing')?.accessToken?.value).toBe('access-2');
  });

  it('does not take a stored token that lives', async () => {
    const first = new ManagerStage();
    await first.token();
    const second = new ManagerStage({ store: first.store });
    await second.manager.refresh('billing');
    expect(second.requests).toBe(1);
  });

  it('joins one in progress', async () => {
    const stage = new ManagerStage();
    const held = stage.endpoint.hold();
    const token = stage.token();
    await stage.clock.advance(seconds(1));
    const refreshed = stage.manager.refresh('billing');
    held.answer(grantedTokens({ accessToken: 'shared' }));
    expect((await refreshed).value).toBe('shared');
    await token;
    expect(stage.requests).toBe(1);
  });

  it('tells the problem that it meets, although the old token lives on', async () => {
    const stage = new ManagerStage();
    await stage.token();
    stage.endpoint.always(unreachable);
    await expect(stage.manager.refresh('billing')).rejects.toThrow('TOKEN_ENDPOINT_UNREACHABLE');
    expect((await stage.token()).value).toBe('access-1');
  });
});
