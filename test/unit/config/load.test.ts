/** What a good configuration becomes: defaults, references, paths, notices, and secrets that are never shown. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { mebibytes } from '../../../src/core/octets.ts';
import { hashPassword } from '../../../src/platform/password.ts';
import { ConfigFolder, configOf, noticesOf, problemsOf } from '../../support/config-folder.ts';
import { createTestAuthority, type IssuedCertificate, type TestAuthority } from '../../support/test-ca.ts';
import { GOOD_ACCOUNT, GOOD_CLIENT } from './bad-configs.ts';

const folder = new ConfigFolder();
let authority: TestAuthority;
let pair: IssuedCertificate;

beforeAll(() => {
  authority = createTestAuthority();
  pair = authority.issue({ hosts: ['localhost'] });
});
afterAll(() => folder.remove());

/** Unless told otherwise. */
const QUIRKS = { capabilityInGreeting: true, plainSearch: true, specialUse: false };

describe('defaults', () => {
  it('make an empty file a relay on loopback that nobody may use', async () => {
    const result = await folder.load('');
    expect(configOf(result)).toMatchObject({
      source: join(folder.path, 'postern.yaml'),
      listeners: {
        smtp: [
          {
            name: '127.0.0.1:2525',
            tls: 'off',
            minTls: 'TLSv1.2',
            requireAuth: false,
            requireTls: false,
            maxSize: mebibytes(35),
            maxRecipients: 500,
          },
        ],
      },
      state: { dir: join(folder.path, 'var'), keyFile: join(folder.path, 'var/master.key') },
      accounts: [],
      clients: [],
      delivery: {
        mode: 'auto',
        budget: 15_000,
        giveUpAfter: 5 * 86_400_000,
        warnAfter: 4 * 3_600_000,
        dsn: 'sender',
        queueLimit: 10 * 1024 ** 3,
      },
      log: { level: 'info', format: 'json' },
    });
    expect(noticesOf(result)).toEqual([
      expect.objectContaining({ path: 'clients', message: expect.stringContaining('nobody may submit') }),
    ]);
  });

  it('give a client the only account, and its mailbox and user as senders', async () => {
    const yaml = `${GOOD_ACCOUNT.replace('    auth:', '    smtpUser: jane@contoso.com\n    auth:')}${GOOD_CLIENT}`;
    expect(configOf(await folder.load(yaml)).clients).toEqual([
      {
        name: 'local',
        account: 'main',
        networks: ['127.0.0.0/8'],
        senders: ['main@contoso.com', 'jane@contoso.com'],
        onOtherSender: 'refuse',
      },
    ]);
  });

  it('rewrite other senders to the mailbox of the account, where a client asks for it', async () => {
    const client = 'clients: [{ name: a, networks: [::1], onOtherSender: rewrite }]\n';
    const rewriting = configOf(await folder.load(`${GOOD_ACCOUNT}${client}`));
    expect(rewriting.clients[0]?.onOtherSender).toEqual({ rewriteTo: 'main@contoso.com' });
  });

  it('give clients the sandbox where no account is configured', async () => {
    expect(configOf(await folder.load(GOOD_CLIENT)).clients).toMatchObject([{ account: 'sandbox', senders: [] }]);
    const named = 'clients: [{ name: a, networks: ["::1"], account: other }]\n';
    expect(problemsOf(await folder.load(named))).toMatchObject([{ path: 'clients[0].account' }]);
  });

  it('count a key with nothing behind it as left out', async () => {
    const config = configOf(await folder.load(`accounts:\nlog:\n  level:\n${GOOD_CLIENT}`));
    expect(config).toMatchObject({ accounts: [], log: { level: 'info' } });
  });

  it('let a listener take what the largest account may send', async () => {
    const yaml = `providers: { big: { extends: microsoft365, limits: { maxSize: 150MB } } }\n${GOOD_ACCOUNT.replace(
      'mailbox:',
      'provider: big\n    mailbox:',
    )}${GOOD_CLIENT}`;
    expect(configOf(await folder.load(yaml)).listeners.smtp[0]?.maxSize).toBe(mebibytes(150));
  });
});

describe('an account', () => {
  it('is ready for use, with its tenant in every URL', async () => {
    const yaml = `${GOOD_ACCOUNT.replace('clientId:', 'refreshToken: "0.AX-seed"\n      clientSecret: "s~e.c-r_et"\n      clientId:')}${GOOD_CLIENT}`;
    const [account] = configOf(await folder.load(yaml)).accounts;
    expect(account).toEqual({
      name: 'main',
      mailbox: 'main@contoso.com',
      smtpUser: 'main@contoso.com',
      delivery: 'auto',
      auth: {
        grant: 'refresh_token',
        tenant: 'contoso.com',
        clientId: '11111111-2222-3333-4444-555555555555',
        clientSecret: 's~e.c-r_et',
        refreshToken: '0.AX-seed',
      },
      provider: expect.objectContaining({
        name: 'microsoft365',
        tokenUrl: 'https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token',
        authorizeUrl: 'https://login.microsoftonline.com/contoso.com/oauth2/v2.0/authorize',
        deviceUrl: 'https://login.microsoftonline.com/contoso.com/oauth2/v2.0/devicecode',
      }),
    });
  });

  it('without a refresh token is worth a notice', async () => {
    expect(noticesOf(await folder.load(GOOD_ACCOUNT + GOOD_CLIENT))).toMatchObject([{ path: 'accounts[0].auth', line: 4 }]);
  });

  it('on the sandbox needs no tenant, and no CA file until there is one', async () => {
    const yaml = `accounts: [{ name: s, provider: sandbox, mailbox: a@b.c, auth: { grant: refresh_token, clientId: x } }]\n${GOOD_CLIENT}`;
    const before = configOf(await folder.load(yaml)).accounts[0]?.provider;
    expect(before).toMatchObject({ tokenUrl: 'http://127.0.0.1:8026/sandbox/oauth2/v2.0/token', smtp: { host: '127.0.0.1', port: 2587 } });
    expect(before).not.toHaveProperty('ca');
    folder.write('var/sandbox/ca.pem', authority.caPem);
    expect(configOf(await folder.load(yaml)).accounts[0]?.provider.ca).toBe(authority.caPem);
  });
});

describe('references', () => {
  it('start from the folder of the file, not from the current one', async () => {
    folder.write('secrets/password', 'from-the-folder');
    mkdirSync(join(folder.path, 'elsewhere'));
    const file = folder.write(
      'postern.yaml',
      'clients: [{ name: a, username: a, password: "${file:secrets/password}" }]\nstate: { dir: state, keyFile: keys/k }\n',
    );
    const config = configOf(await loadConfig({ file, env: {}, cwd: join(folder.path, 'elsewhere') }));
    expect(config.clients[0]?.login).toEqual({ username: 'a', secret: { kind: 'password', password: 'from-the-folder' } });
    expect(config.state).toEqual({ dir: join(folder.path, 'state'), keyFile: join(folder.path, 'keys/k') });
    expect(config.files).toEqual([file, join(folder.path, 'secrets/password')]);
    expect(config.secrets).toEqual(['from-the-folder']);
  });

  it.each([
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    ['secret', 'secret'],
    [' se cret ', ' se cret '],
    ['se${env:HOME}cret', 'se${env:HOME}cret'],
  ])('of a file drop one line end and nothing else (%j)', async (content, password) => {
    folder.write('password', content);
    const config = configOf(await folder.load('clients: [{ name: a, username: a, password: "${file:password}" }]'));
    expect(config.clients[0]?.login?.secret).toEqual({ kind: 'password', password });
  });

  it.each(['', '\n', '\r\n'])('to an empty file are refused (%j)', async (content) => {
    folder.write('password', content);
    const problems = problemsOf(await folder.load('clients: [{ name: a, username: a, password: "${file:password}" }]'));
    expect(problems).toMatchObject([{ path: 'clients[0].password', message: expect.stringContaining('is empty') }]);
  });

  it('may stand anywhere in a text, and be escaped', async () => {
    const yaml = 'clients: [{ name: "${env:A}-${env:B}", username: "$${env:A}", password: "a$$b${env:B}c" }]';
    const [client] = configOf(await folder.load(yaml, { A: 'x', B: 'y' })).clients;
    expect(client).toMatchObject({ name: 'x-y', login: { username: '${env:A}', secret: { password: 'a$$byc' } } });
  });

  it('may stand for numbers and truths', async () => {
    const yaml = `listeners: { smtp: [{ port: "\${env:PORT}", requireAuth: "\${env:AUTH}" }] }\n${GOOD_CLIENT}`;
    expect(configOf(await folder.load(yaml, { PORT: '2626', AUTH: 'true' })).listeners.smtp[0]).toMatchObject({
      port: 2626,
      requireAuth: true,
    });
  });

  it('may be found through a symbolic link, as Kubernetes mounts secrets', async () => {
    folder.write('data/password', 'linked-secret');
    symlinkSync('data/password', join(folder.path, 'link'));
    const config = configOf(await folder.load('clients: [{ name: a, username: a, password: "${file:link}" }]'));
    expect(config.secrets).toEqual(['linked-secret']);
  });
});

describe('L03 access to files', () => {
  const yaml = 'clients: [{ name: a, username: a, password: "${file:shared}" }]';

  it('by others is worth a notice', async () => {
    folder.write('shared', 'local-password', 0o640);
    expect(noticesOf(await folder.load(yaml))).toMatchObject([
      { path: 'clients[0].password', message: expect.stringContaining('its group') },
    ]);
    folder.write('shared', 'local-password', 0o644);
    expect(noticesOf(await folder.load(yaml))).toMatchObject([{ message: expect.stringContaining('everybody') }]);
  });

  it('for writing by everybody is refused', async () => {
    folder.write('shared', 'local-password', 0o606);
    expect(problemsOf(await folder.load(yaml))).toMatchObject([{ message: expect.stringContaining('may be written by everybody') }]);
  });

  it('counts for the configuration itself where it holds a secret', async () => {
    const readable = (text: string) => loadConfig({ file: folder.write('open.yaml', text, 0o644), env: {}, cwd: folder.path });
    expect(noticesOf(await readable('clients: [{ name: a, username: a, password: literal }]'))).toMatchObject([
      { message: expect.stringContaining('open.yaml holds a secret') },
    ]);
    expect(noticesOf(await readable(GOOD_CLIENT))).toEqual([]);
  });

  it('is refused to devices, and to files without an end', async () => {
    expect(problemsOf(await folder.load(yaml.replace('shared', '/dev/zero')))).toMatchObject([
      { message: '/dev/zero is not a regular file' },
    ]);
    folder.write('shared', 'x'.repeat(1024 * 1024 + 1));
    expect(problemsOf(await folder.load(yaml))).toMatchObject([{ message: expect.stringContaining('larger than 1 MB') }]);
  });
});

describe('TLS files', () => {
  const listener = (more = '') => `listeners:\n  smtp:\n    - { tls: starttls, cert: cert.pem, key: key.pem ${more}}\n${GOOD_CLIENT}`;

  it('are read', async () => {
    folder.write('cert.pem', pair.certPem, 0o644);
    folder.write('key.pem', pair.keyPem);
    const result = await folder.load(listener(', requireTls: true'));
    expect(configOf(result).listeners.smtp[0]).toMatchObject({ tls: 'starttls', cert: pair.certPem, key: pair.keyPem, requireTls: true });
    expect(noticesOf(result)).toEqual([]);
  });

  it.each([
    ['a key of another certificate', () => ({ 'key.pem': authority.issue({ hosts: ['localhost'] }).keyPem }), 'do not belong together'],
    [
      'a key with a passphrase',
      () => ({ 'key.pem': '-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n-----END ENCRYPTED PRIVATE KEY-----' }),
      'passphrase',
    ],
    ['no key', () => ({ 'key.pem': 'hello' }), 'no private key'],
    ['no certificate', () => ({ 'cert.pem': pair.keyPem }), 'no certificate'],
    ['a broken certificate', () => ({ 'cert.pem': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }), 'cannot be read'],
  ])('are refused: %s', async (_, files, message) => {
    for (const [name, content] of Object.entries({ 'cert.pem': pair.certPem, 'key.pem': pair.keyPem, ...files() }))
      folder.write(name, content);
    expect(problemsOf(await folder.load(listener()))).toMatchObject([{ line: 3, message: expect.stringContaining(message) }]);
  });

  it('of a provider must hold a certificate', async () => {
    folder.write('ca.pem', 'hello', 0o644);
    const problems = problemsOf(await folder.load('providers: { lab: { extends: google, caFile: ca.pem } }'));
    expect(problems).toMatchObject([{ path: 'providers.lab.caFile', message: expect.stringContaining('no certificate') }]);
  });
});

describe('notices', () => {
  it('tell what this version does not serve', async () => {
    const yaml = `${GOOD_ACCOUNT.replace('clientId:', 'refreshToken: seed-of-the-line\n      clientId:')}${GOOD_CLIENT}listeners: { imap: [{}], pop3: [{}] }
fetch: [{ account: main, to: { maildir: ./mail } }]
`;
    const result = await folder.load(yaml);
    expect(noticesOf(result).map(({ path }) => path)).toEqual(['listeners.imap[0]', 'listeners.pop3[0]']);
    expect(configOf(result).listeners).toMatchObject({
      smtp: [],
      imap: [{ protocol: 'imap', name: '127.0.0.1:1143', tls: 'off', loginTimeout: 60_000, idleTimeout: 86_400_000, quirks: QUIRKS }],
      pop3: [{ protocol: 'pop3', name: '127.0.0.1:1110', idleTimeout: 3_600_000 }],
    });
    expect(configOf(result).accounts[0]?.provider.scopes).toEqual([
      'https://outlook.office.com/SMTP.Send',
      'https://outlook.office.com/IMAP.AccessAsUser.All',
      'https://outlook.office.com/POP.AccessAsUser.All',
      'offline_access',
    ]);
  });

  it('tell of an admin port on the network without TLS, and of a password that can be guessed', async () => {
    const result = await folder.load(`${GOOD_CLIENT}admin: { host: 0.0.0.0, password: short }\n`);
    expect(noticesOf(result)).toMatchObject([
      { path: 'admin.tls', message: expect.stringContaining('clear text') },
      { path: 'admin.password', message: expect.stringContaining('guessed') },
    ]);
    expect(configOf(result).admin).toMatchObject({ host: '0.0.0.0', port: 8025, secret: { kind: 'password', password: 'short' } });
  });

  it('have nothing to say about an admin port on loopback', async () => {
    const result = await folder.load(`${GOOD_CLIENT}admin: { hostnames: [Relay.Example.com] }\n`);
    expect(noticesOf(result)).toEqual([]);
    expect(configOf(result).admin).toMatchObject({ host: '127.0.0.1', port: 8025, tls: 'off' });
    expect(configOf(result).admin?.hostnames).toContain('relay.example.com');
    expect(configOf(result).admin?.secret).toBeUndefined();
  });

  it('tell of a listener on the network that only this machine may use, and of passwords there', async () => {
    const yaml = `listeners: { smtp: [{ host: 0.0.0.0 }] }\n${GOOD_CLIENT}`;
    expect(noticesOf(await folder.load(yaml))).toMatchObject([{ message: expect.stringContaining('this machine only') }]);
    const withLogin = 'listeners: { smtp: [{ host: 0.0.0.0 }] }\nclients: [{ name: a, username: a, password: local-password }]\n';
    expect(noticesOf(await folder.load(withLogin))).toMatchObject([{ message: expect.stringContaining('passwords are taken only from') }]);
  });
});

describe('the process', () => {
  it('T16 is refused where verification of certificates is switched off', async () => {
    expect(problemsOf(await folder.load(GOOD_CLIENT, { NODE_TLS_REJECT_UNAUTHORIZED: '0' }))).toMatchObject([
      { path: 'NODE_TLS_REJECT_UNAUTHORIZED', message: expect.stringContaining('verification') },
    ]);
    expect(problemsOf(await folder.load(GOOD_CLIENT, { NODE_TLS_REJECT_UNAUTHORIZED: '1' }))).toEqual([]);
  });

  it('is refused too where the file cannot be read, and both are told', async () => {
    const result = await loadConfig({ file: 'nowhere.yaml', env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' }, cwd: folder.path });
    expect(result).toMatchObject({ ok: false, source: join(folder.path, 'nowhere.yaml') });
    expect(problemsOf(result)).toHaveLength(2);
  });
});

describe('where the configuration comes from', () => {
  it('is the argument, POSTERN_CONFIG, or config/postern.yaml, in this order', async () => {
    folder.write('config/postern.yaml', 'log: { level: error }');
    folder.write('other.yaml', 'log: { level: warn }');
    folder.write('third.yaml', 'log: { level: debug }');
    const cwd = folder.path;
    const levels = await Promise.all(
      [
        { env: {}, cwd },
        { env: { POSTERN_CONFIG: '' }, cwd },
        { env: { POSTERN_CONFIG: 'other.yaml' }, cwd },
        { env: { POSTERN_CONFIG: 'other.yaml' }, cwd, file: 'third.yaml' },
      ].map(async (options) => configOf(await loadConfig(options)).log.level),
    );
    expect(levels).toEqual(['error', 'error', 'warn', 'debug']);
  });

  it('takes the state directory from the environment first', async () => {
    const config = configOf(await folder.load('state: { dir: mine }', { POSTERN_STATE_DIR: '/data/postern' }));
    expect(config.state).toEqual({ dir: '/data/postern', keyFile: '/data/postern/master.key' });
  });
});

describe('a secret', () => {
  const CANARY = 'canary-4711-~secret~';

  it('is never in a problem or a notice, wherever it was put by mistake', async () => {
    folder.write('canary', CANARY, 0o644);
    const inPlace = '"${file:canary}"';
    const yaml = `log: { level: ${inPlace}, format: ${CANARY} }
listeners: { smtp: [{ host: ${inPlace}, port: ${inPlace}, tls: ${inPlace}, cert: ${inPlace} }] }
state: { dir: [${CANARY}] }
providers:
  lab: { extends: ${inPlace}, tokenUrl: ${inPlace}, scopes: [${inPlace}], caFile: ${inPlace} }
accounts:
  - { name: ${inPlace}, provider: ${inPlace}, mailbox: ${inPlace}, auth: { grant: ${inPlace}, clientSecret: ${CANARY} } }
  - { name: two, provider: ${inPlace}, mailbox: a@b.c, auth: { grant: refresh_token, clientId: ${inPlace}, refreshToken: "${CANARY} " } }
clients:
  - { name: ${inPlace}, username: ${inPlace}, passwordHash: ${CANARY}, account: ${inPlace}, networks: [${inPlace}] }
  - { name: ${inPlace}, username: ${inPlace}, password: ${CANARY}, senders: [${inPlace}], rate: { messagesPerMinute: ${inPlace} } }
delivery: { budget: ${inPlace}, mode: ${inPlace} }
alerts: [{ webhook: "http://${CANARY}/" , events: [${inPlace}] }]
`;
    const problems = problemsOf(await folder.load(yaml));
    expect(problems.length).toBeGreaterThan(15);
    expect(JSON.stringify(problems)).not.toContain(CANARY);
  });

  it('is not repeated by a complaint about broken YAML', async () => {
    for (const yaml of [
      `password: "${CANARY}\n`,
      `a: b: ${CANARY}\n`,
      `a: *${CANARY}\n`,
      `? [${CANARY}\n`,
      `a: "\\${CANARY}"\n`,
      `a: !!${CANARY} x\n`,
    ]) {
      const problems = problemsOf(await folder.load(yaml));
      expect(problems.length).toBeGreaterThan(0);
      expect(JSON.stringify(problems)).not.toContain(CANARY);
    }
  });

  it('is in the list for the log scrubber', async () => {
    const yaml = `${GOOD_ACCOUNT.replace('clientId:', 'clientSecret: secret-one\n      refreshToken: secret-two\n      clientId:')}clients:
  - { name: a, username: a, password: secret-three }
  - { name: b, username: b, passwordHash: "${await hashPassword('x')}" }
alerts: [{ webhook: "https://hooks.contoso.com/secret-four" }]
`;
    const { secrets } = configOf(await folder.load(yaml));
    expect(secrets).toEqual([
      'secret-one',
      'secret-two',
      'secret-three',
      expect.stringMatching(/^\$scrypt/),
      'https://hooks.contoso.com/secret-four',
    ]);
  });
});
