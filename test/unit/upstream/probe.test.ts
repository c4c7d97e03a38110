/** The trial sign-in of `postern doctor`: which step it came to, and that nothing is submitted. */
import { describe, expect, it } from 'vitest';
import type { ProbeReport } from '../../../src/core/ports/mail-probe.ts';
import { ProblemError, problem } from '../../../src/core/problem.ts';
import { dial } from '../../../src/platform/dial.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { type ProbeDepth, probeSubmission } from '../../../src/upstream/probe.ts';
import { DEADLINES } from '../../../src/upstream/smtp-session.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryTokenSource } from '../../support/memory-token-source.ts';
import { ehloReply, type ScriptAnswer, type ScriptedServerOptions, type ScriptedSmtpServer } from '../../support/scripted-smtp-server.ts';
import { authority, startServer } from './lab.ts';

interface Trial extends ScriptedServerOptions {
  readonly depth?: ProbeDepth;
  readonly tokens?: MemoryTokenSource;
}

async function probe({ depth = 'sign-in', tokens = new MemoryTokenSource(), ...options }: Trial = {}) {
  const server = await startServer(options);
  const tls = options.isImplicit === true ? 'implicit' : 'starttls';
  const provider = testProvider({ ca: authority.caPem, smtp: { host: 'localhost', port: server.port, tls } });
  const account = testAccount({ provider, mailbox: 'shared@postern.test', smtpUser: 'delegate@postern.test' });
  const log = new MemoryLog();
  const deps = { tokens, clock: systemClock, log, ehloName: 'relay.test', deadlines: DEADLINES, dial };
  const report = await probeSubmission(account, deps, depth);
  return { report, server, tokens, log };
}

const verbs = (server: ScriptedSmtpServer): string[] =>
  server.sessions.flatMap(({ lines }) => lines.map((line) => line.split(' ')[0] ?? ''));

/** The first session is turned away, as by a server that is taken out of service. */
function drainOnce() {
  let sessions = 0;
  return (): ScriptAnswer => {
    sessions += 1;
    return sessions === 1 ? { say: '421 4.3.2 Service not active', ends: 'close' } : '334 ';
  };
}

describe('a good server', () => {
  it('is signed in to as far as MAIL, then RSET and QUIT', async () => {
    const { report, server } = await probe();
    expect(report).toEqual({
      passed: {
        connect: expect.stringMatching(/^localhost:\d+ greets with 220 mail\.test Microsoft ESMTP/),
        tls: 'STARTTLS, certificate verified for localhost',
        mechanism: 'offers AUTH LOGIN XOAUTH2',
        auth: 'signed in as delegate@postern.test',
        access: 'MAIL FROM:<shared@postern.test> answered with 250 2.1.0 Sender OK; nothing was sent',
      },
    });
    expect(verbs(server).filter((verb) => verb === verb.toUpperCase() && verb.length <= 8)).toEqual([
      'EHLO',
      'STARTTLS',
      'EHLO',
      'AUTH',
      'MAIL',
      'RSET',
      'QUIT',
    ]);
    expect(server.sessions[0]?.messages).toEqual([]);
  });

  it('is left before AUTH where there is no token, and none is asked for', async () => {
    const { report, server, tokens } = await probe({ depth: 'connect', isImplicit: true });
    expect(Object.keys(report.passed)).toEqual(['connect', 'tls', 'mechanism']);
    expect(report.failed).toBeUndefined();
    expect(report.passed.tls).toContain('implicit TLS');
    expect(verbs(server)).toEqual(['EHLO', 'QUIT']);
    expect(tokens.asked).toBe(0);
  });

  it('may refuse a stale token, which is said', async () => {
    const { report, tokens } = await probe({
      script: { authString: (_line, count) => (count === 1 ? '535 5.7.3 Authentication unsuccessful' : '235 2.7.0 ok') },
    });
    expect(report.failed).toBeUndefined();
    expect(report.passed.auth).toContain('the stored token was refused, a fresh one was accepted');
    expect(tokens.refused).toHaveLength(1);
  });

  it('may be draining, which says nothing about the token', async () => {
    const { report, tokens } = await probe({
      script: { auth: drainOnce() },
    });
    expect(report.passed.auth).toBe('signed in as delegate@postern.test');
    expect(tokens.refused).toEqual([]);
  });
});

const POLICY = '535 5.7.139 Authentication unsuccessful,';

interface Failure {
  readonly name: string;
  readonly trial: Trial;
  readonly step: NonNullable<ProbeReport['failed']>['step'];
  readonly code: string;
  readonly remedy: RegExp;
}

const FAILURES: readonly Failure[] = [
  {
    name: 'greets with 554',
    trial: { script: { greeting: '554 5.7.1 no service' } },
    step: 'connect',
    code: 'UPSTREAM_MISCONFIGURED',
    remedy: /./,
  },
  { name: 'closes', trial: { script: { greeting: 'close' } }, step: 'connect', code: 'UPSTREAM_LOST', remedy: /./ },
  {
    name: 'is no SMTP server',
    trial: { script: { greeting: '* OK IMAP' } },
    step: 'connect',
    code: 'UPSTREAM_PROTOCOL',
    remedy: /host and port/,
  },
  {
    name: 'has no STARTTLS',
    trial: { script: { ehlo: ehloReply('SIZE 1') } },
    step: 'tls',
    code: 'UPSTREAM_TLS_FAILED',
    remedy: /firewall/,
  },
  {
    name: 'refuses STARTTLS',
    trial: { script: { starttls: '454 4.7.0 not now' } },
    step: 'tls',
    code: 'UPSTREAM_TLS_FAILED',
    remedy: /firewall/,
  },
  {
    name: 'has a certificate of nobody',
    trial: { certificate: authority.issue({ hosts: ['localhost'], selfSigned: true }) },
    step: 'tls',
    code: 'UPSTREAM_TLS_FAILED',
    remedy: /providers\.NAME\.caFile/,
  },
  {
    name: 'has the same with implicit TLS',
    trial: { isImplicit: true, certificate: authority.issue({ hosts: ['other.test'] }) },
    step: 'tls',
    code: 'UPSTREAM_TLS_FAILED',
    remedy: /providers\.NAME\.smtp\.host/,
  },
  {
    name: 'offers no XOAUTH2',
    trial: { script: { ehloAfterTls: ehloReply('AUTH LOGIN') } },
    step: 'mechanism',
    code: 'UPSTREAM_XOAUTH2_MISSING',
    remedy: /smtp\.office365\.com:587/,
  },
  {
    name: 'offers no XOAUTH2, and there is no token',
    trial: { depth: 'connect', script: { ehloAfterTls: ehloReply('SIZE 1') } },
    step: 'mechanism',
    code: 'UPSTREAM_XOAUTH2_MISSING',
    remedy: /smtp\.office365\.com:587/,
  },
  {
    name: 'refuses two tokens',
    trial: { script: { authString: '535 5.7.3 Authentication unsuccessful' } },
    step: 'auth',
    code: 'UPSTREAM_AUTH_REFUSED',
    remedy: /smtpUser/,
  },
  ...(
    [
      ['SmtpClientAuthentication is disabled for the Mailbox.', 'UPSTREAM_SMTP_AUTH_DISABLED', /Set-CASMailbox/],
      [
        'SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled',
        'UPSTREAM_SMTP_AUTH_DISABLED',
        /wins over the tenant/,
      ],
      ["user is locked by your organization's security defaults policy.", 'UPSTREAM_MISCONFIGURED', /security defaults/],
      ['the request did not meet the criteria to be authenticated successfully.', 'UPSTREAM_MISCONFIGURED', /which policy refused it/],
      ["organization configuration doesn't allow this authentication request.", 'UPSTREAM_MISCONFIGURED', /Get-AuthenticationPolicy/],
      ['basic authentication is disabled.', 'UPSTREAM_MISCONFIGURED', /refresh_token or client_credentials/],
      ['federated STS service was unreachable.', 'UPSTREAM_DEFERRED', /federation server/],
    ] as const
  ).map(([text, code, remedy]) => ({
    name: text,
    trial: { script: { authString: `${POLICY} ${text}` } },
    step: 'auth' as const,
    code,
    remedy,
  })),
  {
    name: 'cannot open the mailbox for the application',
    trial: { script: { mail: '430 4.2.0 STOREDRV; mailbox logon failure; failure code = MapiExceptionLogonFailed' } },
    step: 'access',
    code: 'UPSTREAM_DEFERRED',
    remedy: /Add-MailboxPermission.*object id of the enterprise application/,
  },
  {
    name: 'refuses the sender',
    trial: { script: { mail: '550 5.7.60 SMTP; Client does not have permissions to send as this sender' } },
    step: 'access',
    code: 'UPSTREAM_REFUSED',
    remedy: /SendAs/,
  },
];

describe('a server that', () => {
  it.each(FAILURES)('$name', async ({ trial, step, code, remedy }) => {
    const { report, server } = await probe(trial);
    expect(report.failed).toMatchObject({
      step,
      problem: { code, remedy: expect.stringMatching(remedy), cause: expect.stringMatching(/\w/) },
    });
    const order = ['connect', 'tls', 'mechanism', 'auth', 'access'];
    const before = order.slice(0, order.indexOf(step));
    // With implicit TLS a bad certificate comes before the greeting.
    expect(Object.keys(report.passed)).toEqual(trial.isImplicit === true ? [] : before);
    await server.until(() => server.sessions.every(({ isClosed }) => isClosed));
  });

  it('is not there', async () => {
    const { server } = await probe();
    const provider = testProvider({ smtp: { host: 'localhost', port: server.port, tls: 'starttls' } });
    await server.close();
    const deps = {
      tokens: new MemoryTokenSource(),
      clock: systemClock,
      log: new MemoryLog(),
      ehloName: 'relay.test',
      deadlines: DEADLINES,
      dial,
    };
    const report = await probeSubmission(testAccount({ provider }), deps, 'connect');
    expect(report).toMatchObject({ passed: {}, failed: { step: 'connect', problem: { code: 'UPSTREAM_UNREACHABLE' } } });
  });

  it('refuses a token that cannot be replaced', async () => {
    const tokens = new MemoryTokenSource();
    tokens.replaceFailure = new ProblemError(problem('TOKEN_REAUTH_REQUIRED', 'dead'));
    const { report } = await probe({ tokens, script: { authString: '535 5.7.3 Authentication unsuccessful' } });
    expect(report.failed).toMatchObject({ step: 'auth', problem: { code: 'TOKEN_REAUTH_REQUIRED' } });
    expect(report.passed).toHaveProperty('mechanism');
  });

  it('hears the token only after AUTH, and nothing of it is reported or logged', async () => {
    const { report, log, tokens } = await probe({ script: { authString: (line) => `535 5.7.3 what is ${line}` } });
    const written = JSON.stringify([report, log.lines]);
    for (const token of [tokens.current.value, 'first-access-token']) {
      expect(written).not.toContain(token);
      expect(written).not.toContain(Buffer.from(`user=delegate@postern.test\x01auth=Bearer ${token}`).toString('base64').slice(30, 60));
    }
  });
});
