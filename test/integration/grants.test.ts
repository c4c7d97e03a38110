/** The whole relay against the sandbox with every grant: a message goes through, and no secret is seen in the log. */
import { constants, sign } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { applicationCertificate, encryptedKey, rsaKey } from '../support/signing.ts';
import { submit } from '../support/submit.ts';

const LOGIN = { user: 'erp', pass: 'local-pässword 1' };
const MAILBOX = 'billing@sandbox.test';
const certificate = applicationCertificate();
const endedCertificate = applicationCertificate({ expired: true });
const platformKey = rsaKey();
const serviceKey = rsaKey();

let relay: RelayOnSandbox;
const secrets: string[] = [];
beforeAll(async () => {
  relay = await startRelayOnSandbox();
});
afterEach(() => {
  vi.unstubAllEnvs();
  // Else the next account would go on with the stored token of the one before, where their settings make no difference to it.
  relay.sandbox.mint.revokeAccessTokens();
});
afterAll(async () => {
  const text = JSON.stringify(relay.log.lines);
  for (const secret of [...relay.secrets, ...secrets]) expect(text.includes(secret)).toBe(false);
  await relay.close();
});

/** Nothing of the usual settings, but what is given. */
const only = (auth: object): object => ({
  tenant: undefined,
  clientId: undefined,
  clientSecret: undefined,
  refreshToken: undefined,
  ...auth,
});

function file(name: string, content: string, mode = 0o600): string {
  const path = join(relay.folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return name;
}

/** As a platform makes it for a workload. */
function platformToken(subject = 'system:serviceaccount:mail:postern'): string {
  const now = Math.floor(Date.now() / 1000);
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
  const claims = { iss: 'https://kubernetes.lab.test', sub: subject, aud: ['api://AzureADTokenExchange'], nbf: now - 5, exp: now + 3600 };
  const content = `${encode({ alg: 'RS256' })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(content), { key: platformKey.privateKey, padding: constants.RSA_PKCS1_PADDING });
  return `${content}.${signature.toString('base64url')}`;
}

async function expectRelayed(): Promise<void> {
  const before = relay.sandbox.messages.list().length;
  expect(await submit({ port: relay.port, login: LOGIN, content: `From: ${MAILBOX}\r\nSubject: hello\r\n\r\ntext\r\n` })).toMatchObject({
    code: 250,
  });
  expect(relay.sandbox.messages.list()).toHaveLength(before + 1);
  expect(relay.sandbox.messages.list().map(({ user }) => user)).toEqual(expect.arrayContaining([MAILBOX]) as string[]);
}

/** The newest problem of the account's tokens. */
const problemCode = (): string | undefined => relay.log.of('token-failed').at(-1)?.problem?.code;

async function expectDeferred(code: string): Promise<void> {
  const answer = await submit({ port: relay.port, login: LOGIN }).catch((error: unknown) => error);
  expect(answer).toMatchObject({ code: 454 });
  expect(problemCode()).toBe(code);
}

const application = (auth: object): object => only({ tenant: relay.sandbox.tenant, clientId: relay.sandbox.clientId, ...auth });

describe('client_credentials', () => {
  it('with a secret', async () => {
    await relay.restart(application({ grant: 'client_credentials', clientSecret: relay.sandbox.clientSecret }));
    await expectRelayed();
  });

  it('with a certificate whose key has a passphrase; before it is registered, mail waits', async () => {
    const passphrase = 'key~passphrase~secret';
    secrets.push(passphrase, certificate.key.split('\n')[3] ?? '');
    const key = file('app.key', encryptedKey(certificate.key, passphrase));
    const auth = { grant: 'client_credentials', certificate: { cert: file('app.pem', certificate.cert), key, passphrase } };
    await relay.restart(application(auth));
    await expectDeferred('TOKEN_MISCONFIGURED');
    relay.sandbox.trusted.addCertificate(certificate.cert);
    await relay.restart();
    await expectRelayed();
  });

  it('with a certificate that has ended: nothing is sent, and the log says which day', async () => {
    const ended = endedCertificate;
    const parts = { cert: file('ended.pem', ended.cert), key: file('ended.key', ended.key) };
    const before = relay.sandbox.statistics.token.refused;
    await relay.restart(application({ grant: 'client_credentials', certificate: parts }));
    await expectDeferred('TOKEN_CREDENTIAL_EXPIRED');
    expect(relay.sandbox.statistics.token.refused).toBe(before);
  });

  it('with a workload identity, whose token changes between requests', async () => {
    relay.sandbox.trusted.addFederatedCredential(
      'https://kubernetes.lab.test',
      'system:serviceaccount:mail:postern',
      platformKey.publicKey,
    );
    const first = platformToken();
    const federatedTokenFile = file('identity-token', first);
    await relay.restart(application({ grant: 'client_credentials', federatedTokenFile }));
    await expectRelayed();
    const second = platformToken();
    file('identity-token', second);
    relay.sandbox.mint.revokeAccessTokens();
    await relay.restart();
    await expectRelayed();
    secrets.push(first, second);
  });

  it('with the token of another workload', async () => {
    file('identity-token', platformToken('system:serviceaccount:mail:other'));
    await relay.restart(
      application({ grant: 'client_credentials', federatedTokenFile: './identity-token', scopes: ['https://outlook.office.com/.default'] }),
    );
    await expectDeferred('TOKEN_MISCONFIGURED');
    expect(relay.log.of('token-failed').at(-1)?.problem?.cause).toContain('AADSTS700213');
  });

  it('with the identity of the machine', async () => {
    vi.stubEnv('IDENTITY_ENDPOINT', relay.sandbox.identityUrl);
    vi.stubEnv('IDENTITY_HEADER', undefined);
    await relay.restart(only({ grant: 'client_credentials', managedIdentity: true }));
    await expectRelayed();
  });

  it('with an identity that the machine does not have', async () => {
    vi.stubEnv('IDENTITY_ENDPOINT', relay.sandbox.identityUrl);
    vi.stubEnv('IDENTITY_HEADER', undefined);
    await relay.restart(only({ grant: 'client_credentials', managedIdentity: true, clientId: 'not-assigned' }));
    await expectDeferred('TOKEN_MISCONFIGURED');
  });
});

describe('refresh_token', () => {
  it('with a certificate', async () => {
    const refreshToken = relay.sandbox.mint.refreshToken(MAILBOX);
    secrets.push(refreshToken);
    const parts = { cert: file('both.pem', certificate.cert + certificate.key) };
    await relay.restart(application({ grant: 'refresh_token', certificate: parts, refreshToken }));
    await expectRelayed();
  });

  it('with a workload identity', async () => {
    const refreshToken = relay.sandbox.mint.refreshToken(MAILBOX);
    const token = platformToken();
    secrets.push(refreshToken, token);
    await relay.restart(application({ grant: 'refresh_token', federatedTokenFile: file('identity-token', token), refreshToken }));
    await expectRelayed();
  });
});

describe('service_account', () => {
  const EMAIL = 'relay@project.iam.gserviceaccount.com';
  const keyFile = (): string =>
    file(
      'google.json',
      JSON.stringify({ type: 'service_account', client_email: EMAIL, private_key: serviceKey.privateKey, private_key_id: 'k1' }),
    );
  const provider = (): object => ({ tokenUrl: relay.sandbox.googleTokenUrl, scopes: ['https://mail.google.com/'] });

  it('acts for the mailbox', async () => {
    secrets.push(serviceKey.privateKey.split('\n')[3] ?? '');
    relay.sandbox.trusted.addServiceAccount(EMAIL, serviceKey.publicKey);
    await relay.restart(only({ grant: 'service_account', keyFile: keyFile() }), provider());
    await expectRelayed();
  });

  it('without delegation is told where to give it', async () => {
    relay.sandbox.trusted.addServiceAccount(EMAIL, serviceKey.publicKey, false);
    await relay.restart(only({ grant: 'service_account', keyFile: keyFile(), scopes: ['https://mail.google.com/', 'openid'] }), provider());
    await expectDeferred('TOKEN_POLICY');
    expect(relay.log.of('token-failed').at(-1)?.problem?.remedy).toContain('domain-wide delegation');
  });
});

describe('command', () => {
  it('prints the token', async () => {
    const accessToken = relay.sandbox.mint.accessToken(MAILBOX);
    secrets.push(accessToken);
    file('token.json', JSON.stringify({ access_token: accessToken, expires_in: 3000 }));
    file('get-token.sh', '#!/bin/sh\nexec cat token.json\n', 0o700);
    await relay.restart(only({ grant: 'command', command: ['./get-token.sh'] }));
    await expectRelayed();
  });

  it('that has failed leaves mail with the application for now', async () => {
    file('fail.sh', '#!/bin/sh\necho "vault is sealed" >&2\nexit 1\n', 0o700);
    await relay.restart(only({ grant: 'command', command: ['./fail.sh'] }));
    const answer = await submit({ port: relay.port, login: LOGIN }).catch((error: unknown) => error);
    expect(answer).toMatchObject({ code: 451 });
    expect(relay.log.of('token-failed').at(-1)?.problem?.cause).toBe('./fail.sh ended with exit code 1: vault is sealed');
  });
});

describe('basic', () => {
  const password = 'upstream~password~secret';

  it('signs in with the password', async () => {
    secrets.push(password, Buffer.from(password).toString('base64'));
    relay.sandbox.trusted.setPassword(MAILBOX, password);
    await relay.restart(only({ grant: 'basic', password }));
    await expectRelayed();
    expect(relay.log.of('sandbox-message-received').at(-1)?.mechanism).toBe('LOGIN');
  });

  it('with a wrong password tries once, however many messages come', async () => {
    await relay.restart(only({ grant: 'basic', password: 'another~password~secret' }));
    secrets.push('another~password~secret');
    const before = relay.sandbox.statistics.submission.authRefused;
    for (let count = 0; count < 3; count += 1) {
      const answer = await submit({ port: relay.port, login: LOGIN }).catch((error: unknown) => error);
      expect(answer).toMatchObject({ code: 454 });
    }
    expect(relay.sandbox.statistics.submission.authRefused).toBe(before + 1);
  });
});
