/**
 * Configurations with one mistake each, and what must be said about it.
 *
 * @packageDocumentation
 */

export interface BadConfig {
  readonly name: string;
  readonly yaml: string;
  /** Line and key that the problem must name. */
  readonly line: number;
  readonly path: string;
  /** Part of the message. */
  readonly message: string;
  readonly suggestion?: string;
}

/** Line 1 to 7: one good account, `main`. */
export const GOOD_ACCOUNT = `accounts:
  - name: main
    mailbox: main@contoso.com
    auth:
      grant: refresh_token
      tenant: contoso.com
      clientId: 11111111-2222-3333-4444-555555555555
`;

/** One good client on loopback. */
export const GOOD_CLIENT = 'clients: [{ name: local, networks: [127.0.0.0/8] }]\n';

/** One account, in line 2, and a client. */
export const account = (auth: string, more = ''): string =>
  `accounts:\n  - { name: main, mailbox: main@contoso.com, ${more}auth: { ${auth} } }\n${GOOD_CLIENT}`;

/** Keys that every grant at Microsoft needs. */
export const ENTRA = 'tenant: contoso.com, clientId: 11111111-2222-3333-4444-555555555555';

/** Syntax, keys and types, listeners, clients. */
export const BAD_LOCAL_CONFIGS: readonly BadConfig[] = [
  // Not YAML, or not a configuration.
  { name: 'unclosed quote', yaml: 'log: { level: "info }\n', line: 2, path: '', message: 'not valid YAML' },
  { name: 'tab indentation', yaml: 'log:\n\tlevel: info\n', line: 2, path: '', message: 'not valid YAML' },
  { name: 'key twice', yaml: 'log: {}\nstate: {}\nlog: {}\n', line: 3, path: '', message: 'twice' },
  { name: 'two documents', yaml: 'log: {}\n---\nlog: {}\n', line: 2, path: '', message: 'second document' },
  { name: 'alias to nothing', yaml: 'log: *nothing\n', line: 1, path: '', message: 'anchor' },
  { name: 'a list in place of a map', yaml: '- a\n', line: 1, path: '', message: 'must be a map' },
  { name: 'text in place of a map', yaml: 'hello\n', line: 1, path: '', message: 'must be a map' },
  // Keys and types.
  {
    name: 'X02 unknown section',
    yaml: 'log: {}\nlistners: {}\n',
    line: 2,
    path: 'listners',
    message: 'unknown key',
    suggestion: 'listeners',
  },
  {
    name: 'unknown key in another style',
    yaml: account(`grant: refresh_token, ${ENTRA}, client_secret: x`),
    line: 2,
    path: 'accounts[0].auth.client_secret',
    message: 'unknown key',
    suggestion: 'clientSecret',
  },
  {
    name: 'unknown key like no other',
    yaml: 'log: { zzzzzz: 1 }\n',
    line: 1,
    path: 'log.zzzzzz',
    message: 'unknown key',
  },
  {
    name: 'T16 verification switched off',
    yaml: 'providers:\n  lab:\n    extends: google\n    rejectUnauthorized: false\n',
    line: 4,
    path: 'providers.lab.rejectUnauthorized',
    message: 'always verified',
  },
  { name: 'a map in place of a list', yaml: 'clients: { name: a }\n', line: 1, path: 'clients', message: 'must be a list' },
  {
    name: 'X02 a number in place of text',
    yaml: 'clients:\n  - { name: 5, networks: [::1] }\n',
    line: 2,
    path: 'clients[0].name',
    message: 'quotes',
  },
  {
    name: 'an enumeration misspelt',
    yaml: 'listeners:\n  smtp:\n    - { tls: startls }\n',
    line: 3,
    path: 'listeners.smtp[0].tls',
    message: 'must be one of off, starttls, implicit',
    suggestion: 'starttls',
  },
  { name: 'a missing name', yaml: 'clients:\n  - networks: [::1]\n', line: 2, path: 'clients[0].name', message: 'is missing' },
  {
    name: 'a name with a slash',
    yaml: 'clients:\n  - { name: a/b, networks: [::1] }\n',
    line: 2,
    path: 'clients[0].name',
    message: 'letters',
  },
  {
    name: 'a bad address',
    yaml: account('grant: basic, password: x').replace('main@contoso.com', 'main'),
    line: 2,
    path: 'accounts[0].mailbox',
    message: 'mail address',
  },
  {
    name: 'X02 an empty address',
    yaml: account('grant: basic, password: x').replace('main@contoso.com', '""'),
    line: 2,
    path: 'accounts[0].mailbox',
    message: 'mail address',
  },
  {
    name: 'a bad tenant',
    yaml: account('grant: refresh_token, tenant: a/b, clientId: x'),
    line: 2,
    path: 'accounts[0].auth.tenant',
    message: 'tenant',
  },
  { name: 'a duration without a unit', yaml: 'delivery: { budget: 15 }\n', line: 1, path: 'delivery.budget', message: '15s, 4h or 5d' },
  { name: 'a size without a unit', yaml: 'delivery: { queueLimit: "35" }\n', line: 1, path: 'delivery.queueLimit', message: '35MB' },
  // Listeners.
  { name: 'X02 port 0', yaml: 'listeners: { smtp: [{ port: 0 }] }\n', line: 1, path: 'listeners.smtp[0].port', message: 'at least 1' },
  {
    name: 'X02 port 70000',
    yaml: 'listeners: { smtp: [{ port: 70000 }] }\n',
    line: 1,
    path: 'listeners.smtp[0].port',
    message: 'at most 65535',
  },
  {
    name: 'X02 one port twice',
    yaml: `listeners:\n  smtp:\n    - { port: 2525 }\n    - { port: 2525 }\n${GOOD_CLIENT}`,
    line: 4,
    path: 'listeners.smtp[1].port',
    message: 'port 2525 is used twice',
  },
  {
    name: 'one port twice, once on all addresses',
    yaml: `listeners:\n  smtp: [{ host: 0.0.0.0 }]\n  imap:\n    - { port: 2525 }\n${GOOD_CLIENT}`,
    line: 4,
    path: 'listeners.imap[0].port',
    message: 'port 2525 is used twice',
  },
  {
    name: 'X06 open to the network without any client',
    yaml: 'listeners:\n  smtp:\n    - { host: 0.0.0.0 }\n',
    line: 3,
    path: 'listeners.smtp[0].host',
    message: 'open relay',
  },
  {
    name: 'X06 open to everybody by network',
    yaml: 'listeners: { smtp: [{ host: "::" }] }\nclients:\n  - { name: all, networks: [0.0.0.0/0] }\n',
    line: 3,
    path: 'clients[0].networks[0]',
    message: 'open relay',
  },
  {
    name: 'T17 TLS without a certificate',
    yaml: `listeners:\n  smtp:\n    - { tls: implicit, key: k.pem }\n${GOOD_CLIENT}`,
    line: 3,
    path: 'listeners.smtp[0].cert',
    message: 'needs cert and key',
  },
  {
    name: 'TLS with a certificate that is not there',
    yaml: `listeners:\n  smtp:\n    - tls: implicit\n      cert: nowhere.pem\n      key: nowhere.key\n${GOOD_CLIENT}`,
    line: 4,
    path: 'listeners.smtp[0].cert',
    message: 'there is no such file',
  },
  {
    name: 'requireTls without TLS',
    yaml: `listeners:\n  smtp:\n    - requireTls: true\n${GOOD_CLIENT}`,
    line: 3,
    path: 'listeners.smtp[0].requireTls',
    message: 'needs tls',
  },
  {
    name: 'W12 W08 admin off loopback without a password',
    yaml: 'admin:\n  host: 0.0.0.0\n',
    line: 1,
    path: 'admin.password',
    message: 'is missing',
  },
  {
    name: 'admin with a hash that is none',
    yaml: 'admin:\n  passwordHash: hunter2\n',
    line: 2,
    path: 'admin.passwordHash',
    message: 'hash-password',
  },
  {
    name: 'admin with password and hash',
    yaml: `admin:\n  password: one-password\n  passwordHash: $scrypt$ln=15,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}\n`,
    line: 3,
    path: 'admin.passwordHash',
    message: 'keep one of the two',
  },
  {
    name: 'T17 admin with TLS and no certificate',
    yaml: 'admin:\n  tls: implicit\n  key: k.pem\n',
    line: 1,
    path: 'admin.cert',
    message: 'needs cert and key',
  },
  // Clients.
  { name: 'a client that is nobody', yaml: 'clients:\n  - name: a\n', line: 2, path: 'clients[0]', message: 'needs a username' },
  {
    name: 'a user name without a password',
    yaml: 'clients:\n  - { name: a, username: a }\n',
    line: 2,
    path: 'clients[0].password',
    message: 'is missing',
  },
  {
    name: 'a password without a user name',
    yaml: 'clients:\n  - { name: a, password: a }\n',
    line: 2,
    path: 'clients[0].username',
    message: 'is missing',
  },
  {
    name: 'a password and a hash',
    yaml: 'clients:\n  - { name: a, username: a, password: a, passwordHash: b }\n',
    line: 2,
    path: 'clients[0].passwordHash',
    message: 'keep one',
  },
  {
    name: 'a hash that is a password',
    yaml: 'clients:\n  - { name: a, username: a, passwordHash: secret }\n',
    line: 2,
    path: 'clients[0].passwordHash',
    message: 'postern hash-password',
  },
  {
    name: 'a user name twice',
    yaml: 'clients:\n  - { name: a, username: x, password: p }\n  - { name: b, username: x, password: q }\n',
    line: 3,
    path: 'clients[1].username',
    message: 'client a has the same user name',
  },
  {
    name: 'a client twice',
    yaml: 'clients:\n  - { name: a, networks: [::1] }\n  - { name: A, networks: [127.0.0.1] }\n',
    line: 3,
    path: 'clients[1].name',
    message: 'another client named A',
  },
  {
    name: 'a network that is none',
    yaml: 'clients:\n  - { name: a, networks: [10.1.0] }\n',
    line: 2,
    path: 'clients[0].networks[0]',
    message: 'not an IP network',
  },
  {
    name: 'a prefix too long',
    yaml: 'clients:\n  - { name: a, networks: [10.1.0.0/33] }\n',
    line: 2,
    path: 'clients[0].networks[0]',
    message: 'not an IP network',
  },
  {
    name: 'a network that names a host',
    yaml: 'clients:\n  - { name: a, networks: [10.1.2.3/16] }\n',
    line: 2,
    path: 'clients[0].networks[0]',
    message: 'host and a network',
    suggestion: '10.1.0.0/16',
  },
  {
    name: 'a network twice',
    yaml: 'clients:\n  - { name: a, networks: [10.0.0.0/8] }\n  - { name: b, networks: ["::ffff:10.0.0.0/104"] }\n',
    line: 3,
    path: 'clients[1].networks[0]',
    message: 'client a has the same network',
  },
  {
    name: 'an unknown account',
    yaml: `${GOOD_ACCOUNT}clients:\n  - { name: a, networks: [::1], account: mian }\n`,
    line: 9,
    path: 'clients[0].account',
    message: 'there is no account "mian"',
    suggestion: 'main',
  },
  {
    name: 'a sender that is none',
    yaml: 'clients:\n  - { name: a, networks: [::1], senders: ["*"] }\n',
    line: 2,
    path: 'clients[0].senders[0]',
    message: '*@domain',
  },
  {
    name: 'a password with a line break',
    yaml: 'clients:\n  - { name: a, username: a, password: "a\\nb" }\n',
    line: 2,
    path: 'clients[0].password',
    message: 'line break',
  },
];
