/** Providers that cannot prove who they are, speak less than TLS 1.2, or would rather go on in clear: no credentials, no mail, and another try later. */
import { afterEach, describe, expect, it } from 'vitest';
import type * as tls from 'node:tls';
import { seconds } from '../../src/core/clock.ts';
import { MailboxError, type MailboxProtocol } from '../../src/core/ports/mailbox.ts';
import { UpstreamError } from '../../src/core/ports/upstream.ts';
import { type Problem, ProblemError } from '../../src/core/problem.ts';
import { Mailboxes } from '../../src/mailbox/mailboxes.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { SessionPool } from '../../src/upstream/session-pool.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryTokenSource } from '../support/memory-token-source.ts';
import { imapScript, type LineScript, pop3Script, ScriptedLineServer } from '../support/scripted-line-server.ts';
import { ScriptedSmtpServer } from '../support/scripted-smtp-server.ts';
import { createTestAuthority, type IssuedCertificate } from '../support/test-ca.ts';

const authority = createTestAuthority();
const good = authority.issue({ hosts: ['localhost'] });
const TOKEN = 'first-access-token';

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

type Way = 'smtp starttls' | 'smtp implicit' | 'imap starttls' | 'imap implicit' | 'pop3 starttls' | 'pop3 implicit';
const WAYS: readonly Way[] = ['smtp starttls', 'smtp implicit', 'imap starttls', 'imap implicit', 'pop3 starttls', 'pop3 implicit'];

interface Tried {
  readonly problem: Problem;
  /** Command lines that the server has read. */
  readonly lines: readonly string[];
  readonly refreshes: number;
  /** What an application or the log could have seen. */
  readonly shown: string;
}

/** Try to open a session. */
async function tryWay(way: Way, certificate: IssuedCertificate, tlsOptions: tls.TlsOptions = {}): Promise<Tried> {
  const [protocol = '', kind = ''] = way.split(' ');
  const isImplicit = kind === 'implicit';
  const tokens = new MemoryTokenSource(TOKEN);
  const log = new MemoryLog();
  const base = { tokens, log, clock: systemClock };
  const endpointAt = (port: number) => ({ host: 'localhost', port, tls: isImplicit ? 'implicit' : 'starttls' }) as const;
  const done = (problem: Problem, lines: readonly string[], text: string): Tried => ({
    problem,
    lines,
    refreshes: tokens.refused.length,
    shown: JSON.stringify([log.lines, problem]) + text,
  });
  if (protocol === 'smtp') {
    const server = await ScriptedSmtpServer.start({ certificate, isImplicit, tlsOptions });
    const provider = testProvider({ ca: authority.caPem, smtp: endpointAt(server.port) });
    const pool = new SessionPool({ ...base, hostname: 'relay.test' });
    closers.push(
      () => server.close(),
      () => pool.close(seconds(0)),
    );
    const begun = pool.begin(testAccount({ provider }), '', { isSmtpUtf8: false, isRequireTls: false }, seconds(10));
    const error = await rejection(begun, UpstreamError);
    expect(error.reply).toMatchObject({ code: 451, enhancedCode: '4.7.5' });
    return done(
      error.problem,
      server.sessions.flatMap(({ lines }) => lines),
      error.reply.text.join(),
    );
  }
  const script = (): LineScript =>
    protocol === 'imap' ? imapScript({ STARTTLS: 'STARTTLS:T OK begin' }) : pop3Script({ STLS: 'STARTTLS:+OK begin' });
  const server = await ScriptedLineServer.start(script, certificate, { isImplicit, tlsOptions });
  const provider = testProvider({ ca: authority.caPem, [protocol]: endpointAt(server.port) });
  const mailboxes = new Mailboxes({ ...base, accounts: [testAccount({ provider })] });
  closers.push(
    () => server.close(),
    () => mailboxes.close(),
  );
  const error = await rejection(mailboxes.open({ protocol: protocol as MailboxProtocol, account: 'billing' }), MailboxError);
  return done(error.problem, server.lines, error.message);
}

async function rejection<Kind extends Error>(promise: Promise<unknown>, kind: new (...args: never[]) => Kind): Promise<Kind> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof kind)) throw new Error(`expected ${kind.name}, got ${String(error)}`);
  return error;
}

/** Nothing but what asks for TLS has been said, no token was given up, none was shown, and time or a repair heals it. */
function expectKept({ problem, lines, refreshes, shown }: Tried): void {
  expect(problem.code).toBe('UPSTREAM_TLS_FAILED');
  expect(lines.filter((line) => !/^(?:EHLO \S+|STARTTLS|p1 STARTTLS|STLS)$/.test(line))).toEqual([]);
  expect(refreshes).toBe(0);
  expect(shown).not.toContain(TOKEN);
  expect(problem.heals).not.toBe('never');
}

const BAD: readonly (readonly [string, () => IssuedCertificate])[] = [
  ['signed by itself', () => authority.issue({ hosts: ['localhost'], selfSigned: true })],
  ['expired', () => authority.issue({ hosts: ['localhost'], expired: true })],
  ['of tomorrow', () => authority.issue({ hosts: ['localhost'], future: true })],
  ['of another host', () => authority.issue({ hosts: ['other.test'] })],
  ['with the host in its common name alone', () => authority.issue({ hosts: ['localhost'], commonNameOnly: true })],
  ['of another authority of the same name', () => createTestAuthority().issue({ hosts: ['localhost'] })],
];

describe('T08 a certificate', () => {
  it.each(BAD)('%s opens no session of any kind', async (_what, issue) => {
    const certificate = issue();
    for (const way of WAYS) expectKept(await tryWay(way, certificate, { ciphers: 'DEFAULT@SECLEVEL=0' }));
  });
});

describe('T09 weak TLS', () => {
  const weak = { ciphers: 'ALL:@SECLEVEL=0' };
  it.each<[string, tls.TlsOptions]>([
    ['TLS 1.0', { ...weak, minVersion: 'TLSv1', maxVersion: 'TLSv1' }],
    ['TLS 1.1', { ...weak, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' }],
    ['suites without encryption', { maxVersion: 'TLSv1.2', ciphers: 'eNULL:@SECLEVEL=0' }],
    ['suites without a certificate', { maxVersion: 'TLSv1.2', ciphers: 'aNULL:@SECLEVEL=0' }],
    // RC4 and 3DES cannot be tried: the OpenSSL that Node is built with knows them no more, at either end.
  ])('%s: no session of any kind', async (_what, options) => {
    for (const way of WAYS) expectKept(await tryWay(way, good, options));
  });

  it('an RSA key of 1024 bits: no session of any kind', async () => {
    const certificate = authority.issue({ hosts: ['localhost'], keyBits: 1024 });
    for (const way of WAYS) expectKept(await tryWay(way, certificate, weak));
  });
});

describe('IMAP before TLS', () => {
  /** At a STARTTLS port, with these changes to what Exchange says. */
  async function openAt(changes: Readonly<Record<string, string>>) {
    const tokens = new MemoryTokenSource(TOKEN);
    const log = new MemoryLog();
    const server = await ScriptedLineServer.start(() => imapScript(changes), good, { isImplicit: false });
    const provider = testProvider({ ca: authority.caPem, imap: { host: 'localhost', port: server.port, tls: 'starttls' } });
    const mailboxes = new Mailboxes({ accounts: [testAccount({ provider })], tokens, log, clock: systemClock });
    closers.push(
      () => server.close(),
      () => mailboxes.close(),
    );
    const opened = await mailboxes.open({ protocol: 'imap', account: 'billing' }).catch((error: unknown) => error);
    if (!(opened instanceof Error)) mailboxes.close();
    return { opened, lines: server.lines, tokens };
  }

  const codeOf = (opened: unknown): string =>
    opened instanceof ProblemError || opened instanceof MailboxError ? opened.problem.code : String(opened);

  it('T10 a server that takes us for signed in already is not believed', async () => {
    const { opened, lines } = await openAt({
      greeting: '* PREAUTH [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] welcome',
      STARTTLS: 'STARTTLS:T OK begin',
    });
    expect(codeOf(opened)).toBe('UPSTREAM_PROTOCOL');
    expect(lines).toEqual([]);
  });

  it.each(['T BAD Command Error. 12', 'T NO STARTTLS is not available'])(
    'T11 a server that does not offer STARTTLS (%s) gets no token',
    async (STARTTLS) => {
      const { opened, lines } = await openAt({ greeting: '* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] ready', STARTTLS });
      expect(codeOf(opened)).toBe('UPSTREAM_TLS_FAILED');
      expect(lines).toEqual(['p1 STARTTLS']);
    },
  );

  const BEFORE = '* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=PLAIN] ready';

  it('T12 a list of capabilities from before TLS is asked for anew', async () => {
    const { opened, lines } = await openAt({ greeting: BEFORE, STARTTLS: 'STARTTLS:T OK begin' });
    expect(opened).not.toBeInstanceOf(Error);
    expect(lines.slice(0, 2)).toEqual(['p1 STARTTLS', 'p2 CAPABILITY']);
    expect(lines[2]).toMatch(/^p3 AUTHENTICATE XOAUTH2 /);
  });

  it.each([
    ['is another one', '* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nT OK done'],
    ['is left out', 'T OK done'],
  ])('T12 what was offered before TLS does not count where the list after it %s', async (_what, CAPABILITY) => {
    const greeting = '* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] ready';
    const { opened, lines, tokens } = await openAt({ greeting, STARTTLS: 'STARTTLS:T OK begin', CAPABILITY });
    expect(codeOf(opened)).toBe('UPSTREAM_XOAUTH2_MISSING');
    expect(lines).toEqual(['p1 STARTTLS', 'p2 CAPABILITY']);
    expect(tokens.refused).toEqual([]);
  });
});
