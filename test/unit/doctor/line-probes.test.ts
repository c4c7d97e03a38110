/** Trial sign-ins at IMAP and POP3 servers: what passes, what fails, and what the operator reads. */
import { afterEach, describe, expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import type { Clock } from '../../../src/core/ports/clock.ts';
import type { ProbeReport } from '../../../src/core/ports/mail-probe.ts';
import { probeImap } from '../../../src/doctor/imap-probe.ts';
import { probePop3 } from '../../../src/doctor/pop3-probe.ts';
import { dial } from '../../../src/platform/dial.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { imapScript, type LineScript, pop3Script, ScriptedLineServer } from '../../support/scripted-line-server.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

const authority = createTestAuthority();
const certificate = authority.issue({ hosts: ['localhost'] });
const TOKEN = 'canary-token-'.padEnd(400, 'x');
const USER = 'billing@postern.test';

const servers: ScriptedLineServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

interface Trial {
  readonly script: () => LineScript;
  readonly isImplicit?: boolean;
  readonly certificate?: typeof certificate;
  readonly mechanism?: 'XOAUTH2' | 'OAUTHBEARER';
  readonly accessToken?: string | undefined;
  readonly user?: string;
  readonly clock?: Clock;
}

async function run(protocol: 'imap' | 'pop3', trial: Trial): Promise<{ report: ProbeReport; server: ScriptedLineServer }> {
  const { isImplicit = true, mechanism = 'XOAUTH2', user = USER, clock = systemClock } = trial;
  const server = await ScriptedLineServer.start(trial.script, trial.certificate ?? certificate, { isImplicit });
  servers.push(server);
  const report = await (protocol === 'imap' ? probeImap : probePop3)({
    endpoint: { host: 'localhost', port: server.port, tls: isImplicit ? 'implicit' : 'starttls' },
    ca: authority.caPem,
    protocol,
    mechanism,
    user,
    accessToken: 'accessToken' in trial ? trial.accessToken : TOKEN,
    dial,
    clock,
  });
  expect(JSON.stringify(report)).not.toContain('canary');
  return { report, server };
}

const response = (token: string): string => Buffer.from(`user=${USER}\x01auth=Bearer ${token}\x01\x01`).toString('base64');

describe('a good IMAP server', () => {
  it('is signed in to in two steps, looked at and left', async () => {
    const { report, server } = await run('imap', { script: () => imapScript() });
    expect(report).toEqual({
      passed: {
        connect: expect.stringMatching(/^localhost:\d+ greets with OK The Microsoft Exchange IMAP4 service is ready/),
        tls: 'implicit TLS, certificate verified',
        mechanism: 'offers PLAIN XOAUTH2',
        auth: `signed in as ${USER}`,
        access: 'INBOX has 12 messages',
      },
    });
    expect(server.lines.slice(0, 4)).toEqual(['p1 CAPABILITY', 'p2 AUTHENTICATE XOAUTH2', response(TOKEN), 'p3 STATUS INBOX (MESSAGES)']);
  });

  it('may want STARTTLS first; nothing else is said in clear', async () => {
    const { report, server } = await run('imap', {
      isImplicit: false,
      script: () => imapScript({ STARTTLS: 'STARTTLS:T OK Begin TLS negotiation now.' }),
    });
    expect(report.failed).toBeUndefined();
    expect(report.passed.tls).toBe('STARTTLS, certificate verified');
    expect(server.lines.slice(0, 2)).toEqual(['p1 STARTTLS', 'p2 CAPABILITY']);
  });

  it('is left before AUTHENTICATE where there is no token', async () => {
    const { report, server } = await run('imap', { script: () => imapScript(), accessToken: undefined });
    expect(Object.keys(report.passed)).toEqual(['connect', 'tls', 'mechanism']);
    expect(server.lines).toEqual(['p1 CAPABILITY']);
  });

  it('may want OAUTHBEARER', async () => {
    const script = () => imapScript({ CAPABILITY: '* CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER\r\nT OK done' });
    const { report, server } = await run('imap', { script, mechanism: 'OAUTHBEARER' });
    expect(report.failed).toBeUndefined();
    expect(Buffer.from(server.lines[2] ?? '', 'base64').toString()).toContain(`\x01host=localhost\x01port=${server.port}\x01auth=Bearer `);
  });
});

describe('a good POP3 server', () => {
  it('is signed in to in two lines, looked at and left', async () => {
    const { report, server } = await run('pop3', { script: () => pop3Script() });
    expect(report).toEqual({
      passed: {
        connect: expect.stringMatching(/greets with \+OK The Microsoft Exchange POP3 service is ready/),
        tls: 'implicit TLS, certificate verified',
        mechanism: 'offers PLAIN XOAUTH2',
        auth: `signed in as ${USER}`,
        access: 'the mailbox has 7 messages',
      },
    });
    expect(server.lines.slice(0, 4)).toEqual(['CAPA', 'AUTH XOAUTH2', response(TOKEN), 'STAT']);
  });

  it('may want STLS first', async () => {
    const { report, server } = await run('pop3', { isImplicit: false, script: () => pop3Script({ STLS: 'STARTTLS:+OK Begin TLS' }) });
    expect(report.failed).toBeUndefined();
    expect(server.lines.slice(0, 2)).toEqual(['STLS', 'CAPA']);
  });
});

interface Failure {
  readonly name: string;
  readonly protocol: 'imap' | 'pop3';
  readonly changes: Readonly<Record<string, string>>;
  readonly step: string;
  readonly code: string;
  readonly cause: RegExp;
  readonly remedy: RegExp;
}

const CHALLENGE = Buffer.from('{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}').toString('base64');

const FAILURES: readonly Failure[] = [
  {
    name: 'NO AUTHENTICATE failed',
    protocol: 'imap',
    changes: { credentials: 'T NO AUTHENTICATE failed.' },
    step: 'auth',
    code: 'UPSTREAM_AUTH_REFUSED',
    cause: /does not accept the access token for this user\. \(localhost:\d+: NO AUTHENTICATE failed\.\)/,
    remedy: /smtpUser/,
  },
  {
    name: 'a failure challenge, which is answered by an empty line',
    protocol: 'imap',
    changes: { credentials: `+ ${CHALLENGE}`, '': 'T NO [ALERT] Invalid credentials (Failure)' },
    step: 'auth',
    code: 'UPSTREAM_AUTH_REFUSED',
    cause: /Invalid credentials/,
    remedy: /./,
  },
  {
    name: 'authenticated but not connected, at the first command after the sign-in',
    protocol: 'imap',
    changes: { STATUS: 'T BAD User is authenticated but not connected.\r\n* BYE Connection closed. 14' },
    step: 'access',
    code: 'UPSTREAM_MAILBOX_CLOSED',
    cause: /token is good, but the mailbox does not open/,
    remedy: /Set-CASMailbox -Identity MAILBOX -ImapEnabled \$true .*Add-MailboxPermission/,
  },
  {
    name: 'authenticated but not connected, in answer to the sign-in',
    protocol: 'imap',
    changes: { credentials: 'T BAD User is authenticated but not connected.' },
    step: 'auth',
    code: 'UPSTREAM_MAILBOX_CLOSED',
    cause: /token is good/,
    remedy: /FullAccess/,
  },
  {
    name: 'IMAP switched off',
    protocol: 'imap',
    changes: { credentials: 'T NO [ALERT] Your account is not enabled for IMAP use. Please visit your settings' },
    step: 'auth',
    code: 'UPSTREAM_MAILBOX_CLOSED',
    cause: /switched off for the mailbox/,
    remedy: /ImapEnabled/,
  },
  {
    name: 'no XOAUTH2 offered: the token is not sent',
    protocol: 'imap',
    changes: { CAPABILITY: '* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nT OK done' },
    step: 'mechanism',
    code: 'UPSTREAM_XOAUTH2_MISSING',
    cause: /does not offer AUTH=XOAUTH2; it offers PLAIN/,
    remedy: /host and port of the provider/,
  },
  {
    name: 'throttled',
    protocol: 'imap',
    changes: { STATUS: 'T NO Request is throttled. Suggested Backoff Time: 299123 milliseconds' },
    step: 'access',
    code: 'UPSTREAM_BUSY',
    cause: /slows this mailbox down/,
    remedy: /it passes/,
  },
  {
    name: 'server unavailable',
    protocol: 'imap',
    changes: { credentials: 'T NO Server Unavailable. 15' },
    step: 'auth',
    code: 'UPSTREAM_DEFERRED',
    cause: /passing fault/,
    remedy: /if it passes/,
  },
  {
    name: 'a session that ends with a reason',
    protocol: 'imap',
    changes: { STATUS: '* BYE Session invalidated - AccessTokenExpired\r\nT BAD' },
    step: 'access',
    code: 'UPSTREAM_AUTH_REFUSED',
    cause: /the token has expired/,
    remedy: /./,
  },
  {
    name: 'a greeting of another protocol',
    protocol: 'imap',
    changes: { greeting: '220 mail.test ESMTP' },
    step: 'connect',
    code: 'UPSTREAM_PROTOCOL',
    cause: /greets with 220 mail\.test ESMTP, which is not IMAP/,
    remedy: /host and port/,
  },
  {
    name: 'a line without end',
    protocol: 'imap',
    changes: { CAPABILITY: `* ${'x'.repeat(20_000)}\n`.repeat(20) },
    step: 'mechanism',
    code: 'UPSTREAM_PROTOCOL',
    cause: /more than the protocol allows/,
    remedy: /./,
  },
  {
    name: 'an answer without end',
    protocol: 'imap',
    changes: { CAPABILITY: '* OK\r\n'.repeat(500) },
    step: 'mechanism',
    code: 'UPSTREAM_PROTOCOL',
    cause: /have no end/,
    remedy: /./,
  },
  {
    name: 'a connection that ends',
    protocol: 'imap',
    changes: { AUTHENTICATE: 'close' },
    step: 'auth',
    code: 'UPSTREAM_LOST',
    cause: /the server closed the connection/,
    remedy: /./,
  },
  {
    name: '-ERR to the sign-in',
    protocol: 'pop3',
    changes: { credentials: '-ERR Authentication failure: unknown user name or bad password.' },
    step: 'auth',
    code: 'UPSTREAM_AUTH_REFUSED',
    cause: /unknown user name or bad password/,
    remedy: /./,
  },
  {
    name: 'a failure challenge, which is answered by an empty line',
    protocol: 'pop3',
    changes: { credentials: `+ ${CHALLENGE}` },
    step: 'auth',
    code: 'UPSTREAM_AUTH_REFUSED',
    cause: /does not accept the access token/,
    remedy: /./,
  },
  {
    name: 'protocol error',
    protocol: 'pop3',
    changes: { credentials: '-ERR Protocol error. Connection is closed. 10' },
    step: 'auth',
    code: 'UPSTREAM_PROTOCOL',
    cause: /more than 4096 characters/,
    remedy: /fewer scopes/,
  },
  {
    name: 'a mailbox in use',
    protocol: 'pop3',
    changes: { STAT: '-ERR [IN-USE] Mailbox is locked by another session' },
    step: 'access',
    code: 'UPSTREAM_MAILBOX_IN_USE',
    cause: /RFC 1939/,
    remedy: /other session is over/,
  },
  {
    name: 'no XOAUTH2 offered',
    protocol: 'pop3',
    changes: { CAPA: '+OK\r\nUSER\r\n.' },
    step: 'mechanism',
    code: 'UPSTREAM_XOAUTH2_MISSING',
    cause: /does not offer SASL XOAUTH2; it offers none/,
    remedy: /host and port/,
  },
  {
    name: 'no CAPA',
    protocol: 'pop3',
    changes: { CAPA: '-ERR unknown' },
    step: 'mechanism',
    code: 'UPSTREAM_XOAUTH2_MISSING',
    cause: /it offers none/,
    remedy: /./,
  },
  {
    name: 'a greeting of another protocol',
    protocol: 'pop3',
    changes: { greeting: '* OK IMAP4 ready' },
    step: 'connect',
    code: 'UPSTREAM_PROTOCOL',
    cause: /which is not POP3/,
    remedy: /./,
  },
];

/** Steps before the sign-in, and a server that does not ask for the string, get no token. */
function tokenIsSent(step: string, changes: Failure['changes']): boolean {
  return (step === 'auth' || step === 'access') && changes['AUTHENTICATE'] === undefined;
}

describe('a failure', () => {
  it.each(FAILURES)('$protocol: $name', async ({ protocol, changes, step, code, cause, remedy }) => {
    const { report, server } = await run(protocol, { script: () => (protocol === 'imap' ? imapScript(changes) : pop3Script(changes)) });
    expect(report.failed).toMatchObject({
      step,
      problem: { code, cause: expect.stringMatching(cause), remedy: expect.stringMatching(remedy) },
    });
    expect(report.passed).not.toHaveProperty(step);
    // The token goes where the mechanism is offered, and nowhere else.
    expect(server.lines.includes(response(TOKEN))).toBe(tokenIsSent(step, changes));
  });

  it('does not show a token that the server quotes back', async () => {
    const script = () => imapScript({ credentials: `T BAD unexpected ${response(TOKEN)}` });
    const { report } = await run('imap', { script });
    expect(report.failed?.problem.cause).toContain('[removed]');
    expect(report.failed?.problem.cause).not.toContain(response(TOKEN).slice(0, 80));
  });

  it.each(['imap', 'pop3'] as const)('%s: a certificate that is not trusted stops everything', async (protocol) => {
    const selfSigned = authority.issue({ hosts: ['localhost'], selfSigned: true });
    const script = () => (protocol === 'imap' ? imapScript() : pop3Script());
    const { report, server } = await run(protocol, { script, certificate: selfSigned });
    expect(report.failed).toMatchObject({
      step: 'tls',
      problem: { code: 'UPSTREAM_TLS_FAILED', remedy: expect.stringContaining('caFile') },
    });
    expect(server.lines).toEqual([]);
  });

  it.each(['imap', 'pop3'] as const)('%s: a refused STARTTLS stops everything', async (protocol) => {
    const script = () => (protocol === 'imap' ? imapScript({ STARTTLS: 'T NO not now' }) : pop3Script({ STLS: '-ERR not now' }));
    const { report, server } = await run(protocol, { script, isImplicit: false });
    expect(report.failed).toMatchObject({
      step: 'tls',
      problem: { code: 'UPSTREAM_TLS_FAILED', cause: expect.stringMatching(/nothing was sent/) },
    });
    expect(server.lines).toHaveLength(1);
  });

  it('clear text behind the answer to STARTTLS is an attack', async () => {
    const script = () => imapScript({ STARTTLS: 'T OK Begin TLS\r\n* CAPABILITY AUTH=XOAUTH2' });
    const { report } = await run('imap', { script, isImplicit: false });
    expect(report.failed).toMatchObject({
      step: 'tls',
      problem: { code: 'UPSTREAM_TLS_FAILED', cause: expect.stringContaining('clear text') },
    });
  });

  it('nobody listens', async () => {
    const { server } = await run('imap', { script: () => imapScript() });
    const endpoint = { host: 'localhost', port: server.port, tls: 'implicit' } as const;
    await server.close();
    const options = { endpoint, ca: undefined, protocol: 'imap', mechanism: 'XOAUTH2', user: USER, accessToken: TOKEN, dial } as const;
    const report = await probeImap({ ...options, clock: systemClock });
    expect(report).toMatchObject({
      passed: {},
      failed: { step: 'connect', problem: { code: 'UPSTREAM_UNREACHABLE', remedy: expect.stringContaining('providers.NAME.imap.host') } },
    });
  });

  it.each(['imap', 'pop3'] as const)('%s: a server that falls silent is left after 30 s', async (protocol) => {
    const clock = new FakeClock();
    const script = () => (protocol === 'imap' ? imapScript({ CAPABILITY: '' }) : pop3Script({ CAPA: '' }));
    const pending = run(protocol, { script, clock });
    while (servers[0]?.lines.length !== 1) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(seconds(31));
    const { report } = await pending;
    expect(report.failed).toMatchObject({
      step: 'mechanism',
      problem: { code: 'UPSTREAM_TIMEOUT', cause: expect.stringContaining('30 s') },
    });
  });

  it('a user that cannot be part of the string is not sent', async () => {
    const { report, server } = await run('imap', { script: () => imapScript(), user: 'x\x01auth=Bearer y' });
    expect(report.failed).toMatchObject({ step: 'auth', problem: { code: 'CONFIG_INVALID' } });
    expect(server.lines).toHaveLength(1);
  });
});
