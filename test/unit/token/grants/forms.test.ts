/** What each grant that posts a form sends. */
import { describe, expect, it } from 'vitest';
import type { Account, AuthSettings } from '../../../../src/core/account.ts';
import { ProblemError } from '../../../../src/core/problem.ts';
import type { FormAuth } from '../../../../src/token/grants/grants.ts';
import { tokenForm } from '../../../../src/token/grants/grants.ts';
import type { FormContext } from '../../../../src/token/grants/token-form.ts';
import { testAccount, testProvider } from '../../../support/accounts.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { applicationCertificate, decodeJwt, isSignedBy, rsaKey } from '../../../support/signing.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const FEDERATED = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwb2QifQ.c2lnbmF0dXJl';
const TOKEN_FILE = '/var/run/secrets/azure/tokens/azure-identity-token';
const certificate = applicationCertificate();

const clock = new FakeClock(Date.now());
const files = new Map<string, string>();

function context(): FormContext {
  return {
    now: clock.now(),
    random: { fraction: () => 0, octets: (count) => new Uint8Array(count) },
    readFile: async (path) => {
      await Promise.resolve();
      const content = files.get(path);
      if (content === undefined) throw Object.assign(new Error(`ENOENT: no such file or directory, open '${path}'`), { code: 'ENOENT' });
      return content;
    },
  };
}

const formOf = (auth: FormAuth, account: Partial<Account> = {}) =>
  tokenForm(testAccount({ ...account, auth }), auth, auth.grant === 'refresh_token' ? 'newest-refresh-token' : undefined, context());

async function problemOf(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProblemError)) throw new Error(`expected a ProblemError, got ${String(error)}`);
  return error.problem;
}

describe.each<[AuthSettings['grant'], Record<string, string>]>([
  ['client_credentials', { grant_type: 'client_credentials', scope: 'https://outlook.office365.com/.default' }],
  [
    'refresh_token',
    { grant_type: 'refresh_token', scope: 'https://outlook.office.com/SMTP.Send offline_access', refresh_token: 'newest-refresh-token' },
  ],
])('%s', (grant, common) => {
  const base = { grant, clientId: 'client-id' } as Extract<FormAuth, { grant: 'refresh_token' | 'client_credentials' }>;

  it('with a secret', async () => {
    const { parameters, secrets } = await formOf({ ...base, clientSecret: 'client~secret' });
    expect(parameters).toEqual({ ...common, client_id: 'client-id', client_secret: 'client~secret' });
    expect(secrets).toContain('client~secret');
  });

  it('with a certificate: an assertion, and no secret', async () => {
    const { parameters, secrets } = await formOf({ ...base, certificate });
    const { client_assertion: assertion = '', ...rest } = parameters;
    expect(rest).toEqual({ ...common, client_id: 'client-id', client_assertion_type: JWT_BEARER });
    expect(isSignedBy(assertion, certificate.cert)).toBe(true);
    expect(decodeJwt(assertion).claims).toMatchObject({
      iss: 'client-id',
      aud: testProvider().tokenUrl,
      iat: Math.floor(clock.now() / 1000),
    });
    expect(secrets).toContain(assertion);
  });

  it('with a token of the platform, read for each request', async () => {
    files.set(TOKEN_FILE, `${FEDERATED}\n`);
    const first = await formOf({ ...base, federatedTokenFile: TOKEN_FILE });
    expect(first.parameters).toEqual({ ...common, client_id: 'client-id', client_assertion_type: JWT_BEARER, client_assertion: FEDERATED });
    expect(first.secrets).toContain(FEDERATED);
    const renewed = FEDERATED.replace('cG9k', 'bmV3').replace('c2lnbmF0dXJl', 'YW5vdGhlcg');
    files.set(TOKEN_FILE, renewed);
    expect((await formOf({ ...base, federatedTokenFile: TOKEN_FILE })).parameters['client_assertion']).toBe(renewed);
  });

  it.each([
    ['is not there', undefined, 'ENOENT'],
    ['is empty', ' \n', 'empty'],
    ['holds something else', 'password of the day', 'does not hold a JWT'],
    ['holds two tokens', `${FEDERATED}\n${FEDERATED}`, 'does not hold a JWT'],
  ])('with a token file that %s nothing is made, and it passes', async (_what, content, why) => {
    if (content === undefined) files.delete(TOKEN_FILE);
    else files.set(TOKEN_FILE, content);
    const problem = await problemOf(formOf({ ...base, federatedTokenFile: TOKEN_FILE }));
    expect(problem).toMatchObject({ code: 'TOKEN_CREDENTIAL_UNREADABLE', heals: 'by-itself' });
    expect(problem.cause).toContain(TOKEN_FILE);
    expect(problem.cause).toContain(why);
    expect(problem.cause).not.toContain('password of the day');
  });
});

it('refresh_token of a public client sends no proof at all', async () => {
  const { parameters, secrets } = await formOf({ grant: 'refresh_token', clientId: 'public' });
  expect(Object.keys(parameters).sort()).toEqual(['client_id', 'grant_type', 'refresh_token', 'scope']);
  expect(secrets).toEqual(['newest-refresh-token']);
});

describe('service_account', () => {
  const key = rsaKey();
  const auth: FormAuth = {
    grant: 'service_account',
    clientEmail: 'relay@project.iam.gserviceaccount.com',
    privateKey: key.privateKey,
    privateKeyId: 'key-7',
  };
  const provider = testProvider({ tokenUrl: 'https://oauth2.googleapis.com/token', scopes: ['https://mail.google.com/'] });

  it('is an RS256 JWT that acts for the mailbox', async () => {
    const { parameters, secrets } = await formOf(auth, { provider, mailbox: 'billing@contoso.com' });
    const { assertion = '', ...rest } = parameters;
    expect(rest).toEqual({ grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer' });
    expect(secrets).toEqual([assertion]);
    expect(isSignedBy(assertion, key.publicKey)).toBe(true);
    const iat = Math.floor(clock.now() / 1000) - 30;
    expect(decodeJwt(assertion)).toEqual({
      header: { alg: 'RS256', typ: 'JWT', kid: 'key-7' },
      claims: {
        iss: 'relay@project.iam.gserviceaccount.com',
        sub: 'billing@contoso.com',
        scope: 'https://mail.google.com/',
        aud: 'https://oauth2.googleapis.com/token',
        iat,
        exp: iat + 3600,
      },
    });
  });

  it('takes scopes of the account, and a key without an id', async () => {
    const { privateKeyId: _id, ...anonymous } = auth;
    const { parameters } = await formOf({ ...anonymous, scopes: ['one', 'two'] }, { provider });
    expect(decodeJwt(parameters['assertion'] ?? '')).toMatchObject({ header: { alg: 'RS256' }, claims: { scope: 'one two' } });
    expect(decodeJwt(parameters['assertion'] ?? '').header).not.toHaveProperty('kid');
  });

  it('is not made with a key that cannot be used', async () => {
    const problem = await problemOf(formOf({ ...auth, privateKey: 'no~key' }, { provider }));
    expect(problem).toMatchObject({
      code: 'TOKEN_MISCONFIGURED',
      remedy: expect.stringContaining('gcloud iam service-accounts keys create') as string,
    });
    expect(JSON.stringify(problem)).not.toContain('no~key');
  });
});
