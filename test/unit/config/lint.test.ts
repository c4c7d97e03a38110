/** What people paste, and the right value that they are told. */
import { afterAll, describe, expect, it } from 'vitest';
import { describeFinding } from '../../../src/config/config.ts';
import { ConfigFolder, noticesOf, problemsOf } from '../../support/config-folder.ts';

const folder = new ConfigFolder();
afterAll(() => folder.remove());

const ID = '11111111-2222-3333-4444-555555555555';

interface Pasted {
  readonly name: string;
  /** Keys of `auth`; the tenant and client id are good unless given. */
  readonly auth?: Readonly<Record<string, unknown>>;
  readonly provider?: string;
  readonly mailbox?: string;
  /** Keys of the provider `lab`, which the account then uses. */
  readonly lab?: Readonly<Record<string, unknown>>;
  readonly path: string;
  readonly message: string;
  readonly suggestion?: string;
}

/** JSON is YAML; a refresh token stands there so that nothing is said of a missing one. */
function yamlOf({ auth, provider, mailbox, lab }: Pasted): string {
  const grant = auth?.['grant'] ?? 'refresh_token';
  const given = {
    grant,
    tenant: 'contoso.com',
    clientId: ID,
    ...(grant === 'refresh_token' ? { refreshToken: '0.AX-seed' } : { clientSecret: 'client~secret' }),
    ...auth,
  };
  return JSON.stringify({
    ...(lab === undefined ? {} : { providers: { lab } }),
    accounts: [
      {
        name: 'main',
        provider: provider ?? (lab === undefined ? 'microsoft365' : 'lab'),
        mailbox: mailbox ?? 'a@contoso.com',
        auth: given,
      },
    ],
    clients: [{ name: 'local', networks: ['127.0.0.0/8'] }],
  });
}

const SMTP = 'https://outlook.office.com/SMTP.Send';
const scopes = (...list: string[]) => ({ scopes: [SMTP, 'offline_access', ...list] });
const SCOPE = 'accounts[0].auth.scopes[2]';

const PROBLEMS: readonly Pasted[] = [
  // Scopes.
  {
    name: 'a bare scope',
    auth: scopes('IMAP.AccessAsUser.All'),
    path: SCOPE,
    message: 'in full',
    suggestion: 'https://outlook.office.com/IMAP.AccessAsUser.All',
  },
  {
    name: 'a garbled scope',
    auth: scopes('IMAP.AccessAsUser.A;;'),
    path: SCOPE,
    message: 'in full',
    suggestion: 'https://outlook.office.com/IMAP.AccessAsUser.All',
  },
  {
    name: 'a scope with a word left out',
    auth: scopes('https://outlook.office.com/IMAP.AccessUser.All'),
    path: SCOPE,
    message: 'in full',
    suggestion: 'https://outlook.office.com/IMAP.AccessAsUser.All',
  },
  {
    name: 'a scope of Graph for mail',
    auth: scopes('https://graph.microsoft.com/POP.AccessAsUser.All'),
    path: SCOPE,
    message: 'in full',
    suggestion: 'https://outlook.office.com/POP.AccessAsUser.All',
  },
  {
    name: 'a scope in lower case',
    auth: { scopes: ['https://outlook.office.com/smtp.send', 'offline_access'] },
    path: 'accounts[0].auth.scopes[0]',
    message: 'in full',
    suggestion: SMTP,
  },
  {
    name: 'a bare scope in a national cloud',
    provider: 'microsoft365-china',
    auth: { scopes: ['SMTP.Send', 'offline_access'] },
    path: 'accounts[0].auth.scopes[0]',
    message: 'in full',
    suggestion: 'https://partner.outlook.cn/SMTP.Send',
  },
  { name: 'a scope of another resource', auth: scopes('User.Read'), path: SCOPE, message: 'Microsoft Graph' },
  { name: 'a scope of Graph', auth: scopes('https://graph.microsoft.com/Mail.Send'), path: SCOPE, message: 'Microsoft Graph' },
  {
    name: 'a permission of applications',
    auth: scopes('https://outlook.office.com/SMTP.SendAsApp'),
    path: SCOPE,
    message: 'client_credentials',
  },
  { name: 'several scopes in one text', auth: scopes('a b'), path: SCOPE, message: 'give several as a list' },
  {
    name: 'a permission in place of .default',
    auth: { grant: 'client_credentials', scopes: ['SMTP.SendAsApp'] },
    path: 'accounts[0].auth.scopes[0]',
    message: '/.default',
    suggestion: 'https://outlook.office365.com/.default',
  },
  {
    name: '.default of Graph',
    auth: { grant: 'client_credentials', scopes: ['https://graph.microsoft.com/.default'] },
    path: 'accounts[0].auth.scopes[0]',
    message: 'Exchange refuses',
    suggestion: 'https://outlook.office365.com/.default',
  },
  {
    name: 'gmail.send',
    provider: 'google',
    auth: { scopes: ['https://www.googleapis.com/auth/gmail.send'] },
    path: 'accounts[0].auth.scopes[0]',
    message: 'does not open SMTP',
    suggestion: 'https://mail.google.com/',
  },
  // Ids, tokens, secrets.
  { name: 'a zero-width space', auth: { clientId: `${ID}\u200b` }, path: 'accounts[0].auth.clientId', message: 'invisible' },
  { name: 'curly quotes', auth: { clientSecret: '\u201cclient~secret\u201d' }, path: 'accounts[0].auth.clientSecret', message: 'curly' },
  { name: 'a trailing blank', auth: { refreshToken: '0.AX-seed ' }, path: 'accounts[0].auth.refreshToken', message: 'blank' },
  { name: 'a second line end', auth: { clientSecret: 'client~secret\n' }, path: 'accounts[0].auth.clientSecret', message: 'line break' },
  {
    name: 'a letter of another alphabet',
    auth: { clientSecret: 'client\u0430secret' },
    path: 'accounts[0].auth.clientSecret',
    message: 'no such value',
  },
  { name: 'a placeholder', auth: { clientId: '<client-id>' }, path: 'accounts[0].auth.clientId', message: 'placeholder' },
  {
    name: 'a whole answer',
    auth: { refreshToken: '{"refresh_token":"x"}' },
    path: 'accounts[0].auth.refreshToken',
    message: 'more than the value',
  },
  {
    name: 'a name with the value',
    auth: { refreshToken: 'refresh_token=0.AX' },
    path: 'accounts[0].auth.refreshToken',
    message: 'leave out its name',
  },
  {
    name: 'the id of a secret',
    auth: { clientSecret: '99999999-aaaa-bbbb-cccc-dddddddddddd' },
    path: 'accounts[0].auth.clientSecret',
    message: 'AADSTS7000215',
  },
  {
    name: 'an access token',
    auth: { refreshToken: 'eyJhbGciOiJ.eyJhdWQiOiJ.sig' },
    path: 'accounts[0].auth.refreshToken',
    message: 'access or ID token',
  },
  {
    name: 'an access token of Google',
    provider: 'google',
    auth: { refreshToken: 'ya29.a0AfB' },
    path: 'accounts[0].auth.refreshToken',
    message: '1//',
  },
  // Tenants.
  {
    name: 'common for an application',
    auth: { grant: 'client_credentials', tenant: 'common' },
    path: 'accounts[0].auth.tenant',
    message: 'one tenant',
  },
  {
    name: 'consumers for an application',
    auth: { grant: 'client_credentials', tenant: 'consumers' },
    path: 'accounts[0].auth.tenant',
    message: 'one tenant',
  },
  // URLs.
  {
    name: 'v2 for v2.0',
    lab: { extends: 'microsoft365', tokenUrl: 'https://login.microsoftonline.com/{tenant}/oauth2/v2/token' },
    path: 'providers.lab.tokenUrl',
    message: 'v2.0',
    suggestion: 'https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token',
  },
  {
    name: 'version 1',
    lab: { extends: 'microsoft365', authorizeUrl: 'https://login.microsoftonline.com/common/oauth2/authorize' },
    path: 'providers.lab.authorizeUrl',
    message: 'version 1',
    suggestion: 'https://login.microsoftonline.com/common/oauth2/v2.0/authorize',
  },
  {
    name: 'a host without its dot',
    lab: { extends: 'microsoft365', tokenUrl: 'https://loginmicrosoftonline.com/common/oauth2/v2.0/token' },
    path: 'providers.lab.tokenUrl',
    message: 'not Microsoft',
    suggestion: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
  },
  {
    name: 'outh2',
    lab: { extends: 'microsoft365', tokenUrl: 'https://login.microsoftonline.com/common/outh2/v2.0/token' },
    path: 'providers.lab.tokenUrl',
    message: 'misspells',
    suggestion: 'https://login.microsoftonline.com/common/oauth2/v2.0/token',
  },
  {
    name: 'URLs mixed up',
    lab: { extends: 'google', tokenUrl: 'https://login.lab.test/authorize' },
    path: 'providers.lab.tokenUrl',
    message: 'sign in',
  },
  // Hosts.
  {
    name: 'port 465 at Exchange',
    lab: { extends: 'microsoft365', smtp: { port: 465 } },
    path: 'providers.lab.smtp.port',
    message: '465',
    suggestion: '587',
  },
  {
    name: 'a redirect URI with TLS on loopback',
    lab: { extends: 'microsoft365', redirectUri: 'https://localhost:8400/cb' },
    path: 'providers.lab.redirectUri',
    message: 'without TLS',
    suggestion: 'http://localhost:8400/cb',
  },
  {
    name: 'a redirect URI with a query',
    lab: { extends: 'microsoft365', redirectUri: 'http://localhost/cb?x=1' },
    path: 'providers.lab.redirectUri',
    message: 'neither ? nor #',
    suggestion: 'http://localhost/cb',
  },
  {
    name: 'a redirect URI by number at Entra',
    lab: { extends: 'microsoft365', redirectUri: 'http://127.0.0.1/cb' },
    path: 'providers.lab.redirectUri',
    message: 'AADSTS50011',
    suggestion: 'http://localhost/cb',
  },
];

describe('pasted values that cannot work', () => {
  it.each(PROBLEMS)('$name', async (row) => {
    const result = await folder.load(yamlOf(row));
    const problems = problemsOf(result);
    expect(problems.map(describeFinding)).toHaveLength(1);
    expect(problems[0]).toMatchObject({ path: row.path, message: expect.stringContaining(row.message) });
    expect(problems[0]?.suggestion).toBe(row.suggestion);
  });
});

const NOTICES: readonly Pasted[] = [
  {
    name: 'a redirect URI elsewhere',
    lab: { extends: 'microsoft365', redirectUri: 'https://app.contoso.com/cb' },
    path: 'providers.lab.redirectUri',
    message: 'did you mean http://localhost/oauth/callback?',
  },
  { name: 'no offline_access', auth: { scopes: [SMTP] }, path: 'accounts[0].auth.scopes', message: '90 days' },
  { name: 'no scope for SMTP', auth: { scopes: ['offline_access'] }, path: 'accounts[0].auth.scopes', message: 'cannot be submitted' },
  { name: 'common for a person', auth: { tenant: 'common' }, path: 'accounts[0].auth.tenant', message: 'AADSTS50194' },
  {
    name: 'a client id that is no GUID',
    auth: { clientId: 'my-app' },
    path: 'accounts[0].auth.clientId',
    message: 'Application (client) ID',
  },
  {
    name: 'quotes within quotes',
    auth: { clientSecret: '"client~secret"' },
    path: 'accounts[0].auth.clientSecret',
    message: 'quoted twice',
  },
  { name: 'a mailbox of the first domain', mailbox: 'a@contoso.onmicrosoft.com', path: 'accounts[0].mailbox', message: '5.7.236' },
  {
    name: 'STARTTLS on 465',
    lab: { extends: 'microsoft365', smtp: { host: 'smtp.lab.test', port: 465 } },
    path: 'providers.lab.smtp',
    message: 'implicit TLS',
  },
  {
    name: 'a bare scope at a lab',
    lab: {
      extends: 'microsoft365',
      tokenUrl: 'https://login.lab.test/{tenant}/oauth2/v2.0/token',
      scopes: ['SMTP.Send', 'offline_access'],
    },
    path: 'providers.lab.scopes[0]',
    message: 'did you mean https://outlook.office.com/SMTP.Send?',
  },
];

describe('pasted values that may work', () => {
  it.each(NOTICES)('$name', async (row) => {
    const result = await folder.load(yamlOf(row));
    expect(noticesOf(result)).toEqual(
      expect.arrayContaining([expect.objectContaining({ path: row.path, message: expect.stringContaining(row.message) })]),
    );
  });
});

const GOOD: readonly Omit<Pasted, 'path' | 'message'>[] = [
  { name: 'a redirect URI on loopback', lab: { extends: 'microsoft365', redirectUri: 'http://localhost/cb' } },
  { name: 'a redirect URI by number with its port', lab: { extends: 'microsoft365', redirectUri: 'http://127.0.0.1:8400/cb' } },
  {
    name: 'the scopes of Exchange',
    auth: scopes('https://outlook.office365.com/IMAP.AccessAsUser.All', 'https://outlook.office.com/POP.AccessAsUser.All'),
  },
  { name: 'openid beside them', auth: scopes('openid', 'profile', 'email') },
  { name: '.default of either resource', auth: { grant: 'client_credentials', scopes: ['https://outlook.office.com/.default'] } },
  { name: 'a secret with all characters that Entra uses', auth: { clientSecret: 'a8Q~._-Zz9~x' } },
  { name: 'a tenant by its id', auth: { tenant: ID } },
  {
    name: 'a lab with rules of its own',
    lab: { tokenUrl: 'https://id.lab.test/token', smtp: { host: 'smtp.lab.test' }, scopes: ['mail'] },
    auth: { clientId: 'postern', clientSecret: ID, refreshToken: 'eyJhbGciOiJ.eyJhdWQiOiJ.sig' },
  },
  {
    name: 'Google',
    provider: 'google',
    auth: { clientId: '123-abc.apps.googleusercontent.com', clientSecret: 'GOCSPX-x', refreshToken: '1//0g' },
  },
];

describe('good values', () => {
  it.each(GOOD)('$name: nothing is said', async (row) => {
    const result = await folder.load(yamlOf({ ...row, path: '', message: '' }));
    expect(result).toMatchObject({ ok: true, notices: [] });
  });
});
