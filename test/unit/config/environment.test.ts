/** The shorthand: one account and one client from environment variables. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { ConfigFolder, configOf, noticesOf, problemsOf } from '../../support/config-folder.ts';

const folder = new ConfigFolder();
const load = (env: Record<string, string>) => loadConfig({ env, cwd: folder.path });

const BASE = {
  POSTERN_MAILBOX: 'app@contoso.com',
  POSTERN_TENANT: 'contoso.com',
  POSTERN_CLIENT_ID: '11111111-2222-3333-4444-555555555555',
};

beforeAll(() => {
  folder.write('secret', 'client~secret\n');
  folder.write('token', '0.AX-refresh');
  folder.write('password', 'local-password');
});
afterAll(() => folder.remove());

describe('the environment', () => {
  it('makes an account with a client secret and a client on loopback', async () => {
    const result = await load({ ...BASE, POSTERN_CLIENT_SECRET_FILE: 'secret' });
    expect(configOf(result)).toMatchObject({
      source: 'environment',
      listeners: { smtp: [{ name: '127.0.0.1:2525' }] },
      state: { dir: join(folder.path, 'var') },
      accounts: [
        {
          name: 'main',
          mailbox: 'app@contoso.com',
          provider: { name: 'microsoft365', tokenUrl: 'https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token' },
          auth: { grant: 'client_credentials', clientSecret: 'client~secret' },
        },
      ],
      clients: [{ name: 'application', account: 'main', networks: ['127.0.0.0/8', '::1/128'], senders: ['app@contoso.com'] }],
      secrets: ['client~secret'],
      files: [join(folder.path, 'secret')],
    });
    expect(configOf(result).clients[0]).not.toHaveProperty('login');
    expect(noticesOf(result)).toEqual([]);
  });

  it('makes an account with a refresh token and a client with a password', async () => {
    const config = configOf(
      await load({
        ...BASE,
        POSTERN_CLIENT_SECRET_FILE: 'secret',
        POSTERN_REFRESH_TOKEN_FILE: 'token',
        POSTERN_USERNAME: 'app',
        POSTERN_PASSWORD_FILE: 'password',
        POSTERN_LISTEN: '[::1]:2526',
        POSTERN_STATE_DIR: 'state',
      }),
    );
    expect(config).toMatchObject({
      listeners: { smtp: [{ host: '::1', port: 2526, name: '[::1]:2526' }] },
      state: { dir: join(folder.path, 'state') },
      accounts: [{ auth: { grant: 'refresh_token', refreshToken: '0.AX-refresh', clientSecret: 'client~secret' } }],
      clients: [{ login: { username: 'app', secret: { kind: 'password', password: 'local-password' } }, networks: [] }],
    });
  });

  it('may choose the grant and the provider', async () => {
    const { POSTERN_TENANT, ...rest } = BASE;
    const config = configOf(
      await load({ ...rest, POSTERN_PROVIDER: 'google', POSTERN_GRANT: 'refresh_token', POSTERN_REFRESH_TOKEN_FILE: 'token' }),
    );
    expect(POSTERN_TENANT).toBe('contoso.com');
    expect(config.accounts[0]).toMatchObject({ provider: { name: 'google' }, auth: { grant: 'refresh_token' } });
  });

  it('does not look for references in its values', async () => {
    const config = configOf(await load({ ...BASE, POSTERN_USERNAME: '${env:HOME}', POSTERN_PASSWORD_FILE: 'password' }));
    expect(config.clients[0]?.login?.username).toBe('${env:HOME}');
  });

  it.each([
    ['a tenant that is missing', { POSTERN_TENANT: '' }, 'POSTERN_TENANT', 'is missing'],
    ['a client id that is missing', { POSTERN_CLIENT_ID: '' }, 'POSTERN_CLIENT_ID', 'is missing'],
    ['a mailbox that is none', { POSTERN_MAILBOX: 'app' }, 'POSTERN_MAILBOX', 'mail address'],
    ['a provider that is none', { POSTERN_PROVIDER: 'microsoft' }, 'POSTERN_PROVIDER', 'there is no provider'],
    ['a grant that is none', { POSTERN_GRANT: 'password' }, 'POSTERN_GRANT', 'must be one of'],
    [
      'a service account that is not there',
      { POSTERN_TENANT: '', POSTERN_CLIENT_ID: '', POSTERN_PROVIDER: 'google', POSTERN_SERVICE_ACCOUNT_FILE: 'nowhere' },
      'POSTERN_SERVICE_ACCOUNT_FILE',
      'no such file',
    ],
    ['a certificate that is none', { POSTERN_CERTIFICATE_FILE: 'secret' }, 'POSTERN_CERTIFICATE_FILE', 'no private key'],
    ['a managed identity that is neither', { POSTERN_MANAGED_IDENTITY: 'perhaps' }, 'POSTERN_MANAGED_IDENTITY', 'true or false'],
    ['a grant without its secret', { POSTERN_GRANT: 'client_credentials' }, 'POSTERN_CLIENT_SECRET_FILE', 'is missing'],
    ['a file that is not there', { POSTERN_REFRESH_TOKEN_FILE: 'nowhere' }, 'POSTERN_REFRESH_TOKEN_FILE', 'no such file'],
    ['a user name without a password', { POSTERN_USERNAME: 'app' }, 'POSTERN_PASSWORD_FILE', 'is missing'],
    ['a password without a user name', { POSTERN_PASSWORD_FILE: 'password' }, 'POSTERN_USERNAME', 'is missing'],
    ['a listener that is none', { POSTERN_LISTEN: 'localhost' }, 'POSTERN_LISTEN', 'host:port'],
    ['a port that is none', { POSTERN_LISTEN: '127.0.0.1:70000' }, 'POSTERN_LISTEN', 'at most 65535'],
    ['a secret as a value', { POSTERN_CLIENT_SECRET: 'client~secret' }, 'POSTERN_CLIENT_SECRET', 'POSTERN_CLIENT_SECRET_FILE'],
  ])('names the variable: %s', async (_, env, path, message) => {
    const problems = problemsOf(await load({ ...BASE, ...env }));
    expect(problems).toMatchObject([{ path, message: expect.stringContaining(message) }]);
    expect(problems[0]).not.toHaveProperty('line');
    expect(JSON.stringify(problems)).not.toContain('client~secret');
  });

  it('points out a misspelt variable, and leaves those of Kubernetes alone', async () => {
    const result = await load({
      ...BASE,
      POSTERN_CLIENT_SECRET_FIEL: 'x',
      POSTERN_PORT_2525_TCP_ADDR: '10.0.0.1',
      POSTERN_SERVICE_HOST: '10.0.0.1',
    });
    expect(noticesOf(result).filter(({ message }) => message.includes('unknown variable'))).toMatchObject([
      { path: 'POSTERN_CLIENT_SECRET_FIEL', message: expect.stringContaining('POSTERN_CLIENT_SECRET_FILE') },
    ]);
  });

  it('gives way to a configuration file, and says so', async () => {
    const other = new ConfigFolder();
    try {
      other.write('config/postern.yaml', 'clients: [{ name: a, networks: ["::1"] }]');
      const result = await loadConfig({ env: BASE, cwd: other.path });
      expect(configOf(result).accounts).toEqual([]);
      expect(noticesOf(result)).toMatchObject([{ path: 'POSTERN_MAILBOX', message: expect.stringContaining('is ignored') }]);
    } finally {
      other.remove();
    }
  });

  it('without POSTERN_MAILBOX and without a file is a problem that names both', async () => {
    const problems = problemsOf(await load({ POSTERN_TENANT: 'contoso.com' }));
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toMatch(/config\/postern\.yaml.*POSTERN_CONFIG.*POSTERN_MAILBOX/);
  });
});
