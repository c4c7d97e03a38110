/** The doctor on the sandbox, composed as the command composes it: each fault of the provider is told apart, with its remedy. */
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Relay } from '../../src/app/compose.ts';
import { seconds } from '../../src/core/clock.ts';
import type { CheckName } from '../../src/doctor/check.ts';
import { Scrubber } from '../../src/observability/scrubber.ts';
import { type Diagnosis, diagnoseAccount, DoctorLab, type LabChanges, MAILBOX } from '../support/doctor-lab.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { secretsIn } from '../support/real/secrets.ts';
import { submit } from '../support/submit.ts';

let lab: DoctorLab;
let written = '';

beforeEach(async () => {
  lab = await DoctorLab.start();
  written = '';
});
afterEach(async () => {
  await lab.close();
  const leaked = secretsIn(written, lab.secrets);
  if (leaked.length > 0) throw new Error(`${leaked.length} secrets in what the doctor said`);
});

async function examine(changes?: LabChanges): Promise<Diagnosis> {
  const diagnosis = await lab.examine(changes);
  written += JSON.stringify(diagnosis.outcomes);
  return diagnosis;
}

/** At each of the next sign-ins. */
function refuseSignIn(reply: string): void {
  lab.sandbox.faults.submission.next.push({ stage: 'auth', kind: 'reply', times: 10, reply });
}

describe('an account in order', () => {
  it('passes every check that applies, and nothing is submitted', async () => {
    const diagnosis = await examine();
    expect(diagnosis.named('fail')).toEqual([]);
    expect(diagnosis.named('warn')).toEqual([]);
    expect(diagnosis.named('skip')).toEqual(['secret-end', 'imap-connect', 'imap-auth', 'pop3-connect', 'pop3-auth']);
    expect(diagnosis.of('smtp-sender').detail).toContain(`MAIL FROM:<${MAILBOX}> answered with 250`);
    expect(lab.sandbox.messages.list()).toEqual([]);
  });

  it('is left undisturbed: a stored token that lives is used', async () => {
    const refreshToken = lab.refreshToken();
    await examine({ auth: { refreshToken } });
    const { requests } = lab.sandbox.statistics.token;
    expect(requests.refresh_token).toBe(1);
    const second = await examine({ auth: { refreshToken } });
    expect(requests.refresh_token).toBe(1);
    expect(second.of('token').detail).toMatch(/^stored, obtained/);
    expect(second.named('fail')).toEqual([]);
  });

  it('does not warn of a refresh token that is missing in the file, since the store has one', async () => {
    await examine({ auth: { refreshToken: lab.refreshToken() } });
    const diagnosis = await examine({ auth: { refreshToken: undefined } });
    expect([...diagnosis.named('warn'), ...diagnosis.named('fail')]).toEqual([]);
  });

  it('keeps a rotated refresh token for the relay', async () => {
    const refreshToken = lab.refreshToken();
    await examine({ auth: { refreshToken } });
    lab.sandbox.mint.revokeAccessTokens();
    lab.sandbox.faults.token.reuseDetection = true;
    const second = await examine({ auth: { refreshToken } });
    expect(second.of('smtp-auth')).toMatchObject({ result: 'ok', detail: expect.stringContaining('a fresh one was accepted') });
    lab.sandbox.mint.revokeAccessTokens();
    expect((await examine({ auth: { refreshToken } })).named('fail')).toEqual([]);
  });

  it('may be an application', async () => {
    const diagnosis = await examine({ auth: { grant: 'client_credentials', refreshToken: undefined } });
    expect(diagnosis.of('token-content').detail).toContain('of the application, with SMTP.SendAsApp');
    expect(diagnosis.of('smtp-sender').result).toBe('ok');
    expect(diagnosis.of('refresh-token')).toMatchObject({ result: 'skip' });
  });
});

describe('beside a relay on the same state', () => {
  it('shares its tokens: neither asks for what the other has, and a rotation by one is known to the other', async () => {
    const port = await freePort();
    const document = {
      listeners: { smtp: [{ host: '127.0.0.1', port }] },
      clients: [{ name: 'local', networks: ['127.0.0.1/32'], account: 'billing' }],
    };
    const changes = { document, auth: { refreshToken: lab.refreshToken() } };
    const loaded = await lab.load(changes);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const { config } = loaded;
    const relay = await Relay.compose(config, { ...config, log: new MemoryLog(), scrubber: new Scrubber() });
    await relay.start();
    try {
      expect(await submit({ port, from: MAILBOX })).toMatchObject({ code: 250 });
      const { requests } = lab.sandbox.statistics.token;
      expect((await examine(changes)).of('token').detail).toMatch(/^stored/);
      expect(requests.refresh_token).toBe(1);
      lab.sandbox.faults.token.reuseDetection = true;
      lab.sandbox.mint.revokeAccessTokens();
      expect((await examine(changes)).named('fail')).toEqual([]);
      expect(await submit({ port, from: MAILBOX })).toMatchObject({ code: 250 });
      expect(requests.refresh_token).toBe(2);
    } finally {
      await relay.stop(seconds(1));
    }
  });
});

interface Fault {
  readonly name: string;
  readonly changes?: LabChanges | (() => LabChanges);
  readonly prepare?: () => void;
  readonly check: CheckName;
  readonly problem: string;
  readonly remedy: RegExp;
  /** Checks that are skipped for it. */
  readonly skipped?: readonly CheckName[];
}

const POLICY = '535 5.7.139 Authentication unsuccessful,';

const FAULTS: readonly Fault[] = [
  {
    name: 'a token endpoint that is not there, and no stored token',
    changes: { provider: { tokenUrl: 'http://127.0.0.1:1/{tenant}/oauth2/v2.0/token' } },
    check: 'token-endpoint',
    problem: 'TOKEN_ENDPOINT_UNREACHABLE',
    remedy: /tokenUrl/,
    skipped: ['clock', 'token-content', 'smtp-auth', 'smtp-sender'],
  },
  {
    name: 'a token endpoint that is busy',
    prepare: () => void lab.sandbox.faults.token.next.push({ kind: 'status', status: 503, times: 9 }),
    check: 'token',
    problem: 'TOKEN_ENDPOINT_BUSY',
    remedy: /Nothing/,
    skipped: ['token-content', 'smtp-auth', 'smtp-sender'],
  },
  {
    name: 'a dead refresh token',
    prepare: () => void lab.sandbox.faults.token.next.push({ kind: 'aadsts', number: 700_082, times: 9 }),
    check: 'token',
    problem: 'TOKEN_REAUTH_REQUIRED',
    remedy: /postern login billing/,
  },
  {
    name: 'an expired client secret',
    prepare: () => void lab.sandbox.faults.token.next.push({ kind: 'aadsts', number: 7_000_222, times: 9 }),
    check: 'token',
    problem: 'TOKEN_MISCONFIGURED',
    remedy: /Certificates & secrets/,
  },
  {
    name: 'Conditional Access at the token endpoint',
    prepare: () => void lab.sandbox.faults.token.next.push({ kind: 'aadsts', number: 53_003, times: 9 }),
    check: 'token',
    problem: 'TOKEN_POLICY',
    remedy: /Sign-in logs/,
  },
  {
    name: 'a captive portal in place of the token endpoint',
    prepare: () => void lab.sandbox.faults.token.next.push({ kind: 'html', times: 9 }),
    check: 'token',
    problem: 'TOKEN_ENDPOINT_NONSENSE',
    remedy: /curl/,
  },
  {
    name: 'no refresh token',
    changes: { auth: { refreshToken: undefined } },
    check: 'token',
    problem: 'TOKEN_MISSING',
    remedy: /postern login billing/,
  },
  {
    name: 'scopes of Graph',
    changes: () => ({
      auth: {
        scopes: ['SMTP.Send', 'offline_access'],
        refreshToken: lab.sandbox.mint.refreshToken(MAILBOX, { scopes: ['https://graph.microsoft.com/SMTP.Send', 'offline_access'] }),
      },
    }),
    check: 'token-content',
    problem: 'TOKEN_CONTENT_WRONG',
    remedy: /https:\/\/outlook\.office\.com\/SMTP\.Send/,
  },
  {
    name: 'another tenant',
    changes: () => ({
      auth: { tenant: '99999999-9999-4999-8999-999999999999' },
      provider: { tokenUrl: lab.sandbox.tokenUrl },
    }),
    check: 'token-content',
    problem: 'TOKEN_CONTENT_WRONG',
    remedy: /auth\.tenant/,
  },
  {
    name: 'a submission server that is not there',
    changes: { provider: { smtp: { host: '127.0.0.1', port: 1, tls: 'starttls' } } },
    check: 'smtp-connect',
    problem: 'UPSTREAM_UNREACHABLE',
    remedy: /host and port in providers\.(?!NAME)\S+\.smtp\.host/,
    skipped: ['smtp-tls', 'smtp-mechanism', 'smtp-auth', 'smtp-sender'],
  },
  {
    name: 'a submission server that greets with 554',
    prepare: () => void lab.sandbox.faults.submission.next.push({ stage: 'connect', kind: 'reply', times: 9, reply: '554 5.7.1 go away' }),
    check: 'smtp-connect',
    problem: 'UPSTREAM_MISCONFIGURED',
    remedy: /Correct the setting that the reply names/,
  },
  {
    name: 'no STARTTLS',
    prepare: () => void (lab.sandbox.faults.submission.offersStartTls = false),
    check: 'smtp-tls',
    problem: 'UPSTREAM_TLS_FAILED',
    remedy: /firewall/,
    skipped: ['smtp-mechanism', 'smtp-auth', 'smtp-sender'],
  },
  ...(['expired', 'wrong-host', 'untrusted'] as const).map(
    (certificate): Fault => ({
      name: `a certificate that is not accepted: ${certificate}`,
      prepare: () => void (lab.sandbox.faults.submission.certificate = certificate),
      check: 'smtp-tls',
      problem: 'UPSTREAM_TLS_FAILED',
      remedy: { expired: /clock/, 'wrong-host': /subjectAltName/, untrusted: /caFile/ }[certificate],
    }),
  ),
  {
    name: 'clear text behind STARTTLS',
    prepare: () => void (lab.sandbox.faults.submission.injectAfterStartTls = '250 AUTH XOAUTH2\r\n'),
    check: 'smtp-tls',
    problem: 'UPSTREAM_PROTOCOL',
    remedy: /host and port/,
  },
  {
    name: 'no XOAUTH2',
    prepare: () => void (lab.sandbox.faults.submission.offersXoauth2 = false),
    check: 'smtp-mechanism',
    problem: 'UPSTREAM_XOAUTH2_MISSING',
    remedy: /host and port/,
    skipped: ['smtp-auth', 'smtp-sender'],
  },
  {
    name: 'SMTP AUTH disabled for the mailbox',
    prepare: () => refuseSignIn(`${POLICY} SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled`),
    check: 'smtp-auth',
    problem: 'UPSTREAM_SMTP_AUTH_DISABLED',
    remedy: /Set-CASMailbox -Identity billing@sandbox\.test -SmtpClientAuthenticationDisabled \$false/,
    skipped: ['smtp-sender'],
  },
  {
    name: 'SMTP AUTH disabled for the tenant',
    prepare: () => refuseSignIn(`${POLICY} SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled`),
    check: 'smtp-auth',
    problem: 'UPSTREAM_SMTP_AUTH_DISABLED',
    remedy: /wins over the tenant: Set-CASMailbox -Identity billing@sandbox\.test/,
  },
  {
    name: 'security defaults',
    prepare: () => refuseSignIn(`${POLICY} user is locked by your organization's security defaults policy. Contact your administrator.`),
    check: 'smtp-auth',
    problem: 'UPSTREAM_MISCONFIGURED',
    remedy: /Manage security defaults/,
  },
  {
    name: 'Conditional Access',
    prepare: () => refuseSignIn(`${POLICY} the request did not meet the criteria to be authenticated successfully.`),
    check: 'smtp-auth',
    problem: 'UPSTREAM_MISCONFIGURED',
    remedy: /which policy refused it/,
  },
  {
    name: 'basic authentication disabled',
    prepare: () => refuseSignIn(`${POLICY} basic authentication is disabled.`),
    check: 'smtp-auth',
    problem: 'UPSTREAM_MISCONFIGURED',
    remedy: /Use OAuth/,
  },
  {
    name: 'a draining server that never recovers',
    prepare: () => refuseSignIn('421 4.3.2 Service not active'),
    check: 'smtp-auth',
    problem: 'UPSTREAM_DEFERRED',
    remedy: /Nothing/,
  },
  {
    name: 'the token of another user',
    changes: () => ({ auth: { refreshToken: lab.refreshToken('clerk@sandbox.test') } }),
    check: 'smtp-auth',
    problem: 'UPSTREAM_AUTH_REFUSED',
    remedy:
      /belongs to clerk@sandbox\.test: set accounts\[\]\.smtpUser: clerk@sandbox\.test and give that user SendAs on billing@sandbox\.test/,
  },
  {
    name: 'a mailbox that is not there, for an application',
    changes: { account: { mailbox: 'nobody@sandbox.test' }, auth: { grant: 'client_credentials', refreshToken: undefined } },
    check: 'smtp-auth',
    problem: 'UPSTREAM_AUTH_REFUSED',
    remedy: /New-ServicePrincipal -AppId [0-9a-f-]{36} .*Add-MailboxPermission -Identity nobody@sandbox\.test/,
  },
  {
    name: 'no permission for the application on the mailbox',
    prepare: () =>
      void lab.sandbox.faults.submission.next.push({
        stage: 'mail',
        kind: 'reply',
        reply: '430 4.2.0 STOREDRV; mailbox logon failure; failure code: MapiExceptionLogonFailed',
      }),
    check: 'smtp-sender',
    problem: 'UPSTREAM_DEFERRED',
    remedy: /Add-MailboxPermission -Identity billing@sandbox\.test/,
  },
  {
    name: 'a sender that the user may not use',
    changes: { account: { mailbox: 'chief@other.test', smtpUser: MAILBOX } },
    check: 'smtp-sender',
    problem: 'UPSTREAM_REFUSED',
    remedy: /SendAs/,
  },
  {
    name: 'an IMAP server that is not there',
    changes: { auth: { grant: 'client_credentials', refreshToken: undefined }, provider: { imap: { host: '127.0.0.1', port: 1 } } },
    check: 'imap-connect',
    problem: 'UPSTREAM_UNREACHABLE',
    remedy: /host and port in providers\.(?!NAME)\S+\.imap\.host/,
    skipped: ['imap-auth'],
  },
  {
    name: 'a POP3 server that is not there',
    changes: { auth: { grant: 'client_credentials', refreshToken: undefined }, provider: { pop3: { host: '127.0.0.1', port: 1 } } },
    check: 'pop3-connect',
    problem: 'UPSTREAM_UNREACHABLE',
    remedy: /host and port in providers\.(?!NAME)\S+\.pop3\.host/,
    skipped: ['pop3-auth'],
  },
];

describe('a fault is found by its check', () => {
  it.each(FAULTS)('$name', async ({ changes, prepare, check, problem, remedy, skipped = [] }) => {
    prepare?.();
    const diagnosis = await examine(typeof changes === 'function' ? changes() : changes);
    expect(diagnosis.of(check)).toMatchObject({
      result: 'fail',
      problem,
      remedy: expect.stringMatching(remedy),
      detail: expect.stringMatching(/\w/),
    });
    expect(diagnosis.named('skip')).toEqual(expect.arrayContaining([...skipped]));
    expect(lab.sandbox.messages.list()).toEqual([]);
  });
});

describe('without a token', () => {
  it('the submission server is looked at as far as AUTH', async () => {
    const diagnosis = await examine({ auth: { refreshToken: undefined } });
    for (const check of ['smtp-connect', 'smtp-tls', 'smtp-mechanism'] as const) expect(diagnosis.of(check).result).toBe('ok');
    expect(diagnosis.of('smtp-auth')).toEqual({ check: 'smtp-auth', result: 'skip', detail: 'needs token' });
  });

  it('that was refused upstream, a stored one of an unreachable endpoint is still told apart', async () => {
    const refreshToken = lab.refreshToken();
    await examine({ auth: { refreshToken } });
    lab.sandbox.faults.token.next.push({ kind: 'status', status: 503, times: 9 });
    const diagnosis = await examine({ auth: { refreshToken } });
    expect(diagnosis.of('token').result).toBe('ok');
    lab.sandbox.mint.revokeAccessTokens();
    const revoked = await examine({ auth: { refreshToken } });
    expect(revoked.of('smtp-auth')).toMatchObject({ result: 'fail', problem: 'TOKEN_ENDPOINT_BUSY' });
  });
});

describe('other grants', () => {
  const bare = { tenant: undefined, clientId: undefined, clientSecret: undefined, refreshToken: undefined };

  it('basic: there is no token to examine, and the server refuses the password', async () => {
    lab.secrets.push('canary-Passw0rd');
    const diagnosis = await examine({ auth: { ...bare, grant: 'basic', password: 'canary-Passw0rd' } });
    expect(diagnosis.of('token')).toMatchObject({ result: 'warn', detail: expect.stringContaining('December 2026') });
    expect(diagnosis.of('secrets').detail).toBe('read: password');
    for (const check of ['token-endpoint', 'token-content', 'refresh-token', 'imap-connect'] as const) {
      expect(diagnosis.of(check)).toMatchObject({ result: 'skip' });
    }
    expect(diagnosis.of('smtp-tls').result).toBe('ok');
    expect(diagnosis.of('smtp-auth')).toMatchObject({ result: 'fail', remedy: expect.stringContaining('OAuth') });
  });

  it('command: the token that a program prints is examined like any other', async () => {
    const token = lab.sandbox.mint.accessToken(MAILBOX, { scopes: ['https://outlook.office.com/SMTP.Send'] });
    lab.secrets.push(token);
    const file = lab.folder.write('token', token);
    const diagnosis = await examine({ auth: { ...bare, grant: 'command', command: ['/bin/cat', file] } });
    expect(diagnosis.named('fail')).toEqual([]);
    expect(diagnosis.of('token-endpoint')).toMatchObject({ result: 'skip', detail: expect.stringContaining('/bin/cat') });
    expect(diagnosis.of('token-content').detail).toContain(`of ${MAILBOX}, with SMTP.Send`);
    expect(diagnosis.of('smtp-auth').result).toBe('ok');
  });

  it('command: a program that fails is told', async () => {
    const diagnosis = await examine({ auth: { ...bare, grant: 'command', command: ['/bin/false'] } });
    expect(diagnosis.of('token')).toMatchObject({
      result: 'fail',
      problem: 'TOKEN_COMMAND_FAILED',
      remedy: expect.stringContaining('by hand'),
    });
  });
});

describe('opaque tokens', () => {
  it('are not read, and the mail server decides', async () => {
    lab.sandbox.faults.token.accessTokenFormat = 'opaque';
    const diagnosis = await examine();
    expect(diagnosis.of('token-content')).toMatchObject({ result: 'skip', detail: expect.stringContaining('opaque') });
    expect(diagnosis.of('smtp-auth').result).toBe('ok');
  });
});

describe('what the configuration says', () => {
  it('of this account is a warning, of others it is not', async () => {
    const other = {
      name: 'other',
      provider: 'microsoft365',
      mailbox: 'x@contoso.com',
      auth: { grant: 'refresh_token', tenant: 'common', clientId: 'x' },
    };
    const yaml = lab.yaml({ auth: { scopes: ['https://outlook.office.com/SMTP.Send'] } });
    const more = yaml.replace('accounts:', `accounts:\n  - ${JSON.stringify(other)}`);
    const loaded = await lab.folder.load(more);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    expect(loaded.notices.some(({ path }) => path.startsWith('accounts[0]'))).toBe(true);
    const config = (await diagnoseAccount(loaded, 'billing')).of('config');
    expect(config).toMatchObject({ result: 'warn', detail: expect.stringContaining('offline_access') });
    expect(config.detail).not.toContain('accounts[0]');
  });

  it('of files that others may read is told with the secrets', async () => {
    lab.folder.write('secret', lab.sandbox.clientSecret, 0o644);
    const diagnosis = await examine({ auth: { clientSecret: '${file:secret}' } });
    expect(diagnosis.of('config').result).toBe('ok');
    expect(diagnosis.of('secrets')).toMatchObject({ result: 'warn', detail: expect.stringContaining('may be read by everybody') });
  });

  it('of onmicrosoft.com is told once', async () => {
    const diagnosis = await examine({
      account: { mailbox: 'billing@sandbox.onmicrosoft.com', smtpUser: MAILBOX },
      document: {
        clients: [
          { name: 'erp', username: 'erp', password: 'local-canary-password', account: 'billing', senders: ['*@sandbox.onmicrosoft.com'] },
        ],
      },
    });
    expect(diagnosis.of('config').result).toBe('ok');
    expect(diagnosis.of('sender-domain')).toMatchObject({ result: 'warn', detail: expect.stringContaining('*@sandbox.onmicrosoft.com') });
    lab.secrets.push('local-canary-password');
  });

  it('about the end of a client secret is counted down', async () => {
    const soon = new Date(Date.now() + 6.5 * 86_400_000).toISOString().slice(0, 10);
    const diagnosis = await examine({ auth: { clientSecretExpires: soon } });
    expect(diagnosis.of('secret-end')).toMatchObject({ result: 'warn', problem: 'SECRET_ENDING', detail: expect.stringContaining(soon) });
  });
});

describe('the state', () => {
  const state = (): string => join(lab.folder.path, 'var');

  it('fails where others may write it', async () => {
    mkdirSync(state());
    chmodSync(state(), 0o777);
    const diagnosis = await examine();
    expect(diagnosis.of('state')).toMatchObject({
      result: 'fail',
      problem: 'TOKEN_STORE_FAILED',
      detail: expect.stringContaining('chmod 0700'),
    });
    expect(diagnosis.of('token')).toMatchObject({ result: 'skip', detail: 'needs state' });
    expect(diagnosis.of('smtp-mechanism').result).toBe('ok');
  });

  it('fails where the key is of no use', async () => {
    mkdirSync(state(), { mode: 0o700 });
    writeFileSync(join(state(), 'master.key'), 'not a key\n', { mode: 0o600 });
    expect((await examine()).of('state')).toMatchObject({
      result: 'fail',
      problem: 'STATE_KEY_UNUSABLE',
      remedy: expect.stringMatching(/key/),
    });
  });

  it('fails where what is stored is damaged, and leaves it as it is', async () => {
    await examine();
    const folder = join(state(), 'tokens');
    const [name = ''] = readdirSync(folder).filter((file) => file.endsWith('.grant'));
    writeFileSync(join(folder, name), '{"format":"postern-grant"', { mode: 0o600 });
    expect((await examine()).of('state')).toMatchObject({ result: 'fail', problem: 'TOKEN_STORE_FAILED' });
    expect(readdirSync(folder)).toContain(name);
  });
});
