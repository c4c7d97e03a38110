/** What is read out of an access token, and what is found wrong with it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Account } from '../../../src/core/account.ts';
import type { EpochMs } from '../../../src/core/clock.ts';
import { refusalRemedy } from '../../../src/doctor/auth-refusal.ts';
import { includes, isExchange } from '../../../src/doctor/exchange.ts';
import type { MailProtocol } from '../../../src/doctor/examination.ts';
import { decodeClaims, type TokenClaims } from '../../../src/doctor/token-claims.ts';
import { judgeContent } from '../../../src/doctor/token-content.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { jwt } from '../../support/examination.ts';

const NOW = Date.UTC(2026, 10, 23) as EpochMs;
const TENANT = '0f3f7a52-1111-4222-8333-944444444444';

const DELEGATED = {
  aud: 'https://outlook.office.com',
  scp: 'SMTP.Send IMAP.AccessAsUser.All',
  upn: 'billing@postern.test',
  tid: TENANT,
  nbf: NOW / 1000 - 60,
  exp: NOW / 1000 + 3600,
};
const APPLICATION = { aud: 'https://outlook.office365.com', roles: ['SMTP.SendAsApp', 'POP.AccessAsApp'], tid: TENANT };

function claimsOf(payload: object): TokenClaims {
  const claims = decodeClaims(jwt(payload));
  if (claims === undefined) throw new Error('does not decode');
  return claims;
}

const refreshAuth = (changes: object = {}): Account['auth'] => ({ grant: 'refresh_token', tenant: TENANT, clientId: 'client', ...changes });

function judge(payload: object, account = testAccount({ auth: refreshAuth() }), ...needed: MailProtocol[]) {
  return judgeContent(claimsOf(payload), account, new Set(needed.length === 0 ? ['smtp'] : needed), NOW);
}

describe('decodeClaims', () => {
  it('reads what matters', () => {
    expect(claimsOf({ ...DELEGATED, secret: 'never shown' })).toEqual({
      audiences: ['https://outlook.office.com'],
      scopes: ['SMTP.Send', 'IMAP.AccessAsUser.All'],
      roles: [],
      tenantId: TENANT,
      user: 'billing@postern.test',
      notBefore: DELEGATED.nbf,
      expiresAt: DELEGATED.exp,
    });
  });

  it.each([
    '',
    'opaque',
    'EwBYA8l6BAAU',
    'a.b.c',
    'e30.e30.',
    `${Buffer.from('{"alg":"x"}').toString('base64url')}.W10.x`,
    'x'.repeat(20_000),
  ])('takes %j for opaque', (token) => {
    expect(decodeClaims(token)).toBeUndefined();
  });

  it('keeps hostile claims to one short printable line each', () => {
    const claims = claimsOf({ aud: ['a\r\n250 ok', 7, null], upn: 'x'.repeat(5000), scp: 'a\u0000b', exp: 'soon', roles: 'text' });
    expect(claims.audiences).toEqual(['a 250 ok']);
    expect(claims.user?.length).toBeLessThanOrEqual(120);
    expect(JSON.stringify(claims)).not.toMatch(/\\u0000|\\r/);
    expect(claims.expiresAt).toBeUndefined();
  });

  it('takes whatever comes: claims of printable texts, or nothing', () => {
    const header = Buffer.from('{"alg":"none"}').toString('base64url');
    fc.assert(
      fc.property(fc.string(), fc.json(), (text, json) => {
        const claims = [text, `${header}.${Buffer.from(json).toString('base64url')}.x`].map(decodeClaims);
        for (const found of claims) expect(JSON.stringify(found ?? {})).not.toMatch(/\\u00[01]|\\[rn]/);
      }),
    );
  });
});

describe('a token for Exchange', () => {
  it('is good as a person gets it, and as an application does', () => {
    expect(judge(DELEGATED)).toEqual({
      result: 'ok',
      detail: 'for https://outlook.office.com, of billing@postern.test, with SMTP.Send IMAP.AccessAsUser.All',
    });
    expect(judge(APPLICATION)).toMatchObject({ result: 'ok', detail: expect.stringContaining('of the application, with SMTP.SendAsApp') });
  });

  it.each([
    'https://outlook.office365.com/',
    'https://outlook.office365.us',
    'https://partner.outlook.cn',
    '00000002-0000-0ff1-ce00-000000000000',
  ])('may be for %s', (aud) => {
    expect(judge({ ...DELEGATED, aud }).result).toBe('ok');
  });

  it.each([
    {
      name: 'for Graph',
      claims: { ...DELEGATED, aud: 'https://graph.microsoft.com' },
      detail: /for https:\/\/graph\.microsoft\.com, not for Exchange/,
      remedy: /https:\/\/outlook\.office\.com\/SMTP\.Send .*Remove accounts\[\]\.auth\.scopes/,
    },
    {
      name: 'for a host that only looks like it',
      claims: { ...DELEGATED, aud: 'https://outlook.office.com.evil.test' },
      detail: /not for Exchange/,
      remedy: /./,
    },
    {
      name: 'without SMTP.Send',
      claims: { ...DELEGATED, scp: 'IMAP.AccessAsUser.All' },
      detail: /lacks the scope SMTP\.Send/,
      remedy: /Office 365 Exchange Online > Delegated permissions: add SMTP\.Send.*postern login ACCOUNT/,
    },
    {
      name: 'of another tenant',
      claims: { ...DELEGATED, tid: '99999999-1111-4222-8333-944444444444' },
      detail: /of tenant 99999999-.*, configured is 0f3f7a52-/,
      remedy: /postern login ACCOUNT.*auth\.tenant/,
    },
    {
      name: 'that has ended',
      claims: { ...DELEGATED, exp: NOW / 1000 - 1 },
      detail: /the token has ended/,
      remedy: /Set the clock/,
    },
    {
      name: 'that is of the future',
      claims: { ...DELEGATED, nbf: NOW / 1000 + 3600 },
      detail: /not valid yet/,
      remedy: /Set the clock/,
    },
  ])('fails $name', ({ claims, detail, remedy }) => {
    expect(judge(claims)).toMatchObject({
      result: 'fail',
      problem: 'TOKEN_CONTENT_WRONG',
      detail: expect.stringMatching(detail),
      remedy: expect.stringMatching(remedy),
    });
  });

  it('tells all failures at once and each remedy once', () => {
    const finding = judge({ ...DELEGATED, aud: 'https://graph.microsoft.com', scp: 'User.Read', exp: 1, nbf: NOW });
    expect(finding.detail.split('; ')).toHaveLength(3);
  });

  it('must have what the protocols that are served need', () => {
    const account = testAccount({ auth: refreshAuth() });
    expect(judge(DELEGATED, account, 'smtp', 'imap').result).toBe('ok');
    expect(judge(DELEGATED, account, 'smtp', 'pop3')).toMatchObject({
      result: 'fail',
      detail: expect.stringContaining('POP.AccessAsUser.All'),
    });
    expect(judge(APPLICATION, account, 'imap')).toMatchObject({ result: 'fail', detail: expect.stringContaining('IMAP.AccessAsApp') });
  });

  it('of an application may lack its role, where Exchange has given one in its place', () => {
    const finding = judge({ ...APPLICATION, roles: undefined });
    expect(finding).toMatchObject({
      result: 'warn',
      detail: expect.stringContaining('SMTP.SendAsApp'),
      remedy: expect.stringContaining('Exchange role'),
    });
  });

  it('of another user is a warning, since a mailbox can have several names', () => {
    const finding = judge({ ...DELEGATED, upn: 'clerk@postern.test' });
    expect(finding).toMatchObject({
      result: 'warn',
      detail: 'clerk@postern.test signed in, and SMTP is to sign in as billing@postern.test',
    });
    expect(finding.remedy).toContain('smtpUser: clerk@postern.test');
    const delegate = testAccount({ auth: refreshAuth(), smtpUser: 'delegate@postern.test' });
    expect(judge({ ...DELEGATED, upn: 'Delegate@Postern.test' }, delegate).result).toBe('ok');
  });

  it('is compared with a tenant only where that is an id', () => {
    const named = testAccount({ auth: refreshAuth({ tenant: 'contoso.test' }) });
    expect(judge({ ...DELEGATED, tid: '99999999-1111-4222-8333-944444444444' }, named).result).toBe('ok');
  });
});

describe('which protocols a token is for', () => {
  const google = testProvider({ scopes: ['https://mail.google.com/'], applicationScopes: [] });
  const fastmail = testProvider({
    scopes: ['https://www.fastmail.com/dev/protocol-smtp', 'https://www.fastmail.com/dev/protocol-imap'],
    applicationScopes: [],
  });
  const all = (account: Account, claims?: TokenClaims): string =>
    (['smtp', 'imap', 'pop3'] as const).filter((protocol) => includes(protocol, account, claims)).join(' ');

  it('is told by the token', () => {
    const account = testAccount({ auth: refreshAuth() });
    expect(all(account, claimsOf(DELEGATED))).toBe('smtp imap');
    expect(all(account, claimsOf(APPLICATION))).toBe('smtp pop3');
    expect(all(account, claimsOf({ ...APPLICATION, roles: [] }))).toBe('smtp');
  });

  it('is told by the scopes asked for where the token is opaque', () => {
    expect(all(testAccount())).toBe('smtp');
    expect(
      all(testAccount({ auth: refreshAuth({ scopes: ['https://outlook.office.com/IMAP.AccessAsUser.All', 'offline_access'] }) })),
    ).toBe('imap');
    expect(all(testAccount({ auth: { grant: 'client_credentials', clientId: 'c', clientSecret: 's' } }))).toBe('smtp imap pop3');
  });

  it('is everything for providers with one scope', () => {
    expect(isExchange(google)).toBe(false);
    expect(all(testAccount({ provider: google }), claimsOf({ aud: 'x' }))).toBe('smtp imap pop3');
    expect(all(testAccount({ provider: fastmail }))).toBe('smtp imap');
  });
});

describe('a refused sign-in', () => {
  const account = testAccount({ auth: refreshAuth() });
  const application = testAccount({ auth: { grant: 'client_credentials', clientId: 'c', clientSecret: 's' } });

  it.each([
    {
      name: 'another user signed in',
      account,
      payload: { ...DELEGATED, upn: 'clerk@postern.test' },
      remedy: /belongs to clerk@postern\.test: set accounts\[\]\.smtpUser: clerk/,
    },
    { name: 'the right user signed in', account, payload: DELEGATED, remedy: /has a licence.*shared mailbox cannot sign in/ },
    {
      name: 'an application signed in',
      account: application,
      payload: APPLICATION,
      remedy: /New-ServicePrincipal.*ENTERPRISE|ENTERPRISE.*New-ServicePrincipal/,
    },
    { name: 'the token is wrong', account, payload: { ...DELEGATED, aud: 'https://graph.microsoft.com' }, remedy: /token-content/ },
    { name: 'an application with an opaque token', account: application, payload: undefined, remedy: /New-ServicePrincipal/ },
  ])('over SMTP: $name', ({ account: one, payload, remedy }) => {
    expect(refusalRemedy('smtp', one, payload === undefined ? undefined : claimsOf(payload))).toMatch(remedy);
  });

  it('over IMAP and POP3: the protocol may be switched off', () => {
    expect(refusalRemedy('imap', account, claimsOf(DELEGATED))).toContain(
      'Set-CASMailbox -Identity billing@postern.test -ImapEnabled $true',
    );
    expect(refusalRemedy('pop3', account, undefined)).toContain('-PopEnabled $true');
  });

  it('at another provider speaks of no cmdlets', () => {
    const provider = testProvider({ name: 'google', scopes: ['https://mail.google.com/'], applicationScopes: [] });
    const remedy = refusalRemedy('imap', testAccount({ provider }), undefined);
    expect(remedy).toContain('provider google');
    expect(remedy).not.toMatch(/Set-|Add-/);
  });
});
