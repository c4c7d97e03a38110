import { describe, expect, it } from 'vitest';
import { hours, milliseconds, minutes, seconds } from '../../../src/core/clock.ts';
import { testAccount } from '../../support/accounts.ts';
import { busy, grantedTokens, refusedWith, unreachable } from '../../support/scripted-token-endpoint.ts';
import { ManagerStage, problemOf } from './manager-stage.ts';

describe('an access token', () => {
  it('is asked for once and then comes from the cache', async () => {
    const stage = new ManagerStage();
    const token = await stage.token();
    expect(token).toEqual({ value: 'access-1', expiresAt: stage.clock.now() + hours(1), generation: 1 });
    await stage.clock.advance(minutes(50));
    expect(await stage.token()).toBe(token);
    expect(stage.requests).toBe(1);
  });

  it('K01 is asked for once by 500 who need it at the same time', async () => {
    const stage = new ManagerStage();
    await stage.token();
    await stage.expire();
    const held = stage.endpoint.hold();
    const waiting = Array.from({ length: 500 }, async () => stage.token());
    await stage.clock.advance(milliseconds(500));
    held.answer(grantedTokens({ accessToken: 'shared' }));
    expect(new Set((await Promise.all(waiting)).map(({ value }) => value))).toEqual(new Set(['shared']));
    expect(stage.requests).toBe(2);
  });

  it('of one who waits never takes longer than 30 s', async () => {
    const stage = new ManagerStage();
    stage.endpoint.hold();
    const problem = stage.problem();
    await stage.clock.advance(seconds(30));
    expect(await problem).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', cause: 'billing: no token within 30 s' });
  });

  it('is renewed ahead of its end without being asked for', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    await stage.clock.advance(minutes(53));
    expect(stage.requests).toBe(1);
    await stage.clock.advance(minutes(1.1));
    expect(stage.requests).toBe(2);
    expect((await stage.token()).value).toBe('access-2');
    await stage.clock.advance(hours(10));
    expect(stage.requests).toBeGreaterThan(12);
  });

  it('is not renewed by itself before start(), but a use close to its end renews it in the background', async () => {
    const stage = new ManagerStage();
    await stage.token();
    await stage.clock.advance(minutes(55));
    expect(stage.requests).toBe(1);
    expect((await stage.token()).value).toBe('access-1');
    await stage.clock.advance(milliseconds(0));
    expect(stage.requests).toBe(2);
    expect((await stage.token()).value).toBe('access-2');
  });

  it.each([
    ['backing-off', unreachable],
    ['backing-off', busy()],
    ['backing-off', refusedWith('invalid_grant', 50196)],
    ['misconfigured', refusedWith('invalid_client', 7000222)],
    ['reauth-required', refusedWith('invalid_grant', 50173)],
  ])('still lives and is used while its renewal fails (%s)', async (state, failure) => {
    const stage = new ManagerStage();
    stage.manager.start();
    await stage.clock.advance(seconds(1));
    stage.endpoint.always(failure);
    await stage.clock.advance(minutes(55));
    expect(stage.requests).toBeGreaterThan(1);
    expect(stage.state).toBe(state);
    expect((await stage.token()).value).toBe('access-1');
    await stage.clock.advance(minutes(5));
    expect((await stage.problem()).code).toMatch(/^TOKEN_/);
  });

  it('and every refresh token is made known to the redactor before anything else can show it', async () => {
    const stage = new ManagerStage();
    stage.endpoint.next(grantedTokens({ accessToken: 'access-secret', refreshToken: 'refresh-secret' }));
    stage.store.beforeSave = () => expect([...stage.secrets]).toEqual(['seed-refresh-token', 'refresh-secret', 'access-secret']);
    await stage.token();
    expect(stage.store.saved).toHaveLength(1);
    expect(JSON.stringify(stage.log.lines)).not.toContain('secret');
  });

  it('of an unknown account is refused', async () => {
    const stage = new ManagerStage();
    expect((await stage.problem('nobody')).cause).toBe('there is no account named nobody');
    expect(stage.requests).toBe(0);
  });

  it('N07 costs one request when the wall clock jumps forward, and none when it jumps back', async () => {
    const stage = new ManagerStage();
    await stage.token();
    stage.clock.jump(hours(2));
    await Promise.all([stage.token(), stage.token()]);
    expect(stage.requests).toBe(2);
    stage.clock.jump(hours(-24 * 365 * 10));
    await stage.token();
    expect(stage.requests).toBe(2);
    await stage.expire();
    await stage.token();
    expect(stage.requests).toBe(3);
  });

  it('with client_credentials is got without any refresh token', async () => {
    const stage = new ManagerStage({
      accounts: [testAccount({ auth: { grant: 'client_credentials', clientId: 'id', clientSecret: 'secret' } })],
    });
    expect((await stage.token()).value).toBe('access-1');
    expect(stage.endpoint.refreshTokensSent).toEqual([undefined]);
  });
});

describe('trouble', () => {
  it('is told at once to all who come while it lasts, without a request', async () => {
    const stage = new ManagerStage();
    stage.endpoint.always(unreachable);
    expect((await stage.problem()).cause).toBe('127.0.0.1:1: connection refused');
    for (let index = 0; index < 100; index += 1) expect((await stage.problem()).code).toBe('TOKEN_ENDPOINT_UNREACHABLE');
    expect(stage.requests).toBe(1);
    await stage.clock.advance(seconds(1));
    await stage.problem();
    expect(stage.requests).toBe(2);
  });

  it('K02 honours Retry-After', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    stage.endpoint.next(busy(seconds(300)));
    await stage.clock.advance(seconds(299));
    expect(stage.requests).toBe(1);
    await stage.clock.advance(seconds(2));
    expect(stage.requests).toBe(2);
    expect(stage.state).toBe('active');
  });

  it('K02 of passing kinds never marks the account bad', async () => {
    const stage = new ManagerStage();
    const nonsense = { kind: 'nonsense', cause: 'HTML' } as const;
    for (const failure of [unreachable, busy(), nonsense, refusedWith('temporarily_unavailable'), refusedWith('invalid_grant', 90033)]) {
      stage.endpoint.next(failure);
      await stage.problem();
      expect(stage.state).toBe('backing-off');
      await stage.clock.advance(minutes(6));
    }
    expect((await stage.token()).value).toBe('access-6');
  });

  it('K12 of 12 hours without a network ends within one step', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    await stage.clock.advance(minutes(1));
    stage.endpoint.always(unreachable);
    await stage.clock.advance(hours(12));
    expect(stage.state).toBe('backing-off');
    expect(stage.requests).toBeLessThan(12 * 60 + 20);
    const loud = stage.log.lines.filter(({ level }) => level === 'warn' || level === 'error');
    expect(loud).toHaveLength(1);
    stage.endpoint.always(grantedTokens({ accessToken: 'back' }));
    await stage.clock.advance(seconds(75));
    expect(stage.state).toBe('active');
    expect((await stage.token()).value).toBe('back');
    expect(stage.log.of('token-recovered')).toHaveLength(1);
  });

  it('K03 K13 a grant that is dead is tried at most once a minute, less and less', async () => {
    const stage = new ManagerStage();
    stage.endpoint.always(refusedWith('invalid_grant', 50173));
    expect((await stage.problem()).code).toBe('TOKEN_REAUTH_REQUIRED');
    expect(stage.state).toBe('reauth-required');
    const times: number[] = [];
    for (let second = 0; second < 3600; second += 1) {
      const before = stage.requests;
      await stage.problem();
      if (stage.requests > before) times.push(second);
      await stage.clock.advance(seconds(1));
    }
    expect(times[0]).toBeGreaterThanOrEqual(60);
    expect(times.length).toBeLessThanOrEqual(6);
  });

  it('an unexplained invalid_grant counts when it comes a second time, a minute later', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    stage.endpoint.always(refusedWith('invalid_grant'));
    await stage.clock.advance(seconds(1));
    expect(stage.state).toBe('backing-off');
    expect((await stage.problem()).code).toBe('TOKEN_REAUTH_REQUIRED');
    await stage.clock.advance(seconds(58));
    expect(stage.requests).toBe(1);
    await stage.clock.advance(seconds(2));
    expect(stage.requests).toBe(2);
    expect(stage.state).toBe('reauth-required');
  });

  it('a loop stops everything for five minutes', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    stage.endpoint.next(refusedWith('invalid_grant', 50196));
    expect((await stage.problem()).code).toBe('TOKEN_LOOP');
    await stage.clock.advance(seconds(299));
    expect((await stage.problem()).code).toBe('TOKEN_LOOP');
    expect(stage.requests).toBe(1);
    await stage.clock.advance(seconds(2));
    expect(stage.requests).toBe(2);
  });

  it('K13 a wrong setting is tried once an hour', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    stage.endpoint.always(refusedWith('invalid_client', 7000215));
    expect((await stage.problem()).code).toBe('TOKEN_MISCONFIGURED');
    await stage.clock.advance(minutes(59));
    expect(stage.requests).toBe(1);
    await stage.clock.advance(minutes(2));
    expect(stage.requests).toBe(2);
  });

  it('a missing refresh token is said without asking anybody', async () => {
    const stage = new ManagerStage({ accounts: [testAccount({ auth: { grant: 'refresh_token', clientId: 'id' } })] });
    expect((await stage.problem()).code).toBe('TOKEN_MISSING');
    expect(stage.requests).toBe(0);
  });

  it('of one account does not touch another', async () => {
    const stage = new ManagerStage({ accounts: [testAccount({ name: 'good' }), testAccount({ name: 'bad' })] });
    stage.endpoint.always(({ account }) => (account.name === 'good' ? grantedTokens() : new Promise(() => {})));
    void problemOf(stage.manager.accessToken('bad'));
    expect((await stage.token('good')).value).toBe('access');
  });

  it('in the endpoint itself is a defect, not an end', async () => {
    const stage = new ManagerStage();
    stage.endpoint.next(() => {
      throw new TypeError('undefined is not a function');
    });
    expect((await stage.problem()).code).toBe('INTERNAL');
    await stage.clock.advance(seconds(10));
    expect((await stage.token()).value).toBe('access-2');
  });
});

describe('a token that an upstream refused', () => {
  it('is replaced once for all who come with it', async () => {
    const stage = new ManagerStage();
    const refused = await stage.token();
    const replaced = await Promise.all(Array.from({ length: 50 }, async () => stage.manager.replaceRefused('billing', refused)));
    expect(new Set(replaced.map(({ value }) => value))).toEqual(new Set(['access-2']));
    expect((await stage.manager.replaceRefused('billing', refused)).value).toBe('access-2');
    expect(stage.requests).toBe(2);
    expect(replaced[0]?.generation).toBeGreaterThan(refused.generation);
  });

  it('is not handed out again where no other comes', async () => {
    const stage = new ManagerStage();
    const refused = await stage.token();
    stage.endpoint.always(unreachable);
    expect((await problemOf(stage.manager.replaceRefused('billing', refused))).code).toBe('TOKEN_ENDPOINT_UNREACHABLE');
    expect((await stage.problem()).code).toBe('TOKEN_ENDPOINT_UNREACHABLE');
    expect(stage.requests).toBe(2);
  });

  it('joins a renewal that is in progress', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    await stage.clock.advance(seconds(1));
    const token = await stage.token();
    const held = stage.endpoint.hold();
    await stage.clock.advance(minutes(55));
    const replaced = stage.manager.replaceRefused('billing', token);
    held.answer(grantedTokens({ accessToken: 'newer' }));
    expect((await replaced).value).toBe('newer');
    expect(stage.requests).toBe(2);
  });

  it('K13 again and again leads to no storm of requests', async () => {
    const stage = new ManagerStage();
    let token = await stage.token();
    for (let index = 0; index < 5; index += 1) token = await stage.manager.replaceRefused('billing', token);
    expect((await problemOf(stage.manager.replaceRefused('billing', token))).code).toBe('UPSTREAM_AUTH_REFUSED');
    expect((await stage.token()).value).toBe('access-6');
    expect(stage.requests).toBe(6);
    await stage.clock.advance(minutes(5));
    expect((await stage.manager.replaceRefused('billing', token)).value).toBe('access-7');
  });

  it('that is long replaced counts for nothing', async () => {
    const stage = new ManagerStage();
    const first = await stage.token();
    const second = await stage.manager.replaceRefused('billing', first);
    for (let index = 0; index < 20; index += 1) expect(await stage.manager.replaceRefused('billing', first)).toBe(second);
    expect((await stage.manager.replaceRefused('billing', second)).value).toBe('access-3');
  });
});

describe('what is shown', () => {
  it('has no secret', async () => {
    const stage = new ManagerStage();
    expect(stage.manager.describe('billing')).toEqual({ state: 'empty', generation: 0 });
    const begun = stage.clock.now();
    await stage.token();
    expect(stage.manager.describe('billing')).toEqual({ state: 'active', generation: 1, obtainedAt: begun, expiresAt: begun + hours(1) });
    stage.endpoint.always(refusedWith('invalid_grant', 50173));
    await stage.expire();
    const problem = await stage.problem();
    expect(stage.manager.describe('billing')).toEqual({
      state: 'reauth-required',
      generation: 1,
      obtainedAt: begun,
      expiresAt: begun + hours(1),
      problem,
      retryAt: stage.clock.now() + seconds(60),
    });
    expect(stage.manager.describe('nobody')).toBeUndefined();
  });
});

describe('the end', () => {
  it('lets a try in progress land, and starts no other', async () => {
    const stage = new ManagerStage();
    stage.manager.start();
    const held = stage.endpoint.hold();
    await stage.clock.advance(seconds(1));
    const closed = stage.manager.close();
    held.answer(grantedTokens({ refreshToken: 'rotated' }));
    await closed;
    expect(stage.store.grants.get('billing')?.refreshToken).toBe('rotated');
    expect(stage.endpoint.isClosed).toBe(true);
    await stage.clock.advance(hours(5));
    expect(stage.requests).toBe(1);
    expect((await stage.problem()).cause).toContain('stopping');
  });

  it('does not wait for ever', async () => {
    const stage = new ManagerStage();
    stage.endpoint.hold();
    void problemOf(stage.token());
    const closed = stage.manager.close();
    await stage.clock.advance(seconds(5));
    await closed;
    expect(stage.endpoint.isClosed).toBe(true);
  });
});
