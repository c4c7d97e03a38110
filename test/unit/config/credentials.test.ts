/** What accounts sign in with: certificates, workload identities, managed identities, service accounts, programs, passwords. */
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import type { EpochMs } from '../../../src/core/clock.ts';
import { ConfigFolder, configOf, noticesOf, problemsOf } from '../../support/config-folder.ts';
import { applicationCertificate, ellipticKey, encryptedKey, rsaKey } from '../../support/signing.ts';
import { GOOD_CLIENT } from './bad-configs.ts';

const folder = new ConfigFolder();
afterAll(() => folder.remove());
const certificate = applicationCertificate({ days: 365 });
const serviceKey = rsaKey();
const TENANT = 'tenant: contoso.com';
const CLIENT_ID = 'clientId: 11111111-2222-3333-4444-555555555555';
const ENTRA = `${TENANT}, ${CLIENT_ID}`;

const yaml = (auth: string, more = ''): string =>
  `accounts:\n  - { name: main, mailbox: main@contoso.com, ${more}auth: { ${auth} } }\n${GOOD_CLIENT}`;
const load = (auth: string, more = '', env: Record<string, string> = {}) =>
  folder.load(yaml(auth, more), { PATH: '/usr/bin:/bin', ...env });
const authOf = async (...parts: Parameters<typeof load>) => configOf(await load(...parts)).accounts[0]?.auth;
const fine = async (...parts: Parameters<typeof load>): Promise<void> => expect(noticesOf(await load(...parts))).toEqual([]);

async function expectProblem(result: ReturnType<typeof load>, path: string, message: string): Promise<void> {
  const problems = problemsOf(await result);
  expect(problems).toMatchObject([{ path: `accounts[0].${path}`, message: expect.stringContaining(message) as string }]);
  expect(JSON.stringify(problems)).not.toMatch(/~secret|PRIVATE KEY-----|MII/);
}

async function expectNotice(result: ReturnType<typeof load>, path: string, message: string): Promise<void> {
  expect(noticesOf(await result)).toMatchObject([{ path: `accounts[0].${path}`, message: expect.stringContaining(message) as string }]);
}

describe('a certificate', () => {
  folder.write('app.pem', certificate.cert, 0o644);
  folder.write('app.key', certificate.key);
  folder.write('both.pem', certificate.cert + certificate.key);
  folder.write('locked.key', encryptedKey(certificate.key, 'key~secret'));
  folder.write('other.key', rsaKey().privateKey);
  folder.write('elliptic.key', ellipticKey());
  folder.write('short.key', rsaKey(1024).privateKey);
  folder.write('open.key', certificate.key, 0o644);
  const of = (parts: string, grant = 'client_credentials'): string => `grant: ${grant}, ${ENTRA}, certificate: { ${parts} }`;

  it.each(['client_credentials', 'refresh_token'])('proves the application with grant %s', async (grant) => {
    const seed = grant === 'refresh_token' ? ', refreshToken: 0.seed-of-the-line' : '';
    await fine(`${of('cert: app.pem, key: app.key', grant)}${seed}`);
    expect(await authOf(`${of('cert: app.pem, key: app.key', grant)}${seed}`)).toMatchObject({
      grant,
      clientId: '11111111-2222-3333-4444-555555555555',
      tenant: 'contoso.com',
      certificate: { cert: certificate.cert, key: certificate.key },
    });
  });

  it('may stand in one file with its key, or have a key with a passphrase', async () => {
    await fine(of('cert: both.pem'));
    expect(await authOf(of('cert: both.pem'))).toMatchObject({ certificate: { key: certificate.cert + certificate.key } });
    expect(await authOf(of('cert: app.pem, key: locked.key, passphrase: key~secret'))).toMatchObject({
      certificate: { passphrase: 'key~secret' },
    });
  });

  it('has its files watched, and its secrets hidden in logs', async () => {
    const { files, secrets } = configOf(await load(of('cert: app.pem, key: locked.key, passphrase: key~secret')));
    expect(files).toEqual(expect.arrayContaining([join(folder.path, 'app.pem'), join(folder.path, 'locked.key')]));
    expect(secrets).toContain('key~secret');
    const { secrets: clear } = configOf(await load(of('cert: app.pem, key: app.key')));
    expect(clear.some((secret) => secret.includes('BEGIN PRIVATE KEY'))).toBe(true);
    expect(clear.some((secret) => certificate.key.includes(secret) && !secret.includes('-----'))).toBe(true);
  });

  it.each([
    ['a file that is not there', 'cert: no.pem, key: app.key', 'auth.certificate.cert', 'no such file'],
    ['no key', 'cert: app.pem', 'auth.certificate.cert', 'no private key'],
    ['the key of another', 'cert: app.pem, key: other.key', 'auth.certificate.cert', 'does not belong to the key'],
    ['an elliptic key', 'cert: app.pem, key: elliptic.key', 'auth.certificate.key', 'an RSA key is needed'],
    ['a short key', 'cert: app.pem, key: short.key', 'auth.certificate.key', '2048 or more'],
    ['a locked key without passphrase', 'cert: app.pem, key: locked.key', 'auth.certificate.key', 'none is given'],
    ['a wrong passphrase', 'cert: app.pem, key: locked.key, passphrase: another~secret', 'auth.certificate.key', 'passphrase is wrong'],
    ['no certificate', 'key: app.key', 'auth.certificate.cert', 'is missing'],
  ])('with %s is refused', async (_what, parts, path, message) => {
    await expectProblem(load(of(parts)), path, message);
  });

  it('whose key others may read is pointed out', async () => {
    await expectNotice(load(of('cert: app.pem, key: open.key')), 'auth.certificate.key', 'may be read by everybody');
  });

  it('beside another proof is one too many', async () => {
    await expectProblem(
      load(`${of('cert: app.pem, key: app.key')}, clientSecret: client~secret`),
      'auth.certificate',
      'there is clientSecret already',
    );
  });

  describe('by the calendar', () => {
    const until = Date.parse(new X509Certificate(certificate.cert).validTo);
    const day = 86_400_000;
    const at = (now: number) =>
      loadConfig({
        file: folder.write('dated.yaml', yaml(of('cert: app.pem, key: app.key'))),
        env: {},
        cwd: folder.path,
        now: now as EpochMs,
      });
    const date = new Date(until).toISOString().slice(0, 10);

    it.each([
      [until - 20 * day - 1000, `ends on ${date}, in 20 days`],
      [until - day - 1000, `ends on ${date}, in 1 day:`],
      [until, `ended on ${date}`],
      [until + 400 * day, `ended on ${date}`],
      [until - 400 * day, 'begins on'],
    ])('at %d: %s, and the other accounts go on', async (now, message) => {
      expect(noticesOf(await at(now))).toMatchObject([
        { path: 'accounts[0].auth.certificate.cert', message: expect.stringContaining(message) as string },
      ]);
    });

    it('is fine with more than 30 days left', async () => {
      expect(noticesOf(await at(until - 31 * day))).toEqual([]);
    });
  });
});

describe('a workload identity', () => {
  folder.write('azure/token', 'eyJh.eyJz.c2ln');
  const AZURE = {
    AZURE_CLIENT_ID: '99999999-2222-3333-4444-555555555555',
    AZURE_TENANT_ID: '88888888-2222-3333-4444-555555555555',
    AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com/',
  };

  it('takes client and tenant from the environment, where the file does not say', async () => {
    const auth = 'grant: client_credentials, federatedTokenFile: azure/token';
    const result = await load(auth, '', AZURE);
    expect(noticesOf(result)).toEqual([]);
    expect(configOf(result).accounts[0]).toMatchObject({
      auth: { clientId: AZURE.AZURE_CLIENT_ID, tenant: AZURE.AZURE_TENANT_ID, federatedTokenFile: join(folder.path, 'azure/token') },
      provider: { tokenUrl: `https://login.microsoftonline.com/${AZURE.AZURE_TENANT_ID}/oauth2/v2.0/token` },
    });
    expect(await authOf(`${auth}, ${ENTRA}`, '', AZURE)).toMatchObject({
      clientId: '11111111-2222-3333-4444-555555555555',
      tenant: 'contoso.com',
    });
  });

  it('is not watched: the platform writes the file anew, and it is read at each use', async () => {
    const { files } = configOf(await load(`grant: client_credentials, ${ENTRA}, federatedTokenFile: azure/token`));
    expect(files).toEqual([join(folder.path, 'postern.yaml')]);
  });

  it('asks where its cloud says', async () => {
    const auth = `grant: client_credentials, ${ENTRA}, federatedTokenFile: azure/token`;
    const result = await load(auth, '', { AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us/' });
    expect(configOf(result).accounts[0]?.provider.tokenUrl).toBe('https://login.microsoftonline.us/contoso.com/oauth2/v2.0/token');
    expect(noticesOf(result)).toMatchObject([
      { path: 'AZURE_AUTHORITY_HOST', message: expect.stringContaining('of that cloud') as string },
    ]);
    const secret = configOf(await load(`grant: client_credentials, ${ENTRA}, clientSecret: client~secret`, '', AZURE));
    expect(secret.accounts[0]?.provider.tokenUrl).toContain('login.microsoftonline.com');
  });

  it('does not ask a host without TLS', async () => {
    const auth = `grant: client_credentials, ${ENTRA}, federatedTokenFile: azure/token`;
    const problems = problemsOf(await load(auth, '', { AZURE_AUTHORITY_HOST: 'http://login.lab.test' }));
    expect(problems).toMatchObject([{ path: 'AZURE_AUTHORITY_HOST', message: expect.stringContaining('https://') as string }]);
  });

  it('does not move a provider of the configuration', async () => {
    const text = `providers: { lab: { extends: microsoft365, tokenUrl: "https://login.lab.test/t" } }\n${yaml(`grant: client_credentials, ${ENTRA}, federatedTokenFile: azure/token`, 'provider: lab, ')}`;
    const result = await folder.load(text, { AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us/' });
    expect(configOf(result).accounts[0]?.provider.tokenUrl).toBe('https://login.lab.test/t');
  });

  it('without its file, client or tenant is refused', async () => {
    await expectProblem(
      load(`grant: client_credentials, ${ENTRA}, federatedTokenFile: no/token`),
      'auth.federatedTokenFile',
      'no such file',
    );
    await expectProblem(
      load(`grant: client_credentials, ${ENTRA}, federatedTokenFile: azure`),
      'auth.federatedTokenFile',
      'not a regular file',
    );
    await expectProblem(load(`grant: client_credentials, ${TENANT}, federatedTokenFile: azure/token`), 'auth.clientId', 'AZURE_CLIENT_ID');
    await expectProblem(load(`grant: client_credentials, ${CLIENT_ID}, federatedTokenFile: azure/token`), 'auth.tenant', 'is missing');
  });
});

describe('a managed identity', () => {
  it('needs nothing else, or the id of one that was assigned', async () => {
    expect(await authOf('grant: client_credentials, managedIdentity: true')).toEqual({
      grant: 'client_credentials',
      managedIdentity: true,
    });
    await fine('grant: client_credentials, managedIdentity: true');
    expect(await authOf(`grant: client_credentials, managedIdentity: true, ${CLIENT_ID}`)).toMatchObject({
      clientId: '11111111-2222-3333-4444-555555555555',
    });
  });

  it('knows its tenant itself', async () => {
    await expectNotice(load(`grant: client_credentials, managedIdentity: true, ${TENANT}`), 'auth.tenant', 'is not used');
  });

  it('excludes other proofs', async () => {
    await expectProblem(
      load('grant: client_credentials, managedIdentity: true, clientSecret: client~secret'),
      'auth.managedIdentity',
      'there is clientSecret already',
    );
  });

  it('that is switched off is none', async () => {
    await expectProblem(
      load(`grant: client_credentials, ${ENTRA}, managedIdentity: false`),
      'auth.clientSecret',
      'certificate, federatedTokenFile or managedIdentity',
    );
  });

  it('is for applications: nobody signs in', async () => {
    await expectProblem(load(`grant: refresh_token, ${ENTRA}, managedIdentity: true`), 'auth.managedIdentity', 'unknown key');
  });
});

describe('a service account', () => {
  const json = (changes: object = {}): string =>
    JSON.stringify({
      type: 'service_account',
      project_id: 'p',
      private_key_id: '0123456789abcdef',
      private_key: serviceKey.privateKey,
      client_email: 'relay@p.iam.gserviceaccount.com',
      token_uri: 'https://oauth2.googleapis.com/token',
      ...changes,
    });
  folder.write('google.json', json());
  const GOOGLE = 'provider: google, ';
  const of = (file: string): string => `grant: service_account, keyFile: ${file}`;

  it('comes from the file that Google gives out', async () => {
    await fine(of('google.json'), GOOGLE);
    const { accounts, files, secrets } = configOf(await load(of('google.json'), GOOGLE));
    expect(accounts[0]?.auth).toEqual({
      grant: 'service_account',
      clientEmail: 'relay@p.iam.gserviceaccount.com',
      privateKey: serviceKey.privateKey,
      privateKeyId: '0123456789abcdef',
    });
    expect(accounts[0]?.provider.scopes).toEqual(['https://mail.google.com/']);
    expect(files).toContain(join(folder.path, 'google.json'));
    expect(secrets).toContain(serviceKey.privateKey);
  });

  it('may stand in the file itself, with \\n for line ends', async () => {
    const key = JSON.stringify(serviceKey.privateKey).replaceAll('\\n', '\\\\n');
    expect(await authOf(`grant: service_account, clientEmail: a@p.iam.gserviceaccount.com, privateKey: ${key}`, GOOGLE)).toMatchObject({
      clientEmail: 'a@p.iam.gserviceaccount.com',
      privateKey: serviceKey.privateKey,
    });
  });

  it.each([
    ['that is not JSON', 'not { json ~secret', 'is not JSON'],
    ['of a person', json({ type: 'authorized_user' }), 'of type authorized_user'],
    ['of something else', json({ type: 'some~secret' }), 'of type something else'],
    ['without a key', json({ private_key: undefined }), 'lacks client_email or private_key'],
    ['without an address', json({ client_email: undefined }), 'lacks client_email or private_key'],
    ['with a key that is none', json({ private_key: 'key~secret' }), 'the private key is no private key in PEM form'],
    ['with a damaged key', json({ private_key: serviceKey.privateKey.replace(/\n[^\n]+\n/, '\n') }), 'the private key cannot be read'],
  ])('with a file %s is refused', async (_what, content, message) => {
    folder.write('bad.json', content);
    await expectProblem(load(of('bad.json'), GOOGLE), 'auth.keyFile', message);
  });

  it.each([
    ['nothing', 'grant: service_account', 'auth.keyFile', 'is missing'],
    ['half of a key', 'grant: service_account, clientEmail: a@b.test', 'auth.privateKey', 'is missing'],
    ['two keys', 'grant: service_account, keyFile: google.json, clientEmail: a@b.test', 'auth.clientEmail', 'one too many'],
    [
      'a wrong scope',
      'grant: service_account, keyFile: google.json, scopes: ["https://www.googleapis.com/auth/gmail.send"]',
      'auth.scopes[0]',
      'does not open SMTP',
    ],
  ])('with %s is refused', async (_what, auth, path, message) => {
    await expectProblem(load(auth, GOOGLE), path, message);
  });

  it('cannot act for a personal mailbox, nor at Microsoft', async () => {
    const personal = yaml(of('google.json'), GOOGLE).replace('main@contoso.com', 'someone@gmail.com');
    expect(problemsOf(await folder.load(personal))).toMatchObject([
      { path: 'accounts[0].mailbox', message: expect.stringContaining('Workspace') as string },
    ]);
    const problems = problemsOf(await load(of('google.json')));
    expect(problems.map(({ path }) => path)).toContain('accounts[0].auth.grant');
  });

  it('signs in as the mailbox', async () => {
    await expectNotice(load(of('google.json'), `${GOOGLE}smtpUser: other@contoso.com, `), 'smtpUser', 'the token is for the mailbox');
  });
});

describe('a program', () => {
  folder.write('get-token.sh', '#!/bin/sh\necho token\n', 0o700);
  folder.write('not-a-program', 'x');
  folder.write('open-program', '#!/bin/sh\n', 0o777);

  it('is taken with its arguments, from PATH or from the folder of the file', async () => {
    expect(await authOf('grant: command, command: [./get-token.sh, main@contoso.com, --json]')).toEqual({
      grant: 'command',
      command: ['./get-token.sh', 'main@contoso.com', '--json'],
      directory: folder.path,
      timeout: 10_000,
      passEnvironment: [],
    });
    const vault = 'grant: command, command: [sh, -c, "true"], timeout: 20s, passEnvironment: [VAULT_ADDR]';
    expect(await authOf(vault, '', { VAULT_ADDR: 'https://vault.lab.test' })).toMatchObject({
      timeout: 20_000,
      passEnvironment: ['VAULT_ADDR'],
    });
    await fine(vault, '', { VAULT_ADDR: 'x' });
  });

  it.each([
    ['that is not in PATH', 'command: [no-such-program]', 'auth.command[0]', 'no program no-such-program in PATH'],
    ['that is not there', 'command: [./no.sh]', 'auth.command[0]', 'no such file'],
    ['that cannot be run', 'command: [./not-a-program]', 'auth.command[0]', 'cannot be run'],
    ['that everybody may write', 'command: [./open-program]', 'auth.command[0]', 'written by everybody'],
    ['that is a folder', 'command: [./azure]', 'auth.command[0]', 'not a program'],
    ['without a name', 'command: []', 'auth.command', 'empty'],
    ['given as one text', 'command: "sh -c true"', 'auth.command', 'a list'],
    ['with too much time', 'command: [sh], timeout: 60s', 'auth.timeout', 'at most 30s'],
    [
      'with a variable that is none',
      'command: [sh], passEnvironment: ["A=B"]',
      'auth.passEnvironment[0]',
      'name of an environment variable',
    ],
  ])('%s is refused', async (_what, auth, path, message) => {
    await expectProblem(load(`grant: command, ${auth}`), path, message);
  });

  it('gets no secret by its arguments unnoticed', async () => {
    folder.write('vault-token', 'vault~secret');
    const result = await load('grant: command, command: [sh, "${file:vault-token}"]');
    expect(noticesOf(result)).toMatchObject([
      { path: 'accounts[0].auth.command[1]', message: expect.stringContaining('every user of the machine') as string },
    ]);
    expect(JSON.stringify(noticesOf(result))).not.toContain('vault~secret');
  });

  it('is told of variables that are not set', async () => {
    await expectNotice(
      load('grant: command, command: [sh], passEnvironment: [VAULT_ADDR]'),
      'auth.passEnvironment[0]',
      'VAULT_ADDR is not set',
    );
  });
});

describe('a password', () => {
  it('is taken, and is a secret', async () => {
    const { accounts, secrets } = configOf(await load('grant: basic, password: upstream~secret', 'provider: fastmail, '));
    expect(accounts[0]?.auth).toEqual({ grant: 'basic', password: 'upstream~secret' });
    expect(secrets).toContain('upstream~secret');
    await fine('grant: basic, password: upstream~secret', 'provider: fastmail, ');
  });

  it.each([
    ['microsoft365', 'end of December 2026'],
    ['microsoft365-gcc-high', 'end of December 2026'],
    ['google', 'application passwords only'],
    ['yahoo', 'application passwords only'],
  ])('at %s is pointed out: %s', async (provider, message) => {
    await expectNotice(load('grant: basic, password: upstream~secret', `provider: ${provider}, `), 'auth.grant', message);
  });

  it('is over at outlook.com, and needed', async () => {
    await expectProblem(load('grant: basic, password: upstream~secret', 'provider: outlook, '), 'auth.grant', 'September 2024');
    await expectProblem(load('grant: basic'), 'auth.password', 'is missing');
  });
});

describe('the environment shorthand', () => {
  afterEach(() => folder.write('postern.yaml', ''));
  const MAILBOX = { POSTERN_MAILBOX: 'app@contoso.com' };
  const TENANT_ENV = { POSTERN_TENANT: 'contoso.com', POSTERN_CLIENT_ID: '11111111-2222-3333-4444-555555555555' };
  const shorthand = (env: Record<string, string>) => loadConfig({ env: { ...MAILBOX, ...env }, cwd: folder.path });
  const authFrom = async (env: Record<string, string>) => configOf(await shorthand(env)).accounts[0]?.auth;

  it('needs nothing but the mailbox in a pod with a workload identity', async () => {
    const result = await shorthand({
      AZURE_CLIENT_ID: '99999999-2222-3333-4444-555555555555',
      AZURE_TENANT_ID: '88888888-2222-3333-4444-555555555555',
      AZURE_FEDERATED_TOKEN_FILE: join(folder.path, 'azure/token'),
      AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com/',
    });
    expect(noticesOf(result)).toEqual([]);
    expect(configOf(result).accounts[0]?.auth).toEqual({
      grant: 'client_credentials',
      clientId: '99999999-2222-3333-4444-555555555555',
      tenant: '88888888-2222-3333-4444-555555555555',
      federatedTokenFile: join(folder.path, 'azure/token'),
    });
  });

  it('leaves the workload identity alone where there is another credential', async () => {
    folder.write('env-secret', 'client~secret');
    const AZURE = { AZURE_FEDERATED_TOKEN_FILE: join(folder.path, 'azure/token'), AZURE_CLIENT_ID: 'x' };
    expect(await authFrom({ ...AZURE, ...TENANT_ENV, POSTERN_CLIENT_SECRET_FILE: 'env-secret' })).not.toHaveProperty('federatedTokenFile');
    expect(await authFrom({ ...AZURE, ...TENANT_ENV, POSTERN_REFRESH_TOKEN_FILE: 'env-secret' })).toMatchObject({ grant: 'refresh_token' });
    expect(await authFrom({ ...AZURE, ...TENANT_ENV, POSTERN_GRANT: 'refresh_token' })).not.toHaveProperty('federatedTokenFile');
  });

  it.each<[string, Record<string, string>, object]>([
    [
      'a certificate',
      { ...TENANT_ENV, POSTERN_CERTIFICATE_FILE: 'both.pem' },
      { grant: 'client_credentials', certificate: { cert: certificate.cert + certificate.key } },
    ],
    [
      'a token file',
      { ...TENANT_ENV, POSTERN_FEDERATED_TOKEN_FILE: 'azure/token' },
      { grant: 'client_credentials', federatedTokenFile: join(folder.path, 'azure/token') },
    ],
    ['a managed identity', { POSTERN_MANAGED_IDENTITY: 'true' }, { grant: 'client_credentials', managedIdentity: true }],
    ['a service account', { POSTERN_PROVIDER: 'google', POSTERN_SERVICE_ACCOUNT_FILE: 'google.json' }, { grant: 'service_account' }],
    [
      'a password',
      { POSTERN_PROVIDER: 'fastmail', POSTERN_UPSTREAM_PASSWORD_FILE: 'vault-token' },
      { grant: 'basic', password: 'vault~secret' },
    ],
  ])('takes %s', async (_what, env, expected) => {
    expect(await authFrom(env)).toMatchObject(expected);
  });

  it('takes a passphrase from a file', async () => {
    folder.write('locked-both.pem', certificate.cert + encryptedKey(certificate.key, 'key~secret'));
    folder.write('passphrase', 'key~secret\n');
    const env = { ...TENANT_ENV, POSTERN_CERTIFICATE_FILE: 'locked-both.pem', POSTERN_CERTIFICATE_PASSPHRASE_FILE: 'passphrase' };
    const { accounts, secrets } = configOf(await shorthand(env));
    expect(accounts[0]?.auth).toMatchObject({ certificate: { passphrase: 'key~secret' } });
    expect(secrets).toContain('key~secret');
  });
});

describe('the key of the state', () => {
  it('is where POSTERN_KEY_FILE says, before the configuration', async () => {
    const text = `state: { dir: ./var, keyFile: ./other.key }\n${GOOD_CLIENT}`;
    expect(configOf(await folder.load(text)).state.keyFile).toBe(join(folder.path, 'other.key'));
    expect(configOf(await folder.load(text, { POSTERN_KEY_FILE: '/run/secrets/key' })).state.keyFile).toBe('/run/secrets/key');
    expect(configOf(await folder.load(text, { POSTERN_KEY_FILE: '' })).state.keyFile).toBe(join(folder.path, 'other.key'));
    expect(configOf(await folder.load(text, { POSTERN_KEY_FILE: 'relative.key' })).state.keyFile).toBe(join(folder.path, 'relative.key'));
  });
});
