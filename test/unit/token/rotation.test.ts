import { describe, expect, it } from 'vitest';
import { hours, milliseconds, minutes, seconds } from '../../../src/core/clock.ts';
import { MemoryTokenStore } from '../../support/memory-token-store.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { grantedTokens, refusedWith, ScriptedTokenEndpoint, unreachable } from '../../support/scripted-token-endpoint.ts';
import { ManagerStage, withAuth } from './manager-stage.ts';

/** Rotates with each answer, as Entra does. */
const rotating = (): ScriptedTokenEndpoint => {
  const endpoint: ScriptedTokenEndpoint = new ScriptedTokenEndpoint(() =>
    grantedTokens({ accessToken: `access-${endpoint.requests.length}`, refreshToken: `refresh-${endpoint.requests.length}` }),
  );
  return endpoint;
};

describe('rotation', () => {
  it('the new refresh token is durable before the access token is handed out', async () => {
    const order: string[] = [];
    const stage = new ManagerStage({ endpoint: rotating() });
    let release: () => void = () => {};
    const disk = new Promise<void>((resolve) => {
      release = resolve;
    });
    stage.store.beforeSave = async () => {
      order.push('save begins');
      await disk;
      order.push('durable');
    };
    const token = stage.token().then(({ value }) => order.push(`handed out ${value}`));
    await stage.clock.advance(seconds(10));
    expect(order).toEqual(['save begins']);
    release();
    await token;
    expect(order).toEqual(['save begins', 'durable', 'handed out access-1']);
  });

  it('the newest is used next, and the one before is kept', async () => {
    const stage = new ManagerStage({ endpoint: rotating() });
    for (let index = 0; index < 3; index += 1) {
      await stage.token();
      await stage.expire();
    }
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'refresh-1', 'refresh-2']);
    expect(stage.store.grants.get('billing')).toMatchObject({
      refreshToken: 'refresh-3',
      previousRefreshToken: 'refresh-2',
      generation: 3,
    });
  });

  it('where none comes back the old one stays', async () => {
    const stage = new ManagerStage();
    stage.endpoint.next(grantedTokens({ refreshToken: 'rotated' }));
    for (let index = 0; index < 3; index += 1) {
      await stage.token();
      await stage.expire();
    }
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'rotated', 'rotated']);
    expect(stage.store.grants.get('billing')).toMatchObject({ refreshToken: 'rotated', previousRefreshToken: 'seed-refresh-token' });
  });

  it('one that came with nonsense is kept too', async () => {
    const stage = new ManagerStage();
    stage.endpoint.next({ kind: 'nonsense', cause: 'an access_token with LF', refreshToken: 'rotated' });
    expect((await stage.problem()).code).toBe('TOKEN_ENDPOINT_NONSENSE');
    expect(stage.store.grants.get('billing')?.refreshToken).toBe('rotated');
    await stage.clock.advance(minutes(1));
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'rotated']);
  });

  it('no error takes a refresh token away', async () => {
    const stage = new ManagerStage({ endpoint: rotating() });
    await stage.token();
    const kept = stage.store.grants.get('billing');
    for (const failure of [refusedWith('invalid_grant', 700082), refusedWith('invalid_grant'), unreachable]) {
      stage.endpoint.next(failure);
      await stage.clock.advance(hours(2));
      await stage.problem();
    }
    expect(stage.store.grants.get('billing')).toEqual(kept);
  });

  it('a dead newest is followed by one try with the one before, then by the newest again', async () => {
    const stage = new ManagerStage({ endpoint: rotating() });
    await stage.token();
    stage.endpoint.always(refusedWith('invalid_grant', 70000));
    for (let index = 0; index < 3; index += 1) {
      await stage.expire();
      await stage.problem();
    }
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'refresh-1', 'seed-refresh-token', 'refresh-1']);
  });

  it('the one before, should it work, becomes the newest', async () => {
    const stage = new ManagerStage({ endpoint: rotating() });
    await stage.token();
    stage.endpoint.next(refusedWith('invalid_grant', 70000), grantedTokens({ accessToken: 'revived' }));
    await stage.expire();
    await stage.problem();
    await stage.clock.advance(minutes(2));
    expect((await stage.token()).value).toBe('revived');
    expect(stage.store.grants.get('billing')).toMatchObject({ refreshToken: 'seed-refresh-token', previousRefreshToken: 'refresh-1' });
  });
});

describe('a store that cannot save', () => {
  it('holds the new tokens back until they are durable, without asking again', async () => {
    const stage = new ManagerStage({ endpoint: rotating() });
    stage.store.isSaveBroken = true;
    expect((await stage.problem()).code).toBe('TOKEN_STORE_FAILED');
    for (let index = 0; index < 10; index += 1) {
      await stage.clock.advance(minutes(1.3));
      expect((await stage.problem()).code).toBe('TOKEN_STORE_FAILED');
    }
    expect(stage.requests).toBe(1);
    stage.store.isSaveBroken = false;
    await stage.clock.advance(minutes(1.3));
    expect((await stage.token()).value).toBe('access-1');
    expect(stage.store.grants.get('billing')?.refreshToken).toBe('refresh-1');
    await stage.expire();
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'refresh-1']);
  });

  it('goes on with the newest refresh token even where the access token has died meanwhile', async () => {
    const stage = new ManagerStage({ endpoint: rotating() });
    stage.manager.start();
    stage.store.isSaveBroken = true;
    await stage.clock.advance(hours(3));
    expect(stage.requests).toBe(1);
    stage.store.isSaveBroken = false;
    await stage.clock.advance(minutes(2));
    expect((await stage.token()).value).toBe('access-2');
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'refresh-1']);
  });

  it('does not stop what needs no saving', async () => {
    const stage = new ManagerStage();
    stage.store.isSaveBroken = true;
    expect((await stage.token()).value).toBe('access-1');
    expect(stage.log.of('token-not-saved')).toHaveLength(1);
  });

  it('keeps the old access token in use while it lives', async () => {
    const stage = new ManagerStage({ endpoint: rotating() });
    stage.manager.start();
    await stage.clock.advance(seconds(1));
    stage.store.isSaveBroken = true;
    await stage.clock.advance(minutes(55));
    expect(stage.requests).toBe(2);
    expect((await stage.token()).value).toBe('access-1');
  });
});

describe('a store that cannot be read', () => {
  it('stops the account before anything is sent, and is not written to', async () => {
    const stage = new ManagerStage();
    stage.store.isLoadBroken = true;
    expect((await stage.problem()).code).toBe('TOKEN_STORE_FAILED');
    expect(stage.requests).toBe(0);
    expect(stage.store.saved).toEqual([]);
    stage.store.isLoadBroken = false;
    await stage.clock.advance(seconds(2));
    expect((await stage.token()).value).toBe('access-1');
  });
});

describe('a restart', () => {
  const lived = async (): Promise<MemoryTokenStore> => {
    const stage = new ManagerStage({ endpoint: rotating() });
    await stage.token();
    return stage.store;
  };

  it('with a living access token costs no request', async () => {
    const stage = new ManagerStage({ store: await lived() });
    stage.manager.start();
    await stage.clock.advance(seconds(1));
    expect(await stage.token()).toMatchObject({ value: 'access-1', generation: 1 });
    expect(stage.requests).toBe(0);
    await stage.clock.advance(minutes(56));
    expect(stage.endpoint.refreshTokensSent).toEqual(['refresh-1']);
    expect((await stage.token()).generation).toBe(2);
  });

  it('goes on with the newest refresh token', async () => {
    const stage = new ManagerStage({ store: await lived() });
    await stage.expire();
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['refresh-1']);
  });

  it('after the clock was set back does not trust the stored end', async () => {
    const stage = new ManagerStage({ store: await lived() });
    stage.clock.jump(hours(-1000));
    await stage.token();
    expect(stage.requests).toBe(1);
  });

  it.each([
    ['other scopes', withAuth({ scopes: ['https://graph.microsoft.com/Mail.Send'] })],
    ['another mailbox', withAuth({}, { mailbox: 'other@postern.test' })],
    ['another tenant', withAuth({ tenant: 'other' })],
    ['another token URL', testAccount({ provider: testProvider({ tokenUrl: 'https://login.other.test/token' }) })],
  ])('with %s does not use the stored access token, but the line of refresh tokens', async (_what, account) => {
    const stage = new ManagerStage({ store: await lived(), accounts: [account] });
    expect((await stage.token()).value).toBe('access-1');
    expect(stage.endpoint.refreshTokensSent).toEqual(['refresh-1']);
  });

  it.each([
    ['another seed', withAuth({ refreshToken: 'new-seed' }), 'new-seed'],
    ['another client id', withAuth({ clientId: 'other' }), 'seed-refresh-token'],
  ])('with %s starts a new line from the seed', async (_what, account, sent) => {
    const stage = new ManagerStage({ store: await lived(), accounts: [account] });
    stage.endpoint.always(grantedTokens({ refreshToken: 'of-the-new-line' }));
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual([sent]);
    const stored = stage.store.grants.get('billing');
    expect(stored?.refreshToken).toBe('of-the-new-line');
    expect(stored?.previousRefreshToken).toBe(sent);
  });

  it('with a new seed that is refused leaves the old line stored, so that going back works', async () => {
    const store = await lived();
    const wrong = new ManagerStage({ store, accounts: [withAuth({ refreshToken: 'pasted wrong' })] });
    wrong.endpoint.always(refusedWith('invalid_grant', 9002313));
    await wrong.problem();
    const back = new ManagerStage({ store });
    await back.expire();
    await back.token();
    expect(back.endpoint.refreshTokensSent).toEqual(['refresh-1']);
  });

  it('without the seed, which was removed from the configuration, goes on with the stored line', async () => {
    const stage = new ManagerStage({
      store: await lived(),
      accounts: [testAccount({ auth: { grant: 'refresh_token', clientId: 'test-client' } })],
    });
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['refresh-1']);
  });

  it('with another grant keeps the stored refresh tokens for later', async () => {
    const store = await lived();
    const auth = { grant: 'client_credentials', clientId: 'id', clientSecret: 'secret' } as const;
    await new ManagerStage({ store, accounts: [testAccount({ auth })] }).token();
    expect(store.grants.get('billing')).toMatchObject({ refreshToken: 'refresh-1', accessToken: { value: 'access-1' }, generation: 2 });
  });

  it('finds what another process has stored meanwhile: a new sign-in heals the account', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    stage.endpoint.always(({ refreshToken }) =>
      refreshToken === 'signed-in-anew' ? grantedTokens() : refusedWith('invalid_grant', 50173),
    );
    await stage.clock.advance(seconds(1));
    expect(stage.state).toBe('reauth-required');
    const { seedDigest } = (await lived()).grants.get('billing') ?? {};
    const savedAt = stage.clock.now();
    await stage.store.save('billing', {
      refreshToken: 'signed-in-anew',
      ...(seedDigest === undefined ? {} : { seedDigest }),
      generation: 1,
      savedAt,
    });
    await stage.clock.advance(milliseconds(75_000));
    expect(stage.state).toBe('active');
  });
});
