import { describe, expect, it } from 'vitest';
import type { ClientCertificate } from '../../../../src/core/account.ts';
import type { EpochMs } from '../../../../src/core/clock.ts';
import { ProblemError } from '../../../../src/core/problem.ts';
import { clientAssertion } from '../../../../src/token/grants/client-assertion.ts';
import { applicationCertificate, decodeJwt, ellipticKey, encryptedKey, isSignedBy, rsaKey, thumbprint } from '../../../support/signing.ts';

const TOKEN_URL = 'https://login.lab.test/contoso.com/oauth2/v2.0/token';
/** TLS certificates of tests are of today. */
const NOW = Math.floor(Date.now() / 1000) * 1000;
const certificate = applicationCertificate();

let draws = 0;
const random = {
  fraction: () => 0,
  octets: (count: number) => {
    draws += 1;
    return new Uint8Array(count).fill(draws);
  },
};

const make = (from: ClientCertificate = certificate, now = NOW): string =>
  clientAssertion('client-id', TOKEN_URL, from, { now: now as EpochMs, random });

function problemOf(action: () => unknown) {
  try {
    action();
  } catch (error) {
    if (error instanceof ProblemError) return error.problem;
    throw error;
  }
  throw new Error('a problem was expected and none came');
}

describe('a client assertion', () => {
  it('is a PS256 JWT of the certificate for this endpoint', () => {
    const jwt = make();
    expect(decodeJwt(jwt).header).toEqual({ alg: 'PS256', typ: 'JWT', 'x5t#S256': thumbprint(certificate.cert) });
    expect(isSignedBy(jwt, certificate.cert)).toBe(true);
    expect(isSignedBy(jwt, applicationCertificate().cert)).toBe(false);
  });

  it('lives for ten minutes around the present, and says who asks', () => {
    const { claims } = decodeJwt(make());
    expect(claims).toEqual({
      aud: TOKEN_URL,
      iss: 'client-id',
      sub: 'client-id',
      jti: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      iat: NOW / 1000,
      nbf: NOW / 1000 - 300,
      exp: NOW / 1000 + 300,
    });
  });

  it('is another one each time', () => {
    expect(decodeJwt(make()).claims['jti']).not.toBe(decodeJwt(make()).claims['jti']);
  });

  it.each(['pkcs8', 'pkcs1'] as const)('may be signed with a key that is protected by a passphrase (%s)', (type) => {
    const key = encryptedKey(certificate.key, 'key~passphrase', type);
    expect(isSignedBy(make({ ...certificate, key, passphrase: 'key~passphrase' }), certificate.cert)).toBe(true);
  });

  it('finds its certificate in a chain', () => {
    const chain = `${applicationCertificate().cert}\n${certificate.cert}`;
    expect(decodeJwt(make({ ...certificate, cert: chain })).header['x5t#S256']).toBe(thumbprint(certificate.cert));
  });
});

describe('no assertion is made', () => {
  it.each<[string, Partial<ClientCertificate>, string]>([
    [
      'with the wrong passphrase',
      { key: encryptedKey(certificate.key, 'right~passphrase'), passphrase: 'wrong~passphrase' },
      'passphrase is wrong',
    ],
    ['without the passphrase', { key: encryptedKey(certificate.key, 'right~passphrase') }, 'none is given'],
    ['with the key of another certificate', { key: rsaKey().privateKey }, 'does not belong to the key'],
    ['with an elliptic key', { key: ellipticKey() }, 'of type ec: an RSA key is needed'],
    ['with a short key', { key: rsaKey(1024).privateKey }, '1024 bits'],
    ['with a public key', { key: rsaKey().publicKey }, 'no private key in PEM form'],
    ['with a certificate for a key', { key: certificate.cert }, 'openssl pkcs12'],
    ['with a damaged key', { key: certificate.key.replace(/\n[^\n]+\n/, '\n') }, 'damaged'],
    ['without a certificate', { cert: certificate.key }, 'no certificate'],
    ['with a damaged certificate', { cert: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }, 'damaged'],
  ])('%s', (_what, changes, why) => {
    const problem = problemOf(() => make({ ...certificate, ...changes }));
    expect(problem).toMatchObject({ code: 'TOKEN_MISCONFIGURED', heals: 'after-repair', cause: expect.stringContaining(why) as string });
    expect(JSON.stringify(problem)).not.toMatch(/~passphrase|PRIVATE KEY-----/);
  });

  it('once the certificate has ended, and the day is named', () => {
    const problem = problemOf(() => make(applicationCertificate({ expired: true })));
    expect(problem.code).toBe('TOKEN_CREDENTIAL_EXPIRED');
    expect(problem.cause).toMatch(/ended on \d{4}-\d\d-\d\dT.*nothing was sent/);
    expect(problem.remedy).toContain('upload it');
  });

  it('up to the moment at which it ends one is made', () => {
    const thirtyDays = 30 * 86_400_000;
    expect(decodeJwt(make(certificate, NOW + thirtyDays - 60_000)).claims['aud']).toBe(TOKEN_URL);
    expect(problemOf(() => make(certificate, NOW + thirtyDays + 60_000)).code).toBe('TOKEN_CREDENTIAL_EXPIRED');
  });

  it('before the certificate begins', () => {
    expect(problemOf(() => make(applicationCertificate({ future: true }))).cause).toContain('begins on');
  });
});
