/** Signing in at IMAP and POP3 servers on behalf of an account: what is sent, what a refusal costs, and who gets a place. */
import { afterEach, describe, expect, it } from 'vitest';
import { milliseconds, seconds } from '../../../src/core/clock.ts';
import type { Clock } from '../../../src/core/ports/clock.ts';
import { MailboxError, type MailboxProtocol, type OpenMailbox } from '../../../src/core/ports/mailbox.ts';
import { problem, ProblemError } from '../../../src/core/problem.ts';
import { Mailboxes } from '../../../src/mailbox/mailboxes.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryTokenSource } from '../../support/memory-token-source.ts';
import { imapScript, type LineScript, pop3Script, ScriptedLineServer } from '../../support/scripted-line-server.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

const authority = createTestAuthority();
const certificate = authority.issue({ hosts: ['localhost'] });
const USER = 'billing@postern.test';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

interface LabOptions {
  readonly isImplicit?: boolean;
  readonly clock?: Clock;
  readonly sessions?: number;
  readonly password?: string;
  readonly mechanism?: 'XOAUTH2' | 'OAUTHBEARER';
}

/** @param scripts - One for each session; the last one repeats. */
async function lab(protocol: MailboxProtocol, scripts: readonly (() => LineScript)[], options: LabOptions = {}) {
  const { isImplicit = true, clock = systemClock, sessions = 16, password, mechanism = 'XOAUTH2' } = options;
  let session = 0;
  const script = (): LineScript => (scripts[Math.min(session++, scripts.length - 1)] ?? imapScript)();
  const server = await ScriptedLineServer.start(script, certificate, { isImplicit });
  const endpoint = { host: 'localhost', port: server.port, tls: isImplicit ? 'implicit' : 'starttls' } as const;
  const base = testProvider();
  const provider = testProvider({
    [protocol]: endpoint,
    ca: authority.caPem,
    mechanism,
    limits: { ...base.limits, mailboxSessions: sessions },
  });
  const account = testAccount({ provider, ...(password === undefined ? {} : { auth: { grant: 'basic', password } }) });
  const tokens = new MemoryTokenSource();
  const log = new MemoryLog();
  const mailboxes = new Mailboxes({ accounts: [account], tokens, clock, log });
  const opened: OpenMailbox[] = [];
  closers.push(
    () => server.close(),
    () => {
      for (const mailbox of opened) mailbox.close();
    },
  );
  const open = async (signal?: AbortSignal): Promise<OpenMailbox> => {
    const mailbox = await mailboxes.open({ protocol, account: 'billing', ...(signal === undefined ? {} : { signal }) });
    opened.push(mailbox);
    return mailbox;
  };
  const refusal = async (): Promise<MailboxError> => {
    const error: unknown = await open().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof MailboxError)) throw new Error(`no refusal: ${String(error)}`);
    expect(`${error.message} ${error.problem.remedy} ${JSON.stringify(log.lines)}`).not.toContain('access-token');
    return error;
  };
  return { server, tokens, mailboxes, open, refusal, log };
}

const response = (token: string): string => Buffer.from(`user=${USER}\x01auth=Bearer ${token}\x01\x01`).toString('base64');

async function readLine(mailbox: OpenMailbox): Promise<string> {
  let text = mailbox.rest.toString('latin1');
  if (text.includes('\n')) return text;
  for await (const chunk of mailbox.socket) {
    text += (chunk as Buffer).toString('latin1');
    if (text.includes('\n')) break;
  }
  return text;
}

describe('IMAP', () => {
  it('sends the token with the command where the server has SASL-IR, and asks for the capabilities that hold then', async () => {
    let count = 0;
    const CAPABILITY = () => (count++ === 0 ? 'AUTH=PLAIN AUTH=XOAUTH2 SASL-IR IDLE' : 'IDLE MOVE UIDPLUS');
    const script = (): LineScript => {
      const inner = imapScript();
      return {
        ...inner,
        answer: (line, index) =>
          line.includes('CAPABILITY')
            ? `* CAPABILITY IMAP4rev1 ${CAPABILITY()}\r\n${line.split(' ')[0]} OK done`
            : inner.answer(line, index),
      };
    };
    const { server, open, log } = await lab('imap', [script]);
    const mailbox = await open();
    expect(server.lines).toEqual(['p1 CAPABILITY', `p2 AUTHENTICATE XOAUTH2 ${response('first-access-token')}`, 'p3 CAPABILITY']);
    expect(mailbox).toMatchObject({ protocol: 'imap', user: USER, capabilities: ['IMAP4rev1', 'IDLE', 'MOVE', 'UIDPLUS'] });
    expect(mailbox.upstream).toBe(`localhost:${server.port}`);
    expect(log.of('mailbox-signed-in')).toMatchObject([{ account: 'billing', mechanism: 'XOAUTH2', protocol: 'imap' }]);
    expect(JSON.stringify(log.lines)).not.toContain('access-token');
  });

  it('takes capabilities from the greeting and from the answer to the sign-in, and passes on what came behind it', async () => {
    const script = () =>
      imapScript({
        greeting: '* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2] ready',
        credentials: 'T OK [CAPABILITY IMAP4rev1 IDLE] signed in\r\n* OK [ALERT] Maintenance tonight',
      });
    const { server, open } = await lab('imap', [script]);
    const mailbox = await open();
    expect(server.lines).toEqual(['p1 AUTHENTICATE XOAUTH2', response('first-access-token')]);
    expect(mailbox.capabilities).toEqual(['IMAP4rev1', 'IDLE']);
    expect(await readLine(mailbox)).toBe('* OK [ALERT] Maintenance tonight\r\n');
  });

  it('T12 secures the connection with STARTTLS and believes nothing that was said before', async () => {
    const script = () => imapScript({ greeting: '* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS] ready', STARTTLS: 'STARTTLS:T OK begin' });
    const { server, open } = await lab('imap', [script], { isImplicit: false });
    await open();
    expect(server.lines[0]).toBe('p1 STARTTLS');
    expect(server.lines[1]).toBe('p2 CAPABILITY');
  });

  it('T11 sends nothing where STARTTLS is refused', async () => {
    const { server, refusal } = await lab('imap', [() => imapScript({ STARTTLS: 'T NO not today' })], { isImplicit: false });
    expect((await refusal()).problem).toMatchObject({ code: 'UPSTREAM_TLS_FAILED', cause: expect.stringContaining('not today') });
    expect(server.lines).toEqual(['p1 STARTTLS']);
  });

  it('forces one refresh and one more try where the token is refused', async () => {
    const good = () => imapScript();
    const { server, tokens, open } = await lab('imap', [() => imapScript({ credentials: 'T NO AUTHENTICATE failed.' }), good]);
    await open();
    expect(tokens.refused).toEqual(['first-access-token']);
    expect(server.sessions).toBe(2);
    expect(server.lines).toContain(`p2 AUTHENTICATE XOAUTH2 ${response('access-token-2')}`);
  });

  it('answers the challenge that explains a refusal', async () => {
    const explains = () =>
      imapScript({ credentials: `+ ${Buffer.from('{"status":"401"}').toString('base64')}`, '': 'T NO [AUTHENTICATIONFAILED] no' });
    const { server, tokens, refusal } = await lab('imap', [explains]);
    const { problem: what, row } = await refusal();
    expect(what).toMatchObject({ code: 'UPSTREAM_AUTH_REFUSED', heals: 'after-repair' });
    expect(row).toBe('sign-in-refused');
    expect(server.lines.filter((line) => line === '')).toHaveLength(2);
    expect(tokens.refused).toHaveLength(1);
  });

  it.each([
    ['T BAD User is authenticated but not connected.\r\n* BYE Connection closed. 14', 'UPSTREAM_MAILBOX_CLOSED', 'not-connected'],
    ['T NO Server Unavailable. 15', 'UPSTREAM_DEFERRED', 'unavailable'],
    ['T BAD Command Error. 10', 'UPSTREAM_PROTOCOL', 'command-not-understood'],
    ['T NO [CONTACTADMIN] see your administrator', 'UPSTREAM_MAILBOX_CLOSED', 'not-authorised'],
  ])('costs no refresh where another token would not help: %s', async (answer, code, row) => {
    const { tokens, refusal, server } = await lab('imap', [() => imapScript({ credentials: answer })]);
    const error = await refusal();
    expect([error.problem.code, error.row]).toEqual([code, row]);
    expect(tokens.refused).toEqual([]);
    expect(server.sessions).toBe(1);
  });

  it.each(['* BYE Something nobody has heard of', '* BYE Session is being moved'])(
    'takes a goodbye in place of an answer for what it is, not for a refused token: %s',
    async (bye) => {
      const script = (): LineScript => {
        const inner = imapScript();
        let isOver = false;
        return {
          ...inner,
          answer(line, count) {
            if (isOver) return 'close';
            if (!line.includes('AUTHENTICATE')) return inner.answer(line, count);
            isOver = true;
            return bye;
          },
        };
      };
      const { tokens, refusal, server } = await lab('imap', [script]);
      const pending = refusal();
      while (server.lines.length < 2) await new Promise(setImmediate);
      await server.close();
      const error = await pending;
      expect(error.problem).toMatchObject({ code: 'UPSTREAM_DEFERRED', heals: 'by-itself', cause: expect.stringContaining(bye.slice(2)) });
      expect(tokens.refused).toEqual([]);
    },
  );

  it('takes a close without a word for a lost connection', async () => {
    const { tokens, refusal } = await lab('imap', [() => imapScript({ credentials: 'close' })]);
    expect((await refusal()).problem).toMatchObject({ code: 'UPSTREAM_LOST', heals: 'by-itself' });
    expect(tokens.refused).toEqual([]);
  });

  it.each(['* BYE Too many connections', '* PREAUTH welcome', 'HTTP/1.1 400 Bad Request'])(
    'is not let in by the greeting %s',
    async (greeting) => {
      const { server, refusal } = await lab('imap', [() => imapScript({ greeting })]);
      expect((await refusal()).problem.code).toBe(greeting.includes('BYE') ? 'UPSTREAM_BUSY' : 'UPSTREAM_PROTOCOL');
      expect(server.lines).toEqual([]);
    },
  );

  it('keeps the token where the mechanism is not offered', async () => {
    const { server, refusal } = await lab('imap', [() => imapScript()], { mechanism: 'OAUTHBEARER' });
    expect((await refusal()).problem.code).toBe('UPSTREAM_XOAUTH2_MISSING');
    expect(server.lines).toEqual(['p1 CAPABILITY']);
  });

  it('signs in with a password, and never shows a refused one again', async () => {
    const script = () => imapScript({ credentials: 'T NO [AUTHENTICATIONFAILED] no' });
    const { server, refusal } = await lab('imap', [script], { password: 'upstream password' });
    expect((await refusal()).problem.code).toBe('UPSTREAM_PASSWORD_REFUSED');
    expect((await refusal()).problem.code).toBe('UPSTREAM_PASSWORD_REFUSED');
    expect(server.lines.filter((line) => line.includes('AUTHENTICATE'))).toEqual([
      `p2 AUTHENTICATE PLAIN ${Buffer.from(`\0${USER}\0upstream password`).toString('base64')}`,
    ]);
  });
});

describe('POP3', () => {
  it('signs in with AUTH in two lines', async () => {
    const { server, open } = await lab('pop3', [() => pop3Script()]);
    const mailbox = await open();
    expect(server.lines).toEqual(['CAPA', 'AUTH XOAUTH2', response('first-access-token')]);
    expect(mailbox).toMatchObject({ protocol: 'pop3', capabilities: ['TOP', 'UIDL', 'SASL PLAIN XOAUTH2', 'USER'] });
  });

  it('forces one refresh where the token is refused', async () => {
    const refused = () => pop3Script({ credentials: '-ERR Authentication failure: unknown user name or bad password.' });
    const { tokens, open } = await lab('pop3', [refused, () => pop3Script()]);
    await open();
    expect(tokens.refused).toEqual(['first-access-token']);
  });

  it.each([
    ['-ERR Protocol error. Connection is closed. 10', 'UPSTREAM_PROTOCOL', 'sign-in-not-understood'],
    ['-ERR [IN-USE] Mailbox is locked', 'UPSTREAM_MAILBOX_IN_USE', 'in-use'],
    ['-ERR [SYS/TEMP] later', 'UPSTREAM_DEFERRED', 'unavailable'],
    ['-ERR Your account is not enabled for POP access', 'UPSTREAM_MAILBOX_CLOSED', 'protocol-off'],
  ])('costs no refresh: %s', async (credentials, code, row) => {
    const { tokens, refusal } = await lab('pop3', [() => pop3Script({ credentials })]);
    const error = await refusal();
    expect([error.problem.code, error.row]).toEqual([code, row]);
    expect(tokens.refused).toEqual([]);
  });
});

describe('trouble before a server is asked', () => {
  it('is told as it is', async () => {
    const { refusal, tokens, server } = await lab('imap', [() => imapScript()]);
    tokens.failure = new ProblemError(problem('TOKEN_REAUTH_REQUIRED'));
    expect((await refusal()).problem.code).toBe('TOKEN_REAUTH_REQUIRED');
    expect(server.sessions).toBe(0);
    tokens.failure = undefined;
    await server.close();
    expect((await refusal()).problem).toMatchObject({ code: 'UPSTREAM_UNREACHABLE', heals: 'by-itself' });
  });
});

describe('patience', () => {
  it('leaves a server alone for as long as it asked', async () => {
    const clock = new FakeClock();
    const throttled = () => imapScript({ credentials: 'T NO Request is throttled. Suggested Backoff Time: 299883 milliseconds' });
    const { server, refusal, open, tokens } = await lab('imap', [throttled, () => imapScript()], { clock });
    const first = await refusal();
    expect(first).toMatchObject({ retryAfter: 299_883, problem: { code: 'UPSTREAM_BUSY', cause: expect.stringContaining('wait 300 s') } });
    await clock.advance(seconds(200));
    expect(await refusal()).toMatchObject({ retryAfter: 99_883, problem: { cause: expect.stringContaining('another 100 s') } });
    expect([server.sessions, tokens.refused.length]).toEqual([1, 0]);
    await clock.advance(seconds(100));
    await open();
    expect(server.sessions).toBe(2);
  });

  it('counts the sessions that have signed in, until their connection is gone', async () => {
    const { open, mailboxes } = await lab('imap', [() => imapScript()]);
    const counts = (): number[] => (['imap', 'pop3'] as const).map((protocol) => mailboxes.sessionCount('billing', protocol));
    expect(counts()).toEqual([0, 0]);
    const first = await open();
    const second = await open();
    expect(counts()).toEqual([2, 0]);
    first.close();
    await expect.poll(counts).toEqual([1, 0]);
    second.close();
    await expect.poll(counts).toEqual([0, 0]);
  });

  it('gives places in turn, and says so where none comes free', async () => {
    const clock = new FakeClock();
    const { open, refusal, server } = await lab('imap', [() => imapScript()], { clock, sessions: 1 });
    const first = await open();
    const second = open();
    expect((await refusal()).problem).toMatchObject({
      code: 'UPSTREAM_MAILBOX_IN_USE',
      cause: expect.stringContaining('as many others wait'),
    });
    first.close();
    const held = await second;
    expect(server.sessions).toBe(2);
    const third = refusal();
    await new Promise(setImmediate);
    await clock.advance(milliseconds(10_000));
    expect((await third).problem).toMatchObject({ code: 'UPSTREAM_MAILBOX_IN_USE', cause: expect.stringContaining('within 10 s') });
    held.close();
  });

  it('gives a place back when the application leaves during the sign-in', async () => {
    const silent = () => imapScript({ credentials: '' });
    const { open, server } = await lab('imap', [silent, () => imapScript()], { sessions: 1 });
    const leaving = new AbortController();
    const first = open(leaving.signal);
    while (server.lines.length < 2) await new Promise(setImmediate);
    leaving.abort();
    await expect(first).rejects.toThrow('called off');
    await open();
  });
});
