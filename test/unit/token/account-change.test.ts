import { describe, expect, it } from 'vitest';
import { hours, minutes, seconds } from '../../../src/core/clock.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { grantedTokens, refusedWith, unreachable } from '../../support/scripted-token-endpoint.ts';
import { ManagerStage, withAuth } from './manager-stage.ts';

const newSeed = withAuth({ refreshToken: 'new-seed' });

describe('a changed seed', () => {
  it('K03 heals an account that needs a new sign-in, at once and by itself', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    stage.endpoint.next(refusedWith('invalid_grant', 50173));
    await stage.clock.advance(seconds(1));
    expect(stage.state).toBe('reauth-required');
    stage.manager.updateAccounts([newSeed]);
    await stage.clock.advance(seconds(0));
    expect(stage.state).toBe('active');
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'new-seed']);
  });

  it('heals it at the next use where nothing runs in the background', async () => {
    const stage = new ManagerStage();
    stage.endpoint.next(refusedWith('invalid_grant', 50173));
    await stage.problem();
    stage.manager.updateAccounts([newSeed]);
    expect((await stage.token()).value).toBe('access-2');
  });

  it('drops the access token of the old one', async () => {
    const stage = new ManagerStage();
    const old = await stage.token();
    stage.manager.updateAccounts([newSeed]);
    const token = await stage.token();
    expect(token.value).toBe('access-2');
    expect(token.generation).toBeGreaterThan(old.generation);
  });

  it('while a refresh is in flight wins: the old result is neither used nor stored, and nobody waits for it', async () => {
    const stage = new ManagerStage();
    const old = stage.endpoint.hold();
    const waiting = stage.token();
    await stage.clock.advance(seconds(1));
    stage.manager.updateAccounts([newSeed]);
    stage.endpoint.next(grantedTokens({ accessToken: 'of-new-seed', refreshToken: 'rotated-new' }));
    expect((await stage.token()).value).toBe('of-new-seed');
    old.answer(grantedTokens({ accessToken: 'of-old-seed', refreshToken: 'rotated-old' }));
    expect((await waiting).value).toBe('of-new-seed');
    expect(stage.store.saved.map(({ grant }) => grant.refreshToken)).toEqual(['rotated-new']);
    expect(stage.requests).toBe(2);
  });

  it('while the old result is being saved wins: the newer save comes last', async () => {
    const stage = new ManagerStage();
    let release: () => void = () => {};
    const disk = new Promise<void>((resolve) => {
      release = resolve;
    });
    stage.store.beforeSave = async () => disk;
    stage.endpoint.next(
      grantedTokens({ refreshToken: 'rotated-old' }),
      grantedTokens({ accessToken: 'of-new-seed', refreshToken: 'rotated-new' }),
    );
    const waiting = stage.token();
    await stage.clock.advance(seconds(1));
    stage.manager.updateAccounts([newSeed]);
    const wanted = stage.token();
    await stage.clock.advance(seconds(1));
    release();
    expect((await wanted).value).toBe('of-new-seed');
    expect((await waiting).value).toBe('of-new-seed');
    expect(stage.store.grants.get('billing')?.refreshToken).toBe('rotated-new');
  });

  it('drops a rotated token of the old line that could not be saved', async () => {
    const stage = new ManagerStage();
    stage.store.isSaveBroken = true;
    stage.endpoint.next(grantedTokens({ refreshToken: 'rotated-old' }));
    await stage.problem();
    stage.store.isSaveBroken = false;
    stage.manager.updateAccounts([newSeed]);
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'new-seed']);
  });
});

describe('a seed that changes and comes back', () => {
  const oldSeed = withAuth({});
  const noSeed = testAccount({ auth: { grant: 'refresh_token', clientId: 'test-client' } });

  /** A stage whose store holds `rotated`, which the old seed has become. */
  async function rotated(): Promise<ManagerStage> {
    const stage = new ManagerStage();
    stage.endpoint.next(grantedTokens({ refreshToken: 'rotated' }));
    await stage.token();
    return stage;
  }
  const newestStored = (stage: ManagerStage): string | undefined => stage.store.grants.get('billing')?.refreshToken;

  it('changed: the new one wins over what the old one has become', async () => {
    const stage = await rotated();
    stage.manager.updateAccounts([newSeed]);
    stage.endpoint.next(grantedTokens({ refreshToken: 'rotated-new' }));
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'new-seed']);
    expect(newestStored(stage)).toBe('rotated-new');
  });

  it('unchanged: what it has become stays, through any update', async () => {
    const stage = await rotated();
    stage.manager.updateAccounts([withAuth({ clientSecret: 'new' })]);
    await stage.expire();
    await stage.token();
    stage.manager.updateAccounts([oldSeed]);
    await stage.expire();
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'rotated', 'rotated']);
  });

  it('back, since the new one was refused: goes on with what the old one had become', async () => {
    const stage = await rotated();
    stage.manager.updateAccounts([newSeed]);
    stage.endpoint.next(refusedWith('invalid_grant', 9002313));
    await stage.problem();
    stage.manager.updateAccounts([oldSeed]);
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'new-seed', 'rotated']);
  });

  it('back after the new one was stored: starts from the seed again, which is all that is known of it', async () => {
    const stage = await rotated();
    stage.manager.updateAccounts([newSeed]);
    await stage.token();
    stage.manager.updateAccounts([oldSeed]);
    stage.endpoint.next(grantedTokens({ refreshToken: 'rotated-again' }));
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'new-seed', 'seed-refresh-token']);
    expect(newestStored(stage)).toBe('rotated-again');
  });

  it('while it was away a rotation of the old line landed: it is kept, since the new one has brought nothing', async () => {
    const stage = await rotated();
    await stage.expire();
    const old = stage.endpoint.hold();
    const waiting = stage.token();
    await stage.clock.advance(seconds(1));
    stage.manager.updateAccounts([newSeed]);
    stage.endpoint.next(refusedWith('invalid_grant', 9002313));
    await stage.problem();
    old.answer(grantedTokens({ refreshToken: 'rotated-twice' }));
    await expect(waiting).rejects.toThrow('TOKEN_');
    expect(newestStored(stage)).toBe('rotated-twice');
    stage.manager.updateAccounts([oldSeed]);
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'rotated', 'new-seed', 'rotated-twice']);
  });

  it('while it was away a rotation that could not be saved is not forgotten', async () => {
    const stage = await rotated();
    await stage.expire();
    stage.store.isSaveBroken = true;
    stage.endpoint.next(grantedTokens({ refreshToken: 'rotated-twice' }), refusedWith('invalid_grant', 9002313));
    await stage.problem();
    stage.store.isSaveBroken = false;
    stage.manager.updateAccounts([newSeed]);
    await stage.problem();
    stage.manager.updateAccounts([oldSeed]);
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'rotated', 'new-seed', 'rotated-twice']);
    expect(newestStored(stage)).toBe('rotated-twice');
  });

  it('while neither could be saved: a late rotation of the old line does not push out that of the new one', async () => {
    const stage = new ManagerStage();
    const old = stage.endpoint.hold();
    const waiting = stage.token().catch(() => undefined);
    await stage.clock.advance(seconds(1));
    stage.store.isSaveBroken = true;
    stage.manager.updateAccounts([newSeed]);
    stage.endpoint.next(grantedTokens({ accessToken: 'of-new-seed', refreshToken: 'rotated-new' }));
    await stage.problem();
    old.answer(grantedTokens({ refreshToken: 'rotated-old' }));
    await waiting;
    stage.store.isSaveBroken = false;
    await stage.clock.advance(minutes(1));
    expect((await stage.token()).value).toBe('of-new-seed');
    expect(newestStored(stage)).toBe('rotated-new');
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'new-seed']);
  });

  it('removed and put back during a refresh of what is stored: nothing is sent twice, and the rotation is kept', async () => {
    const stage = await rotated();
    stage.manager.updateAccounts([noSeed]);
    const held = stage.endpoint.hold();
    const waiting = stage.token();
    await stage.clock.advance(seconds(1));
    stage.manager.updateAccounts([oldSeed]);
    const wanted = stage.token();
    await stage.clock.advance(seconds(1));
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'rotated']);
    held.answer(grantedTokens({ refreshToken: 'rotated-twice' }));
    await Promise.all([waiting, wanted]);
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'rotated', 'rotated-twice']);
    expect(newestStored(stage)).toBe('rotated-twice');
  });

  it('replaced and then removed: a late rotation of the old line does not bury the new line', async () => {
    const stage = await rotated();
    await stage.expire();
    const old = stage.endpoint.hold();
    const waiting = stage.token();
    await stage.clock.advance(seconds(1));
    stage.manager.updateAccounts([newSeed]);
    stage.endpoint.next(grantedTokens({ refreshToken: 'rotated-new' }));
    await stage.token();
    stage.manager.updateAccounts([noSeed]);
    old.answer(grantedTokens({ refreshToken: 'rotated-old' }));
    await waiting;
    await stage.token();
    expect(newestStored(stage)).toBe('rotated-new');
    expect(stage.endpoint.refreshTokensSent.slice(-1)).toEqual(['rotated-new']);
  });
});

describe('a changed client secret', () => {
  const accounts = (clientSecret: string) => [withAuth({ clientSecret })];

  it('revives the same refresh token', async () => {
    const stage = new ManagerStage({ accounts: accounts('expired') });
    stage.endpoint.next(grantedTokens({ refreshToken: 'rotated' }), refusedWith('invalid_client', 7000222));
    await stage.token();
    await stage.expire();
    expect((await stage.problem()).code).toBe('TOKEN_MISCONFIGURED');
    expect(stage.state).toBe('misconfigured');
    stage.manager.updateAccounts(accounts('renewed'));
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'rotated', 'rotated']);
  });

  it('keeps the access token in use, and is tried out at once', async () => {
    const stage = new ManagerStage({ accounts: accounts('old') });
    stage.manager.start();
    await stage.clock.advance(seconds(1));
    stage.endpoint.always(refusedWith('invalid_client', 7000215));
    stage.manager.updateAccounts(accounts('pasted wrong'));
    await stage.clock.advance(seconds(1));
    expect(stage.state).toBe('misconfigured');
    expect((await stage.token()).value).toBe('access-1');
  });

  it('while a refresh is in flight waits for it, since the same refresh token must not be sent twice, and keeps its rotation', async () => {
    const stage = new ManagerStage({ accounts: accounts('old') });
    const old = stage.endpoint.hold();
    const waiting = stage.token();
    await stage.clock.advance(seconds(1));
    stage.manager.updateAccounts(accounts('new'));
    const wanted = stage.token();
    await stage.clock.advance(seconds(1));
    expect(stage.requests).toBe(1);
    old.answer(grantedTokens({ accessToken: 'with-old-secret', refreshToken: 'rotated' }));
    expect((await wanted).value).toBe('access-2');
    expect((await waiting).value).toBe('access-2');
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'rotated']);
    expect(stage.store.saved[0]?.grant).not.toHaveProperty('accessToken');
  });

  it('and a rotation that could not be saved then is saved before anything else', async () => {
    const stage = new ManagerStage({ accounts: accounts('old') });
    const old = stage.endpoint.hold();
    const waiting = stage.problem();
    await stage.clock.advance(seconds(1));
    stage.manager.updateAccounts(accounts('new'));
    stage.store.isSaveBroken = true;
    old.answer(grantedTokens({ refreshToken: 'rotated' }));
    expect((await waiting).code).toBe('TOKEN_STORE_FAILED');
    stage.store.isSaveBroken = false;
    await stage.clock.advance(seconds(5));
    await stage.token();
    expect(stage.endpoint.refreshTokensSent).toEqual(['seed-refresh-token', 'rotated']);
  });
});

describe('a changed list of accounts', () => {
  it('leaves those alone that did not change, also in their bad state', async () => {
    const stage = new ManagerStage();
    await stage.token();
    const { limits } = testProvider();
    stage.manager.updateAccounts([testAccount({ provider: testProvider({ limits: { ...limits, connections: 1 } }) })]);
    expect((await stage.token()).value).toBe('access-1');
    stage.endpoint.always(unreachable);
    await stage.expire();
    await stage.problem();
    stage.manager.updateAccounts([testAccount()]);
    await stage.problem();
    expect(stage.requests).toBe(2);
  });

  it('drops the access token where the mailbox or the scopes changed', async () => {
    const stage = new ManagerStage();
    await stage.token();
    stage.manager.updateAccounts([withAuth({}, { mailbox: 'other@postern.test' })]);
    expect((await stage.token()).value).toBe('access-2');
    stage.manager.updateAccounts([withAuth({ scopes: ['other'] }, { mailbox: 'other@postern.test' })]);
    expect((await stage.token()).value).toBe('access-3');
  });

  it('adds and removes', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    await stage.clock.advance(seconds(1));
    stage.manager.updateAccounts([testAccount({ name: 'sales' })]);
    await stage.clock.advance(seconds(1));
    expect(stage.manager.describe('sales')?.state).toBe('active');
    expect((await stage.problem('billing')).cause).toContain('no account named billing');
    await stage.clock.advance(hours(3));
    expect(new Set(stage.endpoint.requests.slice(1).map(({ account }) => account.name))).toEqual(new Set(['sales']));
  });

  it('a refresh of a removed account still lands on disk, and coming back starts no second one beside it', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    const held = stage.endpoint.hold();
    await stage.clock.advance(seconds(1));
    stage.manager.updateAccounts([]);
    stage.manager.updateAccounts([testAccount()]);
    const token = stage.token();
    await stage.clock.advance(seconds(1));
    expect(stage.requests).toBe(1);
    held.answer(grantedTokens({ accessToken: 'late', refreshToken: 'rotated' }));
    expect((await token).value).toBe('late');
    expect(stage.store.grants.get('billing')?.refreshToken).toBe('rotated');
    await stage.clock.advance(minutes(56));
    expect(stage.requests).toBe(2);
  });
});
