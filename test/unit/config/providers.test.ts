/** Built-in providers hold exactly what the vendors' pages say, and configured ones inherit from them key by key. */
import { afterAll, describe, expect, it } from 'vitest';
import { PRESETS } from '../../../src/config/presets.ts';
import { presetProvider } from '../../../src/config/providers.ts';
import { mebibytes } from '../../../src/core/octets.ts';
import { ConfigFolder, configOf, problemsOf } from '../../support/config-folder.ts';

const folder = new ConfigFolder();
afterAll(() => folder.remove());

describe('microsoft365', () => {
  it('asks Exchange Online, with the tenant in each URL', () => {
    expect(presetProvider('microsoft365', 'contoso.com')).toEqual({
      name: 'microsoft365',
      authorizeUrl: 'https://login.microsoftonline.com/contoso.com/oauth2/v2.0/authorize',
      tokenUrl: 'https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token',
      deviceUrl: 'https://login.microsoftonline.com/contoso.com/oauth2/v2.0/devicecode',
      scopes: ['https://outlook.office.com/SMTP.Send', 'offline_access'],
      identityScopes: ['openid', 'profile'],
      applicationScopes: ['https://outlook.office365.com/.default'],
      mechanism: 'XOAUTH2',
      smtp: { host: 'smtp.office365.com', port: 587, tls: 'starttls' },
      imap: { host: 'outlook.office365.com', port: 993, tls: 'implicit' },
      pop3: { host: 'outlook.office365.com', port: 995, tls: 'implicit' },
      limits: { connections: 3, messagesPerMinute: 30, recipientsPerDay: 10_000, maxSize: mebibytes(35), mailboxSessions: 16 },
    });
  });

  it('knows the scopes of the other protocols', () => {
    expect(PRESETS.get('microsoft365')?.scopes).toEqual({
      smtp: 'https://outlook.office.com/SMTP.Send',
      imap: 'https://outlook.office.com/IMAP.AccessAsUser.All',
      pop3: 'https://outlook.office.com/POP.AccessAsUser.All',
      always: ['offline_access'],
    });
  });
});

describe('the other built-in providers', () => {
  it.each([
    [
      'microsoft365-gcc-high',
      'https://login.microsoftonline.us/t/oauth2/v2.0/token',
      'smtp.office365.us',
      587,
      ['https://outlook.office365.us/SMTP.Send', 'offline_access'],
    ],
    [
      'microsoft365-dod',
      'https://login.microsoftonline.us/t/oauth2/v2.0/token',
      'outlook-dod.office365.us',
      587,
      ['https://outlook.office365.us/SMTP.Send', 'offline_access'],
    ],
    [
      'microsoft365-china',
      'https://login.partner.microsoftonline.cn/t/oauth2/v2.0/token',
      'smtp.partner.outlook.cn',
      587,
      ['https://partner.outlook.cn/SMTP.Send', 'offline_access'],
    ],
    ['google', 'https://oauth2.googleapis.com/token', 'smtp.gmail.com', 465, ['https://mail.google.com/']],
    ['yahoo', 'https://api.login.yahoo.com/oauth2/get_token', 'smtp.mail.yahoo.com', 465, ['mail-w']],
    ['aol', 'https://api.login.aol.com/oauth2/get_token', 'smtp.aol.com', 465, ['mail-w']],
    ['fastmail', 'https://api.fastmail.com/oauth/refresh', 'smtp.fastmail.com', 465, ['https://www.fastmail.com/dev/protocol-smtp']],
  ])('%s', (name, tokenUrl, host, port, scopes) => {
    expect(presetProvider(name, 't')).toMatchObject({
      name,
      tokenUrl,
      smtp: { host, port, tls: port === 465 ? 'implicit' : 'starttls' },
      scopes,
    });
  });

  it('outlook and sandbox bring their own tenant', () => {
    expect(presetProvider('outlook')).toMatchObject({
      tokenUrl: 'https://login.microsoftonline.com/consumers/oauth2/v2.0/token',
      smtp: { host: 'smtp-mail.outlook.com' },
      applicationScopes: [],
    });
    expect(presetProvider('sandbox')).toMatchObject({
      tokenUrl: 'http://127.0.0.1:8026/sandbox/oauth2/v2.0/token',
      smtp: { host: '127.0.0.1', port: 2587, tls: 'starttls' },
      imap: { host: '127.0.0.1', port: 2993, tls: 'implicit' },
      pop3: { host: '127.0.0.1', port: 2995, tls: 'implicit' },
    });
  });

  it.each([...PRESETS.keys()])('%s is complete: encrypted, with a token endpoint', (name) => {
    const provider = presetProvider(name, 'tenant');
    expect(provider.tokenUrl).toMatch(name === 'sandbox' ? /^http:\/\/127\.0\.0\.1:/ : /^https:\/\//);
    expect(JSON.stringify(provider)).not.toContain('{tenant}');
    for (const endpoint of [provider.smtp, provider.imap, provider.pop3]) expect(endpoint?.host).toMatch(/^[a-z0-9.-]+$/);
    expect(provider.scopes.length).toBeGreaterThan(0);
  });

  it('know no others', () => {
    expect(() => presetProvider('hotmail')).toThrow(RangeError);
  });
});

async function providerOf(providers: string, name: string) {
  const yaml = `providers:\n${providers}accounts: [{ name: a, provider: ${name}, mailbox: a@b.c, auth: { grant: refresh_token, tenant: t1, clientId: x } }]\n`;
  return configOf(await folder.load(yaml)).accounts[0]?.provider;
}

describe('a configured provider', () => {
  it('replaces what it says and inherits the rest, within maps too', async () => {
    const lab = `  lab:
    extends: microsoft365
    tokenUrl: https://login.lab.test/{tenant}/oauth2/v2.0/token
    scopes: [https://outlook.office.com/SMTP.Send, https://outlook.office.com/IMAP.AccessAsUser.All, offline_access]
    smtp: { host: smtp.lab.test }
    limits: { connections: 2, maxSize: 10MB }
`;
    expect(await providerOf(lab, 'lab')).toMatchObject({
      name: 'lab',
      tokenUrl: 'https://login.lab.test/t1/oauth2/v2.0/token',
      authorizeUrl: 'https://login.microsoftonline.com/t1/oauth2/v2.0/authorize',
      scopes: ['https://outlook.office.com/SMTP.Send', 'https://outlook.office.com/IMAP.AccessAsUser.All', 'offline_access'],
      smtp: { host: 'smtp.lab.test', port: 587, tls: 'starttls' },
      imap: { host: 'outlook.office365.com' },
      limits: { connections: 2, messagesPerMinute: 30, maxSize: mebibytes(10) },
    });
  });

  it('may extend another one, over several steps', async () => {
    const chain = '  a: { extends: b, mechanism: OAUTHBEARER }\n  b: { extends: google, smtp: { port: 587, tls: starttls } }\n';
    expect(await providerOf(chain, 'a')).toMatchObject({
      mechanism: 'OAUTHBEARER',
      smtp: { host: 'smtp.gmail.com', port: 587, tls: 'starttls' },
      tokenUrl: 'https://oauth2.googleapis.com/token',
    });
  });

  it('may replace a built-in one under its own name', async () => {
    const own = '  google: { extends: google, limits: { connections: 1 } }\n';
    expect(await providerOf(own, 'google')).toMatchObject({
      limits: { connections: 1, messagesPerMinute: 60 },
      smtp: { host: 'smtp.gmail.com' },
    });
  });

  it('needs nothing but a token endpoint and a submission server', async () => {
    const own =
      '  own: { tokenUrl: "https://id.lab.test/token", smtp: { host: smtp.lab.test, tls: implicit }, imap: { host: imap.lab.test } }\n';
    expect(await providerOf(own, 'own')).toEqual({
      name: 'own',
      tokenUrl: 'https://id.lab.test/token',
      scopes: [],
      applicationScopes: [],
      mechanism: 'XOAUTH2',
      smtp: { host: 'smtp.lab.test', port: 465, tls: 'implicit' },
      imap: { host: 'imap.lab.test', port: 993, tls: 'implicit' },
      limits: { connections: 3, messagesPerMinute: 30, recipientsPerDay: 10_000, maxSize: mebibytes(35), mailboxSessions: 16 },
    });
  });

  it.each(['localhost', '127.0.0.1', '127.8.8.8', '[::1]'])('may have a token endpoint without TLS on loopback: %s', async (host) => {
    expect(await providerOf(`  lab: { extends: google, tokenUrl: "http://${host}:8080/token" }\n`, 'lab')).toMatchObject({
      tokenUrl: `http://${host}:8080/token`,
    });
  });
});

describe('signing in', () => {
  it('at Google asks for what a refresh token needs there', () => {
    expect(presetProvider('google')).toMatchObject({
      authorizeUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
      authorizeParameters: { access_type: 'offline', prompt: 'consent' },
      redirectUri: 'http://127.0.0.1/oauth/callback',
      identityScopes: ['openid', 'email'],
    });
  });

  const lab = (keys: object): string => JSON.stringify({ providers: { lab: { extends: 'google', ...keys } } });
  const account = { name: 'box', provider: 'lab', mailbox: 'box@lab.test', auth: { grant: 'refresh_token', clientId: 'id' } };

  it('can be told what to send along, where to come back, and whom to ask for', async () => {
    const keys = { authorizeParameters: { hd: 'lab.test' }, redirectUri: 'http://localhost:8400/cb', identityScopes: [] };
    const yaml = JSON.stringify({ ...(JSON.parse(lab(keys)) as object), accounts: [account] });
    expect(configOf(await folder.load(yaml)).accounts[0]?.provider).toMatchObject(keys);
  });

  it.each([
    [{ authorizeParameters: { state: 'fixed' } }, 'providers.lab.authorizeParameters.state', 'is set by Postern itself'],
    [{ authorizeParameters: { code_challenge_method: 'plain' } }, 'providers.lab.authorizeParameters.code_challenge_method', 'is set by'],
    [{ authorizeParameters: ['prompt'] }, 'providers.lab.authorizeParameters', 'must be a map of keys'],
    [{ redirectUri: 'http://relay.lab.test/cb' }, 'providers.lab.redirectUri', 'must start with https://'],
    [{ redirectUri: 'http://localhost/cb#x' }, 'providers.lab.redirectUri', 'fragment'],
    [{ identityScopes: ['openid email'] }, 'providers.lab.identityScopes[0]', 'without spaces'],
  ])('%j is refused', async (keys, path, message) => {
    expect(problemsOf(await folder.load(lab(keys)))).toContainEqual(
      expect.objectContaining({ path, message: expect.stringContaining(message) }),
    );
  });
});
