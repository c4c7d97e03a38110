/** What is said of `pop3` of an account: servers that are not there, scopes that are missing. */
import { afterAll, expect, it } from 'vitest';
import { ConfigFolder, noticesOf, problemsOf } from '../../support/config-folder.ts';

const folder = new ConfigFolder();
afterAll(() => folder.remove());

const scope = (right: string): string => `https://outlook.office.com/${right}`;
const IMAP = scope('IMAP.AccessAsUser.All');
const POP = scope('POP.AccessAsUser.All');

interface Setting {
  readonly pop3?: string;
  /** Besides those that every account needs. */
  readonly scopes?: readonly string[];
  readonly lab?: Readonly<Record<string, unknown>>;
  readonly hasListener?: boolean;
}

function yamlOf({ pop3, scopes, lab, hasListener = true }: Setting): string {
  const asked = scopes === undefined ? {} : { scopes: [scope('SMTP.Send'), 'offline_access', ...scopes] };
  const auth = {
    grant: 'refresh_token',
    tenant: 'contoso.com',
    clientId: '11111111-2222-3333-4444-555555555555',
    refreshToken: '0.AX-seed',
    ...asked,
  };
  return JSON.stringify({
    listeners: hasListener ? { pop3: [{ port: 1110 }] } : { smtp: [{ port: 2525 }] },
    ...(lab === undefined
      ? {}
      : { providers: { lab: { tokenUrl: 'https://login.lab.test/token', scopes: ['mail'], smtp: { host: 'smtp.lab.test' }, ...lab } } }),
    accounts: [
      {
        name: 'main',
        provider: lab === undefined ? 'microsoft365' : 'lab',
        mailbox: 'a@contoso.com',
        ...(pop3 === undefined ? {} : { pop3 }),
        auth,
      },
    ],
    clients: [{ name: 'local', networks: ['127.0.0.0/8'], username: 'a', password: 'a-long-enough-Passw0rd' }],
  });
}

const told = async (setting: Setting): Promise<string[]> =>
  noticesOf(await folder.load(yamlOf(setting)))
    .filter(({ path }) => path.startsWith('accounts'))
    .map(({ path, message }) => `${path} ${message}`);

it.each([
  [{ pop3: 'imap', lab: { pop3: { host: 'pop.lab.test' } } }, 'has no IMAP server'],
  [{ pop3: 'proxy', lab: { imap: { host: 'imap.lab.test' } } }, 'has no POP3 server'],
] as const)('a way without a server is a problem: %j', async (setting, message) => {
  expect(problemsOf(await folder.load(yamlOf(setting)))).toMatchObject([
    { path: 'accounts[0].pop3', message: expect.stringContaining(message) },
  ]);
  // Nobody is there to be served.
  expect(await told({ ...setting, hasListener: false })).toEqual([]);
});

it.each([
  [{ lab: { imap: { host: 'imap.lab.test' } } }],
  [{ lab: { pop3: { host: 'pop.lab.test' } } }],
  [{}],
  [{ pop3: 'imap', scopes: [IMAP] }],
  [{ pop3: 'proxy', scopes: [POP] }],
  [{ scopes: [IMAP, POP] }],
] satisfies [Setting][])('nothing is said of %j', async (setting) => {
  expect(await told(setting)).toEqual([]);
});

it('auto needs one of both servers', async () => {
  expect(await told({ lab: {} })).toEqual([expect.stringContaining('has neither a POP3 nor an IMAP server')]);
});

it.each([
  [{ pop3: 'imap', scopes: [POP] }, [`lacks ${IMAP}: mail cannot be read with POP3 (pop3: imap)`]],
  [{ pop3: 'proxy', scopes: [IMAP] }, [`lacks ${POP}: mail cannot be read with POP3 (pop3: proxy)`]],
  [{ scopes: [POP] }, [`lacks ${IMAP}: POP3 cannot be served from IMAP where the provider refuses it`]],
  [{ scopes: [IMAP] }, [`lacks ${POP}: POP3 is served from IMAP`]],
  [{ scopes: [] }, [`lacks ${IMAP}: mail cannot be read`, `lacks ${POP}: mail cannot be read`]],
] satisfies [Setting, string[]][])('names the scopes that are missing: %j', async (setting, expected) => {
  expect(await told(setting)).toEqual(expected.map((words) => expect.stringContaining(`accounts[0].auth.scopes ${words}`)));
});
