/** The sandbox's POP3 server, line by line. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { minutes } from '../../../src/core/clock.ts';
import { defaultFaults, setFaults } from '../../../src/sandbox/faults.ts';
import { MAILBOX, MailboxWire } from './mailbox-wire.ts';
import { openSandbox, type TestSandbox, xoauth2 } from './wire.ts';

const MESSAGE = 'Subject: dots\r\n\r\n.one\r\n..two\r\nthree\r\n';

let stage: TestSandbox;

beforeAll(async () => {
  stage = await openSandbox();
  const imap = await MailboxWire.signedIn(stage.sandbox, 'imap');
  for (const text of [MESSAGE, 'Subject: second\r\n\r\nx']) await imap.command(`APPEND INBOX {${text.length}+}\r\n${text}`);
  imap.close();
});
afterAll(() => stage.sandbox.close());
afterEach(() => setFaults(stage.sandbox.faults, defaultFaults()));

async function say(wire: MailboxWire, line: string, end = /\r\n/): Promise<string> {
  wire.send(`${line}\r\n`);
  return wire.until(end);
}

async function greeted(): Promise<MailboxWire> {
  const wire = MailboxWire.open(stage.sandbox, 'pop3');
  expect(await wire.until(/\r\n/)).toMatch(/^\+OK The Microsoft Exchange POP3 service is ready\. \[\S+\]\r\n$/);
  return wire;
}

describe('signing in to POP3', () => {
  it('takes XOAUTH2 in two lines and refuses passwords', async () => {
    const wire = await greeted();
    expect(await say(wire, 'CAPA', /\r\n\.\r\n/)).toBe('+OK\r\nTOP\r\nUIDL\r\nSASL PLAIN XOAUTH2\r\nUSER\r\n.\r\n');
    expect(await say(wire, 'STAT')).toMatch(/^-ERR/);
    expect(await say(wire, `USER ${MAILBOX}`)).toBe('+OK\r\n');
    expect(await say(wire, 'PASS secret')).toMatch(/^-ERR Logon failure/);
    expect(await say(wire, 'AUTH XOAUTH2')).toBe('+ \r\n');
    expect(await say(wire, xoauth2(MAILBOX, 'none'))).toBe('-ERR Authentication failure: unknown user name or bad password.\r\n');
    expect(await say(wire, 'AUTH XOAUTH2')).toBe('+ \r\n');
    expect(await say(wire, xoauth2(MAILBOX, stage.sandbox.mint.accessToken(MAILBOX)))).toMatch(/^\+OK/);
  });

  it('ends with the form in one line', async () => {
    const wire = await greeted();
    wire.send(`AUTH XOAUTH2 ${xoauth2(MAILBOX, stage.sandbox.mint.accessToken(MAILBOX))}\r\n`);
    expect(await wire.rest()).toBe('-ERR Protocol error. Connection is closed. 10\r\n');
  });

  it('takes no token beyond 4,096 characters, and any where told so', async () => {
    stage.sandbox.faults.token.accessTokenOctets = 5_000;
    const token = stage.sandbox.mint.accessToken(MAILBOX);
    const wire = await greeted();
    await say(wire, 'AUTH XOAUTH2');
    wire.send(`${xoauth2(MAILBOX, token)}\r\n`);
    expect(await wire.rest()).toBe('-ERR Protocol error. Connection is closed. 10\r\n');
    stage.sandbox.faults.mailbox.longestPop3Token = 0;
    const other = await MailboxWire.signedIn(stage.sandbox, 'pop3', token);
    expect(await say(other, 'STAT')).toMatch(/^\+OK 2 /);
  });

  it('needs the scope of POP3', async () => {
    const wire = await greeted();
    const token = stage.sandbox.mint.accessToken(MAILBOX, { scopes: ['https://outlook.office.com/IMAP.AccessAsUser.All'] });
    await say(wire, 'AUTH XOAUTH2');
    expect(await say(wire, xoauth2(MAILBOX, token))).toMatch(/^-ERR Authentication failure/);
  });
});

describe('the maildrop', () => {
  it('is told, sent with dots stuffed, and changed at QUIT only', async () => {
    const cut = await MailboxWire.signedIn(stage.sandbox, 'pop3');
    expect(await say(cut, 'DELE 2')).toBe('+OK\r\n');
    cut.close();
    const wire = await MailboxWire.signedIn(stage.sandbox, 'pop3');
    expect(await say(wire, 'STAT')).toBe(`+OK 2 ${MESSAGE.length + 20}\r\n`);
    expect(await say(wire, 'LIST', /\r\n\.\r\n/)).toBe(`+OK 2\r\n1 ${MESSAGE.length}\r\n2 20\r\n.\r\n`);
    expect(await say(wire, 'UIDL 1')).toMatch(/^\+OK 1 \d+-1\r\n$/);
    expect(await say(wire, 'RETR 1', /\r\n\.\r\n/)).toBe('+OK\r\nSubject: dots\r\n\r\n..one\r\n...two\r\nthree\r\n.\r\n');
    expect(await say(wire, 'RETR 2', /\r\n\.\r\n/)).toBe('+OK\r\nSubject: second\r\n\r\nx\r\n.\r\n');
    expect(await say(wire, 'TOP 1 1', /\r\n\.\r\n/)).toBe('+OK\r\nSubject: dots\r\n\r\n..one\r\n.\r\n');
    expect(await say(wire, 'RETR 3')).toMatch(/^-ERR/);
    await say(wire, 'DELE 1');
    expect(await say(wire, 'RSET')).toBe('+OK\r\n');
    await say(wire, 'DELE 2');
    expect(await say(wire, 'STAT')).toBe(`+OK 1 ${MESSAGE.length}\r\n`);
    wire.send('QUIT\r\n');
    expect(await wire.rest()).toMatch(/^\+OK/);
    const after = await MailboxWire.signedIn(stage.sandbox, 'pop3');
    expect(await say(after, 'STAT')).toBe(`+OK 1 ${MESSAGE.length}\r\n`);
  });
});

describe('faults of POP3', () => {
  it('throttle, answer and cut, and the end of the token cuts too', async () => {
    stage.sandbox.faults.mailbox.next.push(
      { stage: 'command', command: 'RETR', kind: 'throttled', milliseconds: 1_000 },
      { stage: 'command', command: 'STAT', kind: 'reply', reply: '-ERR Server Unavailable. 21' },
      { stage: 'command', command: 'NOOP', kind: 'drop' },
    );
    const wire = await MailboxWire.signedIn(stage.sandbox, 'pop3');
    expect(await say(wire, 'RETR 1')).toBe('-ERR Request is throttled. Suggested Backoff Time: 1000 milliseconds\r\n');
    expect(await say(wire, 'STAT')).toBe('-ERR Server Unavailable. 21\r\n');
    wire.send('NOOP\r\n');
    expect(await wire.rest()).toBe('');
    const late = await MailboxWire.signedIn(stage.sandbox, 'pop3');
    await stage.clock.advance(minutes(91));
    late.send('NOOP\r\n');
    expect(await late.rest()).toBe('');
  });
});
