/** What the sandbox takes in place of a client secret. Each assertion is made here, by hand, not by the code that is to be tried on it. */
import { constants, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applicationCertificate, rsaKey, thumbprint } from '../../support/signing.ts';
import { claimsOf, post, secretOf, type TokenAnswer } from './oauth-client.ts';
import { openSandbox, type TestSandbox } from './wire.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const EXCHANGE = 'https://outlook.office365.com/.default';
const certificate = applicationCertificate();
const otherCertificate = applicationCertificate();
const endedCertificate = applicationCertificate({ expired: true });
const issuerKey = rsaKey();
/** Made at the start: a key takes so long that idle connections would be closed meanwhile. */
const strangersKey = rsaKey().privateKey;

let box: TestSandbox;
beforeAll(async () => {
  box = await openSandbox();
});
afterAll(() => box.sandbox.close());

const now = (): number => Math.floor(box.clock.now() / 1000);
const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');

function jwt(header: { readonly alg: string; readonly [parameter: string]: string }, claims: object, key: string): string {
  const content = `${encode(header)}.${encode(claims)}`;
  const padding = header.alg === 'PS256' ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } : {};
  return `${content}.${sign('sha256', Buffer.from(content), { key, ...padding }).toString('base64url')}`;
}

function prove(assertion: string, more: Record<string, string> = {}): Promise<TokenAnswer> {
  return post(box.sandbox.tokenUrl, {
    grant_type: 'client_credentials',
    scope: EXCHANGE,
    client_id: box.sandbox.clientId,
    client_assertion_type: JWT_BEARER,
    client_assertion: assertion,
    ...more,
  });
}

const numbersOf = ({ json }: TokenAnswer): unknown => json['error_codes'];

describe('a certificate', () => {
  const good = () => ({
    aud: box.sandbox.tokenUrl,
    iss: box.sandbox.clientId,
    sub: box.sandbox.clientId,
    jti: 'once',
    nbf: now() - 60,
    exp: now() + 540,
  });
  const signed = (claims: object = good(), key = certificate.key, header: Record<string, string> = {}): string =>
    jwt({ alg: 'PS256', 'x5t#S256': thumbprint(certificate.cert), ...header }, claims, key);
  beforeAll(() => box.sandbox.trusted.addCertificate(certificate.cert));

  it('proves the application, with every grant', async () => {
    const { status, json } = await prove(signed());
    expect(status).toBe(200);
    expect(claimsOf(json['access_token'])).toMatchObject({
      appid: box.sandbox.clientId,
      roles: expect.arrayContaining(['SMTP.SendAsApp']) as string[],
    });
    const refreshToken = box.sandbox.mint.refreshToken('relay@sandbox.test');
    expect((await prove(signed(), { grant_type: 'refresh_token', refresh_token: refreshToken, scope: '' })).status).toBe(200);
  });

  it('is taken for each name of the tenant', async () => {
    const aud = box.sandbox.tokenUrl.replace('sandbox.test', box.sandbox.tenantId);
    expect((await prove(signed({ ...good(), aud }))).status).toBe(200);
  });

  it.each<[string, () => string, number]>([
    ['no JWT', () => 'x', 50027],
    ['another certificate', () => jwt({ alg: 'PS256', 'x5t#S256': thumbprint(otherCertificate.cert) }, good(), certificate.key), 700027],
    ['a signature of another key', () => signed(good(), strangersKey), 700027],
    ['an algorithm that is no longer taken', () => signed(good(), certificate.key, { alg: 'RS256' }), 700027],
    ['no algorithm', () => signed(good(), certificate.key, { alg: 'none' }), 700027],
    ['an end in the past', () => signed({ ...good(), exp: now() - 400 }), 700024],
    ['a beginning in the future', () => signed({ ...good(), nbf: now() + 400 }), 700024],
    ['no end', () => signed({ ...good(), exp: undefined }), 700024],
    ['another issuer', () => signed({ ...good(), iss: 'other' }), 700021],
    ['another subject', () => signed({ ...good(), sub: 'other' }), 700021],
    ['another endpoint', () => signed({ ...good(), aud: 'https://login.other.test/token' }), 50027],
    ['no jti', () => signed({ ...good(), jti: undefined }), 50027],
  ])('with %s proves nothing', async (_what, assertion, number) => {
    const answer = await prove(assertion());
    expect(answer.status).toBe(401);
    expect(numbersOf(answer)).toEqual([number]);
    expect(answer.json['error']).toBe('invalid_client');
  });

  it('that has ended proves nothing', async () => {
    const ended = endedCertificate;
    box.sandbox.trusted.addCertificate(ended.cert);
    const answer = await prove(jwt({ alg: 'PS256', 'x5t#S256': thumbprint(ended.cert) }, good(), ended.key));
    expect(numbersOf(answer)).toEqual([1000502]);
  });

  it('is of no use to a public application, nor without its type', async () => {
    expect(numbersOf(await prove(signed(), { client_id: box.sandbox.publicClientId }))).toEqual([700025]);
    expect(numbersOf(await prove(signed(), { client_assertion_type: 'other' }))).toEqual([900144]);
  });
});

describe('a federated credential', () => {
  const ISSUER = 'https://kubernetes.lab.test';
  const SUBJECT = 'system:serviceaccount:mail:postern';
  const good = () => ({ iss: ISSUER, sub: SUBJECT, aud: ['api://AzureADTokenExchange'], exp: now() + 3600, nbf: now() - 60 });
  const signed = (claims: object = good(), key = issuerKey.privateKey): string => jwt({ alg: 'RS256', kid: 'k' }, claims, key);

  it('is needed first', async () => {
    expect(numbersOf(await prove(signed()))).toEqual([70021]);
  });

  it('proves the application', async () => {
    const response = await fetch(`${box.sandbox.httpUrl}/trusted`, {
      method: 'POST',
      body: JSON.stringify({ issuer: ISSUER, subject: SUBJECT, publicKey: issuerKey.publicKey }),
    });
    expect(response.status).toBe(204);
    expect((await prove(signed())).status).toBe(200);
  });

  it.each<[string, () => string, number]>([
    ['another issuer', () => signed({ ...good(), iss: 'https://other.test' }), 700211],
    ['another subject', () => signed({ ...good(), sub: 'system:serviceaccount:mail:other' }), 700213],
    ['another audience', () => signed({ ...good(), aud: 'other' }), 700212],
    ['a signature of another', () => signed(good(), strangersKey), 50013],
    ['an end in the past', () => signed({ ...good(), exp: now() - 3600 }), 700024],
  ])('of %s proves nothing', async (_what, assertion, number) => {
    expect(numbersOf(await prove(assertion()))).toEqual([number]);
  });
});

describe('a service account', () => {
  const key = rsaKey();
  const EMAIL = 'relay@project.iam.gserviceaccount.com';
  const good = () => ({
    iss: EMAIL,
    sub: 'relay@sandbox.test',
    scope: 'https://mail.google.com/',
    aud: box.sandbox.googleTokenUrl,
    iat: now() - 10,
    exp: now() + 3590,
  });
  const ask = (
    claims: object = good(),
    by = key.privateKey,
    grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  ): Promise<TokenAnswer> => post(box.sandbox.googleTokenUrl, { grant_type: grantType, assertion: jwt({ alg: 'RS256' }, claims, by) });
  beforeAll(() => {
    box.sandbox.trusted.addServiceAccount(EMAIL, key.publicKey);
    box.sandbox.trusted.addServiceAccount('alone@project.iam.gserviceaccount.com', key.publicKey, false);
  });

  it('acts for a mailbox', async () => {
    const { status, json } = await ask();
    expect(status).toBe(200);
    expect(claimsOf(json['access_token'])).toMatchObject({ upn: 'relay@sandbox.test', appid: EMAIL });
    expect(json).not.toHaveProperty('refresh_token');
  });

  it.each<[string, () => Promise<TokenAnswer>, string, RegExp]>([
    ['unknown', () => ask({ ...good(), iss: 'no@project.iam.gserviceaccount.com' }), 'invalid_grant', /account not found/],
    ['with another key', () => ask(good(), strangersKey), 'invalid_grant', /JWT Signature/],
    ['for a day', () => ask({ ...good(), exp: now() + 86_400 }), 'invalid_grant', /short-lived/],
    ['from the future', () => ask({ ...good(), iat: now() + 60 }), 'invalid_grant', /short-lived/],
    ['for another endpoint', () => ask({ ...good(), aud: 'https://other.test' }), 'invalid_grant', /aud/],
    ['for nobody', () => ask({ ...good(), sub: 'nobody@sandbox.test' }), 'invalid_grant', /Invalid email/],
    ['with another scope', () => ask({ ...good(), scope: 'openid' }), 'invalid_scope', /scope/],
    ['without delegation', () => ask({ ...good(), iss: 'alone@project.iam.gserviceaccount.com' }), 'unauthorized_client', /unauthorized/],
    ['with another grant', () => ask(good(), key.privateKey, 'password'), 'unsupported_grant_type', /grant/],
  ])('%s is refused', async (_what, attempt, error, description) => {
    const { status, json } = await attempt();
    expect(status).toBeGreaterThanOrEqual(400);
    expect(json).toMatchObject({ error, error_description: expect.stringMatching(description) as string });
  });
});

describe('the identity service', () => {
  const ask = async (query: string, headers: Record<string, string> = { metadata: 'true' }) => {
    const response = await fetch(`${box.sandbox.identityUrl}?${query}`, { headers });
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  };
  const QUERY = 'api-version=2018-02-01&resource=https%3A%2F%2Foutlook.office365.com';

  it('gives a token to whoever is on the machine, with numbers as strings', async () => {
    const { status, json } = await ask(QUERY);
    expect(status).toBe(200);
    expect(json['expires_in']).toEqual(expect.stringMatching(/^\d+$/));
    expect(claimsOf(json['access_token'])).toMatchObject({ roles: expect.arrayContaining(['SMTP.SendAsApp']) as string[] });
    box.sandbox.trusted.addIdentity('assigned');
    expect((await ask(`${QUERY}&client_id=assigned`)).json['client_id']).toBe('assigned');
  });

  it.each<[string, string, Record<string, string> | undefined]>([
    ['without the header', QUERY, {}],
    ['without a resource', 'api-version=2018-02-01', undefined],
    ['with an unknown identity', `${QUERY}&client_id=other`, undefined],
    ['with an unknown resource', 'api-version=2018-02-01&resource=https%3A%2F%2Fother.test', undefined],
  ])('refuses a request %s', async (_what, query, headers) => {
    expect((await ask(query, headers)).status).toBe(400);
  });
});

describe('POST /trusted', () => {
  it.each([
    ['{}'],
    ['[]'],
    ['{"certificate":"x"}'],
    ['{"issuer":"i","subject":"s","publicKey":"x"}'],
    ['{"issuer":"i"}'],
    ['{"password":"p"}'],
    ['no'],
  ])('refuses %s', async (body) => {
    const { status } = await fetch(`${box.sandbox.httpUrl}/trusted`, { method: 'POST', body });
    expect(status).toBe(400);
  });

  it('takes a certificate, a service account and a password', async () => {
    const bodies = [
      { certificate: otherCertificate.cert },
      { clientEmail: 'a@b.test', publicKey: issuerKey.publicKey },
      { mailbox: 'relay@sandbox.test', password: 'p' },
    ];
    for (const body of bodies) {
      const { status } = await fetch(`${box.sandbox.httpUrl}/trusted`, { method: 'POST', body: JSON.stringify(body) });
      expect(status).toBe(204);
    }
  });

  it('does not show any of it', async () => {
    const about = await (await fetch(`${box.sandbox.httpUrl}/about`)).text();
    expect(about).not.toContain('trusted');
    expect(about).toContain('googleTokenUrl');
    expect(secretOf(box.sandbox)['client_id']).toBe(box.sandbox.clientId);
  });
});
