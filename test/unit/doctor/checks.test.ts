/** Each check by itself: what makes it fail or warn, and what the operator reads. The way through real servers is in test/integration/doctor.test.ts. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Account, AuthSettings } from '../../../src/core/account.ts';
import type { Pop3Mode } from '../../../src/core/account.ts';
import { days, hours, minutes, plus } from '../../../src/core/clock.ts';
import type { ProbeReport } from '../../../src/core/ports/mail-probe.ts';
import { ProblemError, problem } from '../../../src/core/problem.ts';
import type { CheckName, Finding } from '../../../src/doctor/check.ts';
import { Examination, type KnownSecret } from '../../../src/doctor/examination.ts';
import { judgeEnd, warningStep } from '../../../src/doctor/secret-end.ts';
import { dial } from '../../../src/platform/dial.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { jwt, runCheck, testBench, testExamination } from '../../support/examination.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { imapScript, pop3Script, ScriptedLineServer } from '../../support/scripted-line-server.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

const CERTIFICATE = { cert: '', key: '' };
const withCertificate = (): Account => testAccount({ auth: { grant: 'client_credentials', clientId: 'c', certificate: CERTIFICATE } });

describe('config', () => {
  it('says who signs in how', async () => {
    const shared = testAccount({ smtpUser: 'delegate@postern.test' });
    expect(await runCheck('config', testExamination({ account: shared }).examination)).toEqual({
      result: 'ok',
      detail: 'provider lab, billing@postern.test, SMTP as delegate@postern.test, grant refresh_token',
    });
  });

  it('passes notices on as warnings', async () => {
    const { examination } = testExamination({ configNotices: ['3:5 accounts[0].auth.tenant: one', '4:5 accounts[0].auth.scopes: two'] });
    expect(await runCheck('config', examination)).toMatchObject({
      result: 'warn',
      detail: '3:5 accounts[0].auth.tenant: one; 4:5 accounts[0].auth.scopes: two',
      remedy: expect.stringContaining('docs/config.md'),
    });
  });
});

describe('secrets', () => {
  const check = (secrets: readonly KnownSecret[], secretNotices: readonly string[] = []) =>
    runCheck('secrets', testExamination({ secrets: () => Promise.resolve(secrets), secretNotices }).examination);

  it('names them', async () => {
    expect(await check([{ what: 'client secret' }, { what: 'refresh token' }])).toEqual({
      result: 'ok',
      detail: 'read: client secret, refresh token',
    });
    expect(await check([])).toEqual({ result: 'ok', detail: 'none needed' });
  });

  it('fails where a file cannot be read', async () => {
    const trouble = problem('SECRET_UNREADABLE', '/run/token cannot be read (EACCES)');
    expect(await check([{ what: 'federated token', trouble }])).toMatchObject({
      result: 'fail',
      problem: 'SECRET_UNREADABLE',
      detail: '/run/token cannot be read (EACCES)',
      remedy: expect.stringContaining('chmod 600'),
    });
  });

  it('warns where others may read a file', async () => {
    const finding = await check([{ what: 'client secret' }], ['accounts[0].auth.clientSecret: /s may be read by everybody: chmod 600 it']);
    expect(finding).toMatchObject({
      result: 'warn',
      detail: expect.stringContaining('read by everybody'),
      remedy: expect.stringContaining('600'),
    });
  });
});

describe('secret-end', () => {
  const clock = new FakeClock();
  const check = (...secrets: KnownSecret[]) =>
    runCheck('secret-end', testExamination({ secrets: () => Promise.resolve(secrets), clock }).examination);

  it('is well while there are more than 30 days', async () => {
    const finding = await check({ what: 'certificate', endsAt: plus(clock.now(), days(31)) });
    expect(finding).toEqual({ result: 'ok', detail: expect.stringContaining('in 31 days') });
  });

  it.each([
    { left: days(30), result: 'warn', detail: /ends in 30 days/ },
    { left: days(14), result: 'warn', detail: /ends in 14 days/ },
    { left: days(7), result: 'warn', detail: /ends in 7 days/ },
    { left: days(1), result: 'warn', detail: /ends within a day/ },
    { left: days(0), result: 'fail', detail: /ended on 2026-11-23/ },
    { left: days(-100), result: 'fail', detail: /ended on 2026-08-15/ },
  ])('$left ms before the end: $result', async ({ left, result, detail }) => {
    const finding = await check({ what: 'certificate', endsAt: plus(clock.now(), left) });
    const remedy = expect.stringContaining('Make a new one') as string;
    expect(finding).toEqual({ result, detail: expect.stringMatching(detail), problem: 'SECRET_ENDING', remedy });
  });

  it('counts down in steps', () => {
    expect([31, 30, 15, 14, 8, 7, 2, 1, 0].map((left) => warningStep(days(left)))).toEqual([undefined, 30, 30, 14, 14, 7, 7, 1, 1]);
    expect(judgeEnd('it', plus(clock.now(), hours(36)), clock.now()).detail).toContain('in 1 day (');
  });

  it('looks at the one that ends first', async () => {
    const finding = await check(
      { what: 'certificate', endsAt: plus(clock.now(), days(200)) },
      { what: 'client secret', endsAt: plus(clock.now(), days(5)) },
    );
    expect(finding).toMatchObject({ result: 'warn', detail: expect.stringContaining('the client secret ends in 5 days') });
  });

  it('says where the end stands that a client secret does not tell', async () => {
    expect(await check({ what: 'client secret' })).toMatchObject({
      result: 'skip',
      detail: expect.stringContaining('clientSecretExpires'),
    });
    expect(await check({ what: 'refresh token' })).toMatchObject({ result: 'skip', detail: 'no secret of the account has an end' });
  });
});

describe('state', () => {
  it('opens it for the checks that follow', async () => {
    const { examination } = testExamination();
    expect(await runCheck('state', examination)).toEqual({
      result: 'ok',
      detail: '/var/lib/postern and its key can be used; stored tokens can be read (generation 3)',
    });
    expect(examination.tokens).toBeDefined();
  });

  const rejections: readonly { readonly name: string; readonly changes: Parameters<typeof testExamination>[0]; readonly code: string }[] = [
    {
      name: 'it can be written by others',
      changes: { inspectState: () => Promise.resolve({ place: '/v', faults: ['/v can be written by others: chmod 0700 /v'] }) },
      code: 'TOKEN_STORE_FAILED',
    },
    {
      name: 'the key cannot be used',
      changes: { openTokens: () => Promise.reject(new ProblemError(problem('STATE_KEY_UNUSABLE', 'others may read it'))) },
      code: 'STATE_KEY_UNUSABLE',
    },
    {
      name: 'what is stored cannot be decrypted',
      changes: {
        openTokens: () =>
          Promise.resolve({
            ...testBench(new FakeClock()),
            stored: () => Promise.reject(new ProblemError(problem('TOKEN_STORE_FAILED', 'written with another key'))),
          }),
      },
      code: 'TOKEN_STORE_FAILED',
    },
  ];

  it.each(rejections)('fails where $name, and leaves no tokens behind', async ({ changes, code }) => {
    const { examination } = testExamination(changes);
    await expect(runCheck('state', examination)).rejects.toMatchObject({ problem: { code, remedy: expect.stringMatching(/keyFile/) } });
    expect(examination.tokens).toBeUndefined();
  });
});

describe('token-endpoint', () => {
  it('fails where it cannot be reached', async () => {
    const { examination } = testExamination();
    await expect(runCheck('token-endpoint', examination)).rejects.toMatchObject({
      problem: { code: 'TOKEN_ENDPOINT_UNREACHABLE', remedy: expect.stringContaining('tokenUrl') },
    });
  });

  const unasked: readonly { readonly auth: AuthSettings; readonly why: RegExp }[] = [
    { auth: { grant: 'basic', password: 'x' }, why: /uses no tokens/ },
    {
      auth: { grant: 'command', command: ['/bin/tool'], directory: '/', timeout: hours(1), passEnvironment: [] },
      why: /a program, \/bin\/tool/,
    },
    { auth: { grant: 'client_credentials', managedIdentity: true }, why: /metadata service/ },
  ];

  it.each(unasked)('is not asked where the account has no use for it: $auth.grant', async ({ auth, why }) => {
    const finding = await runCheck('token-endpoint', testExamination({ account: testAccount({ auth }) }).examination);
    expect(finding).toMatchObject({ result: 'skip', detail: expect.stringMatching(why) });
  });
});

describe('clock', () => {
  const check = (lead: number | undefined, account?: Account): Promise<Finding> => {
    const { examination } = testExamination(account === undefined ? {} : { account });
    examination.clockLead = lead;
    return runCheck('clock', examination);
  };

  it.each([
    { lead: minutes(5), result: 'ok', detail: /5 minutes/ },
    { lead: minutes(6), result: 'warn', detail: /6 minutes behind/ },
    { lead: hours(-26), result: 'warn', detail: /26 hours ahead of/ },
  ])('$lead ms: $result', async ({ lead, result, detail }) => {
    expect(await check(lead)).toMatchObject({ result, detail: expect.stringMatching(detail) });
  });

  it('fails where we sign with our own time', async () => {
    expect(await check(minutes(6), withCertificate())).toMatchObject({
      result: 'fail',
      problem: 'CLOCK_WRONG',
      remedy: expect.stringContaining('timedatectl set-ntp true'),
    });
  });

  it('says nothing where nobody tells the time', async () => {
    expect(await check(undefined)).toMatchObject({ result: 'skip' });
  });
});

describe('token', () => {
  async function check(account: Account, bench = testBench(new FakeClock())) {
    const { examination } = testExamination({ account });
    examination.tokens = bench;
    return { finding: await runCheck('token', examination), examination };
  }

  it('tells a token obtained now from a stored one', async () => {
    const clock = new FakeClock();
    const now = await check(testAccount(), testBench(clock));
    expect(now.finding).toEqual({ result: 'ok', detail: 'obtained now, ends in 60 minutes; opaque of 12 characters' });
    expect(now.examination.isTokenFresh).toBe(true);
    const stored = await check(testAccount(), testBench(clock, { token: jwt({ aud: 'x' }), obtainedAt: clock.now() - minutes(20) }));
    expect(stored.finding.detail).toMatch(/^stored, obtained 20 minutes ago, ends in 60 minutes; JWT of \d+ characters$/);
    expect(stored.examination.isTokenFresh).toBe(false);
  });

  it('fails with the reason of the provider', async () => {
    const bench = testBench(new FakeClock());
    bench.source.failure = new ProblemError(problem('TOKEN_REAUTH_REQUIRED', 'the refresh token has expired'));
    await expect(check(testAccount(), bench)).rejects.toMatchObject({
      problem: { code: 'TOKEN_REAUTH_REQUIRED', remedy: expect.stringContaining('postern login ACCOUNT') },
    });
  });

  it('warns of passwords at Microsoft, which ends them', async () => {
    const { finding } = await check(testAccount({ auth: { grant: 'basic', password: 'x' } }));
    expect(finding).toMatchObject({
      result: 'warn',
      detail: expect.stringContaining('December 2026'),
      remedy: expect.stringContaining('OAuth'),
    });
    const other = testProvider({ scopes: [], applicationScopes: [] });
    expect((await check(testAccount({ provider: other, auth: { grant: 'basic', password: 'x' } }))).finding.result).toBe('ok');
  });
});

describe('token-content', () => {
  it('is skipped where there is nothing to read', async () => {
    const { examination } = testExamination();
    expect(await runCheck('token-content', examination)).toMatchObject({ result: 'skip', detail: expect.stringContaining('no tokens') });
    examination.tokens = testBench(new FakeClock());
    await runCheck('token', examination);
    expect(await runCheck('token-content', examination)).toMatchObject({ result: 'skip', detail: expect.stringContaining('opaque') });
    const google = testProvider({ name: 'google', scopes: ['https://mail.google.com/'], applicationScopes: [] });
    const other = testExamination({ account: testAccount({ provider: google }) }).examination;
    other.token = examination.token;
    expect(await runCheck('token-content', other)).toMatchObject({ result: 'skip', detail: expect.stringContaining('provider google') });
  });

  it('fails for a token of Graph', async () => {
    const clock = new FakeClock();
    const { examination } = testExamination({ clock });
    examination.tokens = testBench(clock, {
      token: jwt({ aud: 'https://graph.microsoft.com', scp: 'SMTP.Send', upn: 'billing@postern.test' }),
    });
    await runCheck('token', examination);
    expect(await runCheck('token-content', examination)).toMatchObject({ result: 'fail', problem: 'TOKEN_CONTENT_WRONG' });
  });
});

describe('refresh-token', () => {
  const clock = new FakeClock();
  async function check(idle: number | undefined, changes: Partial<Account> = {}): Promise<Finding> {
    const { examination } = testExamination({ clock, account: testAccount(changes) });
    const savedAt = (clock.now() - (idle ?? 0)) as ReturnType<FakeClock['now']>;
    examination.tokens = testBench(clock, { stored: idle === undefined ? undefined : { refreshToken: 'stored', generation: 1, savedAt } });
    return runCheck('refresh-token', examination);
  }

  it.each([
    { idle: days(61), result: 'warn', detail: /renewed 61 days ago\) ends in 29 days/ },
    { idle: days(84), result: 'warn', detail: /ends in 6 days/ },
    { idle: days(91), result: 'fail', detail: /ended on/ },
  ])('unused for $idle ms: $result', async ({ idle, result, detail }) => {
    const finding = await check(idle);
    expect(finding).toMatchObject({ result, detail: expect.stringMatching(detail) });
    expect(finding).toMatchObject({ problem: 'SECRET_ENDING', remedy: expect.stringContaining('postern login ACCOUNT') });
  });

  it('lives for 90 days more once it was used', async () => {
    const finding = await check(days(0));
    expect(finding).toEqual({ result: 'ok', detail: expect.stringMatching(/renewed just now\) ends on .*, in 90 days/) });
  });

  it('fails where there is none', async () => {
    const finding = await check(undefined, { auth: { grant: 'refresh_token', clientId: 'c' } });
    expect(finding).toMatchObject({ result: 'fail', problem: 'TOKEN_MISSING', remedy: expect.stringContaining('postern login ACCOUNT') });
  });

  it('is skipped for grants without, and for a seed that was not used', async () => {
    expect(await check(days(0), { auth: { grant: 'client_credentials', clientId: 'c', clientSecret: 's' } })).toMatchObject({
      result: 'skip',
    });
    expect(await check(undefined)).toMatchObject({ result: 'skip', detail: expect.stringContaining('not been used') });
  });

  it('has no end that other providers tell', async () => {
    const provider = testProvider({ scopes: ['mail-w'], applicationScopes: [] });
    expect(await check(days(200), { provider })).toMatchObject({ result: 'ok', detail: expect.stringContaining('does not say') });
  });
});

describe('the submission server', () => {
  const failing = (report: ProbeReport) => testExamination({ probeSmtp: () => Promise.resolve(report) });

  it('is tried once for all its checks, with a token where there is one', async () => {
    const tries: boolean[] = [];
    const { examination } = testExamination({
      probeSmtp: (tokens) => {
        tries.push(tokens !== undefined);
        return Promise.resolve({ passed: { connect: 'connects' } });
      },
    });
    expect(await runCheck('smtp-connect', examination)).toEqual({ result: 'ok', detail: 'connects' });
    expect(await runCheck('smtp-auth', examination)).toMatchObject({ result: 'skip' });
    expect(tries).toEqual([false]);
  });

  it('may have no place left just now, which is no failure', async () => {
    const busy = { step: 'access', problem: problem('UPSTREAM_BUSY', '432 4.3.2 Concurrent connections limit exceeded') } as const;
    expect(await runCheck('smtp-sender', failing({ passed: {}, failed: busy }).examination)).toMatchObject({
      result: 'warn',
      problem: 'UPSTREAM_BUSY',
    });
  });

  it('gets commands for the user that signs in', async () => {
    const account = testAccount({ smtpUser: 'delegate@postern.test' });
    const failed = { step: 'auth', problem: problem('UPSTREAM_SMTP_AUTH_DISABLED') } as const;
    const { examination } = testExamination({ account, probeSmtp: () => Promise.resolve({ passed: {}, failed }) });
    expect(await runCheck('smtp-auth', examination)).toMatchObject({
      result: 'fail',
      problem: 'UPSTREAM_SMTP_AUTH_DISABLED',
      remedy: expect.stringContaining('Set-CASMailbox -Identity delegate@postern.test -SmtpClientAuthenticationDisabled $false'),
    });
  });

  it('is left alone where nobody submits and the token is not for it', async () => {
    const auth = { grant: 'refresh_token', clientId: 'c', scopes: ['https://outlook.office.com/IMAP.AccessAsUser.All'] } as const;
    const { examination } = testExamination({ account: testAccount({ auth }), needed: new Set(['imap']) });
    expect(await runCheck('smtp-connect', examination)).toMatchObject({ result: 'skip', detail: expect.stringContaining('not used') });
  });
});

describe('sender-domain', () => {
  const check = (senders: readonly string[], changes: Partial<Account> = {}): Promise<Finding> =>
    runCheck('sender-domain', testExamination({ account: testAccount(changes), senders }).examination);
  const MAILBOX = 'billing@postern.test';

  it('warns of onmicrosoft.com', async () => {
    expect(await check(['billing@contoso.onmicrosoft.com', MAILBOX])).toMatchObject({
      result: 'warn',
      problem: 'UPSTREAM_QUOTA',
      detail: expect.stringMatching(/billing@contoso\.onmicrosoft\.com: .*100 external recipients/),
      remedy: expect.stringContaining('domain of your own'),
    });
  });

  it('warns of senders in other domains', async () => {
    expect(await check([MAILBOX, '*@other.test'])).toMatchObject({
      result: 'warn',
      detail: expect.stringContaining('*@other.test'),
      remedy: expect.stringMatching(/Settings > Domains.*SendAs/),
    });
  });

  it('is content with the mailbox, and names what needs SendAs', async () => {
    expect(await check([MAILBOX])).toEqual({ result: 'ok', detail: `sends as ${MAILBOX} only` });
    expect(await check([MAILBOX, '*@postern.test'])).toMatchObject({ result: 'ok', detail: expect.stringContaining('needs SendAs') });
    const many = Array.from({ length: 9 }, (_, index) => `s${index}@postern.test`);
    expect((await check([MAILBOX, ...many])).detail).toContain('and 4 more');
  });

  it('knows nothing of other providers', async () => {
    const provider = testProvider({ scopes: ['https://mail.google.com/'], applicationScopes: [] });
    expect(await check(['x@y.onmicrosoft.com'], { provider })).toMatchObject({ result: 'skip' });
  });
});

describe('IMAP and POP3', () => {
  const authority = createTestAuthority();
  const certificate = authority.issue({ hosts: ['localhost'] });
  const CHANGES: { imap: Record<string, string>; pop3: Record<string, string> } = { imap: {}, pop3: {} };
  let imap: ScriptedLineServer;
  let pop3: ScriptedLineServer;
  /** Answers for the sessions to come, one set each; then those of CHANGES. */
  const queued: Record<string, string>[] = [];

  beforeAll(async () => {
    imap = await ScriptedLineServer.start(() => imapScript(queued.shift() ?? CHANGES.imap), certificate);
    pop3 = await ScriptedLineServer.start(() => pop3Script(queued.shift() ?? CHANGES.pop3), certificate);
  });
  afterAll(async () => {
    await imap.close();
    await pop3.close();
  });

  const SCOPES = ['SMTP.Send', 'IMAP.AccessAsUser.All', 'POP.AccessAsUser.All'].map((name) => `https://outlook.office.com/${name}`);

  interface ExaminationChanges {
    readonly scopes?: string[];
    readonly isFresh?: boolean;
    readonly token?: string;
    readonly mode?: Pop3Mode;
  }

  function examinationOf({ scopes = SCOPES, isFresh = true, token = 'opaque-token', mode = 'auto' }: ExaminationChanges = {}): Examination {
    const endpoint = (server: ScriptedLineServer) => ({ host: 'localhost', port: server.port, tls: 'implicit' }) as const;
    const provider = testProvider({ ca: authority.caPem, imap: endpoint(imap), pop3: endpoint(pop3) });
    const account = testAccount({ provider, pop3: mode, auth: { grant: 'refresh_token', clientId: 'c', scopes } });
    const { examination, clock } = testExamination({ account, dial, clock: new FakeClock(Date.now()) });
    examination.tokens = testBench(clock, { token });
    examination.token = { value: token, expiresAt: plus(clock.now(), hours(1)), generation: 1 };
    examination.isTokenFresh = isFresh;
    return examination;
  }

  async function both(protocol: 'imap' | 'pop3', examination: Examination): Promise<[Finding, Finding]> {
    const names: readonly CheckName[] = [`${protocol}-connect`, `${protocol}-auth`];
    const findings: Finding[] = [];
    for (const name of names) findings.push(await runCheck(name, examination));
    return findings as [Finding, Finding];
  }

  it('are signed in to', async () => {
    expect(await both('imap', examinationOf())).toMatchObject([
      { result: 'ok', detail: expect.stringMatching(/greets with .*; implicit TLS, certificate verified; offers PLAIN XOAUTH2$/) },
      { result: 'ok', detail: 'signed in as billing@postern.test; INBOX has 12 messages' },
    ]);
    expect(await both('pop3', examinationOf())).toMatchObject([
      { result: 'ok' },
      { detail: 'signed in as billing@postern.test; the mailbox has 7 messages' },
    ]);
  });

  it('are left alone where the token is not for them', async () => {
    const sessions = imap.sessions;
    expect(await both('imap', examinationOf({ scopes: ['https://outlook.office.com/SMTP.Send'] }))).toMatchObject([
      { result: 'skip', detail: 'the token does not include IMAP (https://outlook.office.com/SMTP.Send)' },
      { result: 'skip' },
    ]);
    expect(imap.sessions).toBe(sessions);
  });

  it('are left alone where the provider has none, or a password is used', async () => {
    expect(await runCheck('pop3-connect', testExamination().examination)).toMatchObject({
      result: 'skip',
      detail: 'provider lab has no POP3 server',
    });
    const basic = testAccount({
      provider: testProvider({ imap: { host: 'localhost', port: 1, tls: 'implicit' } }),
      auth: { grant: 'basic', password: 'x' },
    });
    expect(await runCheck('imap-connect', testExamination({ account: basic }).examination)).toMatchObject({
      detail: expect.stringContaining('grant basic'),
    });
  });

  it('may refuse a stale token once: it is replaced', async () => {
    queued.push({ credentials: 'T NO AUTHENTICATE failed.' });
    const examination = examinationOf({ isFresh: false });
    expect((await both('imap', examination))[1]).toMatchObject({ result: 'ok' });
    expect(examination.token?.value).toBe('access-token-2');
  });

  it('that refuse a fresh token get no other one, and the remedy fits', async () => {
    queued.push({ credentials: 'T NO AUTHENTICATE failed.' });
    const examination = examinationOf();
    expect((await both('imap', examination))[1]).toMatchObject({
      result: 'fail',
      problem: 'UPSTREAM_AUTH_REFUSED',
      remedy: expect.stringContaining('Set-CASMailbox -Identity billing@postern.test -ImapEnabled $true'),
    });
    expect(examination.token?.value).toBe('opaque-token');
  });

  it('that cannot be tried again say why', async () => {
    queued.push({ credentials: '-ERR Authentication failure: unknown user name or bad password.' });
    const examination = examinationOf({ isFresh: false });
    const bench = testBench(new FakeClock());
    bench.source.replaceFailure = new ProblemError(problem('TOKEN_REAUTH_REQUIRED', 'dead'));
    examination.tokens = bench;
    expect((await both('pop3', examination))[1]).toMatchObject({ result: 'fail', problem: 'TOKEN_REAUTH_REQUIRED' });
  });

  it('that open no mailbox say so, and keep the token', async () => {
    queued.push({ STATUS: 'T BAD User is authenticated but not connected.' });
    expect((await both('imap', examinationOf({ isFresh: false })))[1]).toMatchObject({
      result: 'fail',
      problem: 'UPSTREAM_MAILBOX_CLOSED',
    });
  });

  it('that have no mechanism for tokens fail before a token is sent', async () => {
    queued.push({ CAPABILITY: '* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nT OK' });
    expect((await both('imap', examinationOf()))[0]).toMatchObject({ result: 'fail', problem: 'UPSTREAM_XOAUTH2_MISSING' });
  });

  it('are given time where another session has the mailbox', async () => {
    queued.push({ STAT: '-ERR [IN-USE] locked' });
    expect((await both('pop3', examinationOf()))[1]).toMatchObject({ result: 'warn', problem: 'UPSTREAM_MAILBOX_IN_USE' });
  });

  it('POP3 that is refused is a warning where IMAP takes its place', async () => {
    queued.push({ credentials: '-ERR Protocol error. Connection is closed. 10' });
    expect((await both('pop3', examinationOf({ token: 'x'.repeat(4500) })))[1]).toMatchObject({
      result: 'warn',
      detail: expect.stringContaining('POP3 is served from IMAP then (pop3: auto)'),
      remedy: expect.stringMatching(/^Nothing, if imap-auth is in order.*fewer scopes/),
    });
  });

  it('POP3 that is out of reach is a failure all the same', async () => {
    queued.push({ greeting: 'HTTP/1.1 400 Bad Request' });
    expect((await both('pop3', examinationOf()))[0]).toMatchObject({ result: 'fail', problem: 'UPSTREAM_PROTOCOL' });
  });

  it('POP3 is not tried where it is served from IMAP', async () => {
    const { sessions } = pop3;
    expect(await both('pop3', examinationOf({ mode: 'imap' }))).toMatchObject([
      { result: 'skip', detail: expect.stringContaining('served from IMAP') },
      { result: 'skip' },
    ]);
    expect(pop3.sessions).toBe(sessions);
  });

  it('POP3 names the length of a token that may be too long', async () => {
    queued.push({ credentials: '-ERR Protocol error. Connection is closed. 10' });
    const finding = (await both('pop3', examinationOf({ token: 'x'.repeat(4500), mode: 'proxy' })))[1];
    expect(finding).toMatchObject({
      result: 'fail',
      detail: expect.stringContaining('4500 characters'),
      remedy: expect.stringContaining('fewer scopes'),
    });
  });
});
