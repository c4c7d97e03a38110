/** How applications prove themselves, before a real authorization server (oidc-provider). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuthSettings } from '../../src/core/account.ts';
import { hours } from '../../src/core/clock.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import type { TokenAnswer } from '../../src/token/token-answer.ts';
import { TokenRouter } from '../../src/token/token-router.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { type AuthorizationServer, startAuthorizationServer } from '../support/real/authorization-server.ts';
import { applicationCertificate, encryptedKey } from '../support/signing.ts';

const MAILBOX = 'billing@postern.test';
const certificate = applicationCertificate();
const stranger = applicationCertificate();
let server: AuthorizationServer;
const router = new TokenRouter({ clock: systemClock });

beforeAll(async () => {
  server = await startAuthorizationServer('app@postern.test', certificate.cert);
});
afterAll(async () => {
  await router.close();
  await server?.stop();
});

function ask(auth: AuthSettings, refreshToken?: string): Promise<TokenAnswer> {
  const provider = testProvider({ tokenUrl: server.tokenUrl.replace('{tenant}', server.tenant) });
  return router.request({ account: testAccount({ provider, auth }), ...(refreshToken === undefined ? {} : { refreshToken }) });
}

const application = (): AuthSettings => ({ grant: 'client_credentials', ...server.application });
const certified = (changes: object = {}): AuthSettings => ({
  grant: 'client_credentials',
  clientId: server.certifiedClientId,
  certificate,
  ...changes,
});

describe('client_credentials', () => {
  it('with a secret', async () => {
    expect(await ask(application())).toMatchObject({ kind: 'granted', expiresIn: hours(1) });
  });

  it('with a wrong secret', async () => {
    expect(await ask({ ...application(), clientSecret: 'wrong' } as AuthSettings)).toMatchObject({
      kind: 'refused',
      error: 'invalid_client',
      grant: 'client_credentials',
    });
  });

  it('with a certificate (private_key_jwt, PS256)', async () => {
    expect(await ask(certified())).toMatchObject({ kind: 'granted', accessToken: expect.any(String) as string });
  });

  it('with a certificate whose key has a passphrase', async () => {
    const key = encryptedKey(certificate.key, 'key~passphrase');
    expect(await ask(certified({ certificate: { cert: certificate.cert, key, passphrase: 'key~passphrase' } }))).toMatchObject({
      kind: 'granted',
    });
  });

  it('with a certificate again and again: no assertion is sent twice', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => ask(certified())));
    expect(answers.map(({ kind }) => kind)).toEqual(Array(5).fill('granted'));
  });

  it('with the certificate of another application', async () => {
    expect(await ask(certified({ certificate: stranger }))).toMatchObject({ kind: 'refused', error: 'invalid_client' });
  });

  it('with a certificate where a secret is registered', async () => {
    expect(await ask(certified({ clientId: server.application.clientId }))).toMatchObject({ kind: 'refused', error: 'invalid_client' });
  });
});

describe('refresh_token', () => {
  it('with a certificate, rotated', async () => {
    const auth: AuthSettings = { grant: 'refresh_token', clientId: server.certifiedClientId, certificate };
    const first = await server.mintRefreshToken(MAILBOX, server.certifiedClientId);
    const answer = await ask(auth, first);
    expect(answer).toMatchObject({ kind: 'granted', refreshToken: expect.any(String) as string });
    const rotated = answer.kind === 'granted' ? answer.refreshToken : undefined;
    expect(rotated).not.toBe(first);
    expect(await ask(auth, rotated)).toMatchObject({ kind: 'granted' });
    expect(await ask(auth, first)).toMatchObject({ kind: 'refused', error: 'invalid_grant' });
  });
});
