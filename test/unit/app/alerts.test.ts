/** What happens to tokens, messages and secrets, as conditions of an account. */
import { describe, expect, it } from 'vitest';
import { deliveryWatch, tokenWatch } from '../../../src/app/alerts.ts';
import { secretEnds } from '../../../src/app/secret-ends.ts';
import type { Account, AuthSettings } from '../../../src/core/account.ts';
import { days, type EpochMs } from '../../../src/core/clock.ts';
import { type ProblemCode, ProblemError, problem } from '../../../src/core/problem.ts';
import { reply } from '../../../src/core/reply.ts';
import type { TokenStatus } from '../../../src/token/account-tokens.ts';
import { classifyReply } from '../../../src/upstream/reply-table.ts';
import { testAccount } from '../../support/accounts.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryTokenStore } from '../../support/memory-token-store.ts';
import { RecordedAlerts } from '../../support/recorded-alerts.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

function heard(act: (alerts: RecordedAlerts) => void): string[] {
  const alerts = new RecordedAlerts();
  act(alerts);
  return [
    ...alerts.raised.map(({ account, topic, event }) => `${account} ${topic} ${event}`),
    ...alerts.cleared.map(({ account, topic, asOf }) => `${account} ${topic} ok${asOf === undefined ? '' : ` ${asOf}`}`),
  ];
}

describe('tokens', () => {
  const rows: readonly (readonly [TokenStatus['state'], ProblemCode | undefined, readonly string[]])[] = [
    ['active', undefined, ['billing tokens ok 1000']],
    ['reauth-required', 'TOKEN_REAUTH_REQUIRED', ['billing tokens reauth_required']],
    ['reauth-required', 'TOKEN_MISSING', ['billing tokens reauth_required']],
    ['misconfigured', 'TOKEN_MISCONFIGURED', ['billing tokens account_misconfigured']],
    ['misconfigured', 'TOKEN_POLICY', ['billing tokens account_blocked']],
    ['misconfigured', 'TOKEN_ENDPOINT_NONSENSE', ['billing tokens account_misconfigured']],
    ['backing-off', 'TOKEN_ENDPOINT_UNREACHABLE', []],
    ['backing-off', 'TOKEN_STORE_FAILED', []],
    ['empty', undefined, []],
    ['refreshing', 'TOKEN_REAUTH_REQUIRED', []],
  ];
  it.each(rows)('in state %s with %s', (state, code, expected) => {
    const status: TokenStatus = {
      state,
      generation: 1,
      obtainedAt: 1000 as EpochMs,
      ...(code === undefined ? {} : { problem: problem(code) }),
    };
    expect(heard((alerts) => tokenWatch(alerts)('billing', status))).toEqual(expected);
  });
});

describe('deliveries', () => {
  it('a relayed message clears', () => {
    expect(heard((alerts) => deliveryWatch(alerts).relayed('billing'))).toEqual(['billing upstream ok']);
  });

  it.each([
    [
      'auth',
      reply(535, '5.7.139', 'Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.'),
      'account_blocked',
    ],
    [
      'auth',
      reply(535, '5.7.139', 'Authentication unsuccessful, the request did not meet the criteria to be authenticated'),
      'account_misconfigured',
    ],
    ['mail', reply(550, '5.1.8', 'Access denied, bad outbound sender'), 'account_blocked'],
    ['final-reply', reply(550, '5.7.501', 'Access denied, spam abuse detected'), 'account_blocked'],
    ['final-reply', reply(550, '5.7.705', 'Access denied, tenant has exceeded threshold'), 'account_blocked'],
    ['rcpt', reply(550, '5.1.10', 'RESOLVER.ADR.RecipientNotFound'), undefined],
    ['final-reply', reply(554, '5.2.252', 'SendAsDenied'), undefined],
    ['final-reply', reply(552, '5.3.4', 'Message size exceeds fixed limit'), undefined],
    ['mail', reply(451, '4.7.0', 'Temporary server error'), undefined],
    ['auth', reply(432, '4.3.2', 'Concurrent connections limit exceeded'), undefined],
    ['mail', reply(421, '4.3.2', 'Service not active'), undefined],
  ] as const)('%s: %o', (stage, answer, event) => {
    const told = heard((alerts) => deliveryWatch(alerts).failed('billing', classifyReply(stage, answer).problem));
    expect(told).toEqual(event === undefined ? [] : [`billing upstream ${event}`]);
  });

  it.each([
    ['UPSTREAM_AUTH_REFUSED', 'account_misconfigured'],
    ['UPSTREAM_XOAUTH2_MISSING', 'account_misconfigured'],
    ['UPSTREAM_TLS_FAILED', 'account_misconfigured'],
    ['UPSTREAM_UNREACHABLE', undefined],
    ['UPSTREAM_TIMEOUT', undefined],
    ['UPSTREAM_LOST', undefined],
    ['UPSTREAM_QUOTA', undefined],
    // The token manager tells of these.
    ['TOKEN_REAUTH_REQUIRED', undefined],
    ['TOKEN_STORE_FAILED', undefined],
  ] as const)('%s', (code, event) => {
    const told = heard((alerts) => deliveryWatch(alerts).failed('billing', problem(code)));
    expect(told).toEqual(event === undefined ? [] : [`billing upstream ${event}`]);
  });
});

describe('secrets end', () => {
  const EXPIRES = Date.UTC(2027, 2, 1) as EpochMs;
  const SAVED = Date.UTC(2026, 10, 1) as EpochMs;

  async function ends(auth: AuthSettings, store = new MemoryTokenStore()) {
    const account: Account = testAccount({ auth });
    const found = await secretEnds(account, store, new MemoryLog());
    return Object.fromEntries(found.map(({ topic, endsAt }) => [topic, endsAt]));
  }

  const refreshing: AuthSettings = { grant: 'refresh_token', clientId: 'c', refreshToken: 'seed' };

  it('as configured', async () => {
    expect(await ends({ ...refreshing, clientSecret: 's', clientSecretExpires: EXPIRES })).toEqual({ 'client-secret': EXPIRES });
    expect(await ends({ grant: 'client_credentials', clientId: 'c', clientSecret: 's', clientSecretExpires: EXPIRES })).toEqual({
      'client-secret': EXPIRES,
    });
  });

  it('as the certificate says', async () => {
    const { certPem: cert, keyPem: key } = createTestAuthority().issue({ hosts: ['app'], days: 10 });
    const found = await ends({ grant: 'client_credentials', clientId: 'c', certificate: { cert, key } });
    const left = (found['certificate'] ?? 0) - Date.now();
    expect(left).toBeGreaterThan(days(9.9));
    expect(left).toBeLessThanOrEqual(days(10));
  });

  it('90 days after the refresh token was last used', async () => {
    const store = new MemoryTokenStore();
    await store.save('billing', { refreshToken: 'r', generation: 1, savedAt: SAVED });
    expect(await ends(refreshing, store)).toEqual({ 'refresh-token': SAVED + days(90) });
  });

  it.each<readonly [string, AuthSettings]>([
    ['nothing is stored', refreshing],
    ['there is no secret', { grant: 'client_credentials', managedIdentity: true }],
    ['a password is used', { grant: 'basic', password: 'p' }],
    ['the certificate is damaged', { ...refreshing, certificate: { cert: 'x', key: 'y' } }],
  ])('nobody knows when where %s', async (_name, auth) => {
    expect(await ends(auth)).toEqual({});
  });

  it('nobody knows when where the store cannot be read, and nothing breaks', async () => {
    const store = new MemoryTokenStore();
    store.load = () => Promise.reject(new ProblemError(problem('TOKEN_STORE_FAILED')));
    expect(await ends({ ...refreshing, clientSecretExpires: EXPIRES }, store)).toEqual({ 'client-secret': EXPIRES });
  });
});
