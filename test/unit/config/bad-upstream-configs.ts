/**
 * Configurations with one mistake each in providers, accounts or references, or in what only a later version does.
 *
 * @packageDocumentation
 */
import { account, type BadConfig, ENTRA, GOOD_ACCOUNT, GOOD_CLIENT } from './bad-configs.ts';

export const BAD_UPSTREAM_CONFIGS: readonly BadConfig[] = [
  // Providers and accounts.
  {
    name: 'an account twice',
    yaml: `${GOOD_ACCOUNT}  - { name: main, mailbox: a@b.c, auth: { grant: refresh_token, ${ENTRA} } }\n${GOOD_CLIENT}`,
    line: 8,
    path: 'accounts[1].name',
    message: 'another account named main',
  },
  {
    name: 'an unknown provider',
    yaml: account(`grant: refresh_token, ${ENTRA}`, 'provider: microsoft356, '),
    line: 2,
    path: 'accounts[0].provider',
    message: 'there is no provider "microsoft356"',
    suggestion: 'microsoft365',
  },
  {
    name: 'an unknown provider to extend',
    yaml: 'providers:\n  lab:\n    extends: gogle\n',
    line: 3,
    path: 'providers.lab.extends',
    message: 'there is no provider "gogle"',
    suggestion: 'google',
  },
  {
    name: 'providers in a circle',
    yaml: 'providers:\n  a: { extends: b }\n  b: { extends: a }\n',
    line: 2,
    path: 'providers.a.extends',
    message: 'circle: a → b → a',
  },
  {
    name: 'a provider without anything',
    yaml: 'providers:\n  lab: { mechanism: XOAUTH2 }\n',
    line: 2,
    path: 'providers.lab',
    message: 'needs tokenUrl',
  },
  {
    name: 'a token URL without TLS',
    yaml: 'providers:\n  lab:\n    extends: google\n    tokenUrl: http://login.lab.test/token\n',
    line: 4,
    path: 'providers.lab.tokenUrl',
    message: 'only a loopback address',
  },
  {
    name: 'an authorize URL with another scheme',
    yaml: 'providers:\n  lab:\n    extends: google\n    authorizeUrl: ftp://127.0.0.1/x\n',
    line: 4,
    path: 'providers.lab.authorizeUrl',
    message: 'https://',
  },
  {
    name: 'a placeholder left in a URL',
    yaml: 'providers:\n  lab:\n    extends: google\n    tokenUrl: https://login.lab.test/<ID>/token\n',
    line: 4,
    path: 'providers.lab.tokenUrl',
    message: 'placeholder',
  },
  {
    name: 'a CA file that is not there',
    yaml: 'providers:\n  lab: { extends: google, caFile: no.pem }\n',
    line: 2,
    path: 'providers.lab.caFile',
    message: 'no such file',
  },
  {
    name: 'no tenant',
    yaml: account('grant: refresh_token, clientId: x'),
    line: 2,
    path: 'accounts[0].auth.tenant',
    message: 'provider microsoft365 needs it',
  },
  {
    name: 'no client secret',
    yaml: account(`grant: client_credentials, ${ENTRA}`),
    line: 2,
    path: 'accounts[0].auth.clientSecret',
    message: 'is missing',
  },
  {
    name: 'an application at a provider that has none',
    yaml: account('grant: client_credentials, clientId: x, clientSecret: yyyyyyyyyyyy', 'provider: google, '),
    line: 2,
    path: 'accounts[0].auth.grant',
    message: 'no tokens for applications',
  },
  {
    name: 'an unknown grant',
    yaml: account(`grant: refresh, ${ENTRA}`),
    line: 2,
    path: 'accounts[0].auth.grant',
    message: 'must be one of refresh_token',
  },
  // Not in this version.
  // References.
  {
    name: 'a variable that is not set',
    yaml: 'clients:\n  - name: a\n    username: a\n    password: "${env:NOPE}"\n',
    line: 4,
    path: 'clients[0].password',
    message: 'environment variable NOPE is not set',
  },
  {
    name: 'a variable that is empty',
    yaml: 'clients:\n  - { name: a, username: a, password: "${env:EMPTY}" }\n',
    line: 2,
    path: 'clients[0].password',
    message: 'environment variable EMPTY is empty',
  },
  {
    name: 'a file that is not there',
    yaml: 'clients:\n  - { name: a, username: a, password: "${file:nope}" }\n',
    line: 2,
    path: 'clients[0].password',
    message: 'there is no such file',
  },
  {
    name: 'a file that is a directory',
    yaml: 'clients:\n  - { name: a, username: a, password: "${file:.}" }\n',
    line: 2,
    path: 'clients[0].password',
    message: 'not a regular file',
  },
  {
    name: 'a reference of another kind',
    yaml: 'clients:\n  - { name: a, username: a, password: "${VAR}" }\n',
    line: 2,
    path: 'clients[0].password',
    message: '${env:NAME}',
  },
  {
    name: 'a reference without its end',
    yaml: 'clients:\n  - { name: a, username: a, password: "${env:VAR" }\n',
    line: 2,
    path: 'clients[0].password',
    message: '${env:NAME}',
  },
  // Later sections are checked too.
  {
    name: 'fetch from an unknown account',
    yaml: `${GOOD_ACCOUNT}${GOOD_CLIENT}fetch:\n  - { account: x, to: { maildir: m } }\n`,
    line: 10,
    path: 'fetch[0].account',
    message: 'there is no account "x"',
  },
  {
    name: 'fetch to two places',
    yaml: `${GOOD_ACCOUNT}${GOOD_CLIENT}fetch:\n  - { account: main, to: { maildir: m, directory: d } }\n`,
    line: 10,
    path: 'fetch[0].to',
    message: 'exactly one',
  },
  {
    name: 'fetch to a directory with an option of servers',
    yaml: `${GOOD_ACCOUNT}${GOOD_CLIENT}fetch:\n  - { account: main, to: { directory: d, tls: none } }\n`,
    line: 10,
    path: 'fetch[0].to.tls',
    message: 'does not go with directory',
  },
  {
    name: 'fetch with an unknown end',
    yaml: `${GOOD_ACCOUNT}${GOOD_CLIENT}fetch:\n  - { account: main, to: { maildir: m }, then: burn }\n`,
    line: 10,
    path: 'fetch[0].then',
    message: 'must be keep, seen, delete or move:NAME',
  },
  {
    name: 'fetch from a day that is none',
    yaml: `${GOOD_ACCOUNT}${GOOD_CLIENT}fetch:\n  - { account: main, to: { maildir: m }, from: yesterday }\n`,
    line: 10,
    path: 'fetch[0].from',
    message: 'must be now, all or a date',
  },
  {
    name: 'fetch to a webhook, which is for later',
    yaml: `${GOOD_ACCOUNT}${GOOD_CLIENT}fetch:\n  - { account: main, to: { webhook: "https://example.com/hook" } }\n`,
    line: 10,
    path: 'fetch[0].to.webhook',
    message: 'is not served in this version',
  },
  {
    name: 'fetch to a server without a port',
    yaml: `${GOOD_ACCOUNT}${GOOD_CLIENT}fetch:\n  - { account: main, to: { lmtp: localhost } }\n`,
    line: 10,
    path: 'fetch[0].to.lmtp',
    message: 'must be host:port',
  },
  {
    name: 'two fetch rules of one name, but for case',
    yaml: `${GOOD_ACCOUNT}${GOOD_CLIENT}fetch:\n  - { account: main, to: { maildir: m } }\n  - { name: MAIN-inbox, account: main, to: { maildir: n } }\n`,
    line: 11,
    path: 'fetch[1].name',
    message: 'another rule is called MAIN-inbox',
  },
];
