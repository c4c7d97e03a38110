import { describe, expect, it } from 'vitest';
import { ProblemError } from '../../../../src/core/problem.ts';
import { checkIdentity } from '../../../../src/token/sign-in/identity.ts';
import { signInAccount } from '../../../../src/token/sign-in/sign-in.ts';
import { testAccount } from '../../../support/accounts.ts';

const ACCOUNT = signInAccount(testAccount({ mailbox: 'billing@contoso.com', smtpUser: 'billing@contoso.com' }));
const SHARED = { ...ACCOUNT, mailbox: 'shared@contoso.com', smtpUser: 'anna@contoso.com' };

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = (claims: unknown): string => `${part({ alg: 'RS256' })}.${part(claims)}.signature`;
const idToken = (claims: object, aud: unknown = 'test-client'): string => jwt({ aud, ...claims });

function wrong(tokens: Parameters<typeof checkIdentity>[1], account = ACCOUNT): string {
  try {
    checkIdentity(account, tokens);
  } catch (error) {
    if (error instanceof ProblemError) return error.problem.cause;
  }
  throw new Error('it was accepted');
}

describe('who signed in', () => {
  it.each([
    ['upn of the access token', { accessToken: jwt({ upn: 'billing@contoso.com' }) }],
    ['unique_name', { accessToken: jwt({ unique_name: 'Billing@Contoso.com' }) }],
    ['preferred_username of the id_token', { accessToken: 'opaque', idToken: idToken({ preferred_username: 'billing@contoso.com' }) }],
    ['email of the id_token', { accessToken: 'opaque', idToken: idToken({ email: 'billing@contoso.com' }) }],
    ['one of several names', { accessToken: jwt({ upn: 'b17@corp.contoso.com' }), idToken: idToken({ email: 'billing@contoso.com' }) }],
    ['an id_token for several', { accessToken: 'opaque', idToken: idToken({ email: 'billing@contoso.com' }, ['other', 'test-client']) }],
    ['a guest', { accessToken: jwt({ unique_name: 'live.com#billing@contoso.com' }) }],
  ])('is told by %s', (_what, tokens) => {
    expect(checkIdentity(ACCOUNT, tokens)).toBe('billing@contoso.com');
  });

  it.each([
    ['opaque tokens', { accessToken: 'EwBIA8l6BAAU' }],
    ['a JWT without names', { accessToken: jwt({ aud: 'https://outlook.office.com', name: 'Billing' }) }],
    ['names that are no addresses', { accessToken: jwt({ upn: 'billing', email: 7, unique_name: 'a b@c', preferred_username: '' }) }],
    ['an id_token for another application', { accessToken: 'opaque', idToken: idToken({ email: 'x@y.test' }, 'other') }],
    ['broken JSON', { accessToken: `a.${Buffer.from('{').toString('base64url')}.c` }],
    ['JSON that is no object', { accessToken: `a.${part(['x'])}.c`, idToken: `a.${part(null)}.c` }],
    ['dots', { accessToken: '..', idToken: '...' }],
    ['a name with control characters', { accessToken: jwt({ upn: 'bill\u001b[31ming@contoso.com' }) }],
  ])('is not told by %s', (_what, tokens) => {
    expect(checkIdentity(ACCOUNT, tokens)).toBeUndefined();
  });

  it('is somebody else', () => {
    const tokens = { accessToken: jwt({ upn: 'boss@contoso.com' }), idToken: idToken({ email: 'ceo@contoso.com' }) };
    expect(wrong(tokens)).toBe('ceo@contoso.com / boss@contoso.com signed in, not billing@contoso.com; nothing was stored');
  });

  it('may be the delegate of a shared mailbox, or the shared mailbox itself', () => {
    expect(checkIdentity(SHARED, { accessToken: jwt({ upn: 'Anna@contoso.com' }) })).toBe('anna@contoso.com');
    expect(checkIdentity(SHARED, { accessToken: jwt({ upn: 'shared@contoso.com' }) })).toBe('shared@contoso.com');
    expect(wrong({ accessToken: jwt({ upn: 'bert@contoso.com' }) }, SHARED)).toContain('not anna@contoso.com or shared@contoso.com');
  });
});
