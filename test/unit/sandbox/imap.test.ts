/** The sandbox's IMAP server, line by line. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { minutes } from '../../../src/core/clock.ts';
import { defaultFaults, setFaults } from '../../../src/sandbox/faults.ts';
import { MAILBOX, MailboxWire } from './mailbox-wire.ts';
import { openSandbox, type TestSandbox, Wire, xoauth2 } from './wire.ts';

const MESSAGE = [
  'From: "Ann, A." <ann@elsewhere.test>',
  'To: billing@sandbox.test',
  'Subject: Two',
  ' lines',
  'Date: Fri, 27 Nov 2026 10:00:00 +0000',
  'Message-ID: <1@elsewhere.test>',
  'Content-Type: multipart/alternative; boundary="b"',
  '',
  '--b',
  'Content-Type: text/plain; charset=utf-8',
  '',
  '.first part',
  '--b',
  'Content-Type: text/html',
  '',
  '<p>second</p>',
  '--b--',
  '',
].join('\r\n');

let stage: TestSandbox;
let wire: MailboxWire;

beforeAll(async () => {
  stage = await openSandbox();
  stage.sandbox.faults.submission.messagesPerMinute = 0;
});
afterAll(() => stage.sandbox.close());
beforeEach(async () => {
  wire = await MailboxWire.signedIn(stage.sandbox, 'imap');
});
afterEach(() => {
  wire.close();
  setFaults(stage.sandbox.faults, defaultFaults());
});

const append = (folder: string, text = MESSAGE, options = ''): Promise<string> =>
  wire.command(`APPEND ${folder} ${options}{${text.length}+}\r\n${text}`);

/** A folder of its own with one message, selected. */
async function selectFresh(name: string): Promise<void> {
  await wire.command(`CREATE ${name}`);
  expect(await append(name)).toMatch(/^T OK \[APPENDUID \d+ 1\] APPEND completed\.\r\n$/);
  expect(await wire.command(`SELECT ${name}`)).toMatch(/^\* 1 EXISTS\r\n[^]*T OK \[READ-WRITE\]/);
}

describe('before the sign-in', () => {
  const open = async (): Promise<MailboxWire> => {
    wire.close();
    wire = MailboxWire.open(stage.sandbox, 'imap');
    return wire;
  };

  it('greets without CAPABILITY, and with it once told so', async () => {
    expect(await (await open()).until(/\r\n/)).toMatch(/^\* OK The Microsoft Exchange IMAP4 service is ready\. \[\S+\]\r\n$/);
    stage.sandbox.faults.mailbox.greetingHasCapability = true;
    expect(await (await open()).until(/\r\n/)).toMatch(/^\* OK \[CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 /);
  });

  it('names what it can do, and more after the sign-in', async () => {
    expect(await wire.command('CAPABILITY')).toContain('LITERAL+ MOVE CLIENTACCESSRULES');
    await (await open()).until(/\r\n/);
    expect(await wire.command('CAPABILITY')).toBe(
      '* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+\r\nT OK CAPABILITY completed.\r\n',
    );
    stage.sandbox.faults.mailbox.offersXoauth2 = false;
    expect(await wire.command('CAPABILITY')).not.toContain('XOAUTH2');
    expect(await wire.command('AUTHENTICATE XOAUTH2')).toBe('T NO Unsupported authentication mechanism.\r\n');
  });

  it('takes a token without an initial response, refuses passwords and unknown tokens, and knows no folder yet', async () => {
    await (await open()).until(/\r\n/);
    expect(await wire.command('SELECT INBOX')).toBe('T BAD Command received in Invalid state.\r\n');
    expect(await wire.command('LOGIN billing@sandbox.test {4+}\r\npass')).toBe('T NO LOGIN failed.\r\n');
    expect(await wire.command(`AUTHENTICATE XOAUTH2 ${xoauth2(MAILBOX, 'none')}`)).toBe('T NO AUTHENTICATE failed.\r\n');
    wire.send('a AUTHENTICATE XOAUTH2\r\n');
    expect(await wire.until(/\r\n/)).toBe('+ \r\n');
    wire.send(`${xoauth2(MAILBOX, stage.sandbox.mint.accessToken(MAILBOX))}\r\n`);
    expect(await wire.until(/\r\n/)).toBe('a OK AUTHENTICATE completed.\r\n');
  });

  it('sends the JSON challenge where told so', async () => {
    stage.sandbox.faults.mailbox.tokenRefusal = 'challenge';
    await (await open()).until(/\r\n/);
    wire.send(`a AUTHENTICATE XOAUTH2 ${xoauth2(MAILBOX, 'none')}\r\n`);
    const challenge = await wire.until(/\r\n/);
    expect(JSON.parse(Buffer.from(challenge.slice(2), 'base64').toString())).toMatchObject({ status: '400' });
    wire.send('\r\n');
    expect(await wire.until(/\r\n/)).toBe('a NO AUTHENTICATE failed.\r\n');
  });

  it.each([
    ['another scope', MAILBOX, ['https://outlook.office.com/SMTP.Send', 'https://outlook.office.com/POP.AccessAsUser.All']],
    ['another user', 'relay@sandbox.test', ['https://outlook.office.com/IMAP.AccessAsUser.All']],
  ])('authenticates without connecting: %s', async (_, user, scopes) => {
    await (await open()).until(/\r\n/);
    const token = stage.sandbox.mint.accessToken(MAILBOX, { scopes });
    expect(await wire.command(`AUTHENTICATE XOAUTH2 ${xoauth2(user, token)}`)).toBe('T BAD User is authenticated but not connected.\r\n');
    expect(await wire.rest()).toBe('* BYE Connection closed. 14\r\n');
  });

  it('ends with a literal that is too long', async () => {
    await (await open()).until(/\r\n/);
    wire.send('a LOGIN {5000}\r\n');
    expect(await wire.rest()).toBe('* BYE Connection is closed. 12\r\n');
  });
});

describe('folders', () => {
  it('are listed, with their use where told so', async () => {
    expect(await wire.command('LIST "" "%"')).toContain('* LIST (\\HasNoChildren) "/" "Sent Items"\r\n');
    stage.sandbox.faults.mailbox.offersSpecialUse = true;
    expect(await wire.command('LIST "" "Sent*"')).toBe('* LIST (\\HasNoChildren \\Sent) "/" "Sent Items"\r\nT OK LIST completed.\r\n');
    expect(await wire.command('CAPABILITY')).toContain(' SPECIAL-USE ');
    expect(await wire.command('LIST "" ""')).toContain('"/" ""');
  });

  it('tell their status, and are created once', async () => {
    expect(await wire.command('CREATE status')).toBe('T OK CREATE completed.\r\n');
    expect(await wire.command('CREATE status')).toMatch(/^T NO /);
    await append('status');
    await append('status', MESSAGE, '(\\seen) "01-Feb-2020 03:04:05 +0100" ');
    expect(await wire.command('STATUS status (MESSAGES UIDNEXT UNSEEN)')).toBe(
      '* STATUS "status" (MESSAGES 2 UIDNEXT 3 UNSEEN 1)\r\nT OK STATUS completed.\r\n',
    );
    await wire.command('EXAMINE status');
    expect(await wire.command('FETCH 2 (FLAGS INTERNALDATE)')).toBe(
      '* 2 FETCH (FLAGS (\\Seen) INTERNALDATE " 1-Feb-2020 02:04:05 +0000")\r\nT OK FETCH completed.\r\n',
    );
    expect(await wire.command('STORE 1 +FLAGS (\\Deleted)')).toBe('T NO The folder is read-only.\r\n');
    expect(await wire.command('SELECT nowhere')).toMatch(/^T NO /);
    expect(await wire.command('CHECK')).toBe('T BAD Command received in Invalid state.\r\n');
  });
});

describe('messages', () => {
  it.each([
    ['BODY.PEEK[]', `BODY[] {${MESSAGE.length}}\r\n${MESSAGE}`],
    ['BODY.PEEK[]<6.9>', 'BODY[]<6> {9}\r\n"Ann, A."'],
    ['BODY.PEEK[HEADER.FIELDS (SUBJECT X-NONE)]', 'BODY[HEADER.FIELDS (SUBJECT X-NONE)] {24}\r\nSubject: Two\r\n lines\r\n\r\n'],
    ['BODY.PEEK[1]', 'BODY[1] {11}\r\n.first part'],
    ['BODY.PEEK[2.MIME]', 'BODY[2.MIME] {27}\r\nContent-Type: text/html\r\n\r\n'],
    ['RFC822.SIZE', `RFC822.SIZE ${MESSAGE.length}`],
    [
      'ENVELOPE',
      'ENVELOPE ("Fri, 27 Nov 2026 10:00:00 +0000" "Two lines" (("Ann, A." NIL "ann" "elsewhere.test")) (("Ann, A." NIL "ann" "elsewhere.test")) (("Ann, A." NIL "ann" "elsewhere.test")) ((NIL NIL "billing" "sandbox.test")) NIL NIL NIL "<1@elsewhere.test>")',
    ],
    [
      'BODYSTRUCTURE',
      'BODYSTRUCTURE (("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 11 0)("text" "html" NIL NIL NIL "7bit" 13 0) "alternative")',
    ],
  ])('fetch %s', async (item, expected) => {
    await wire.command('CREATE fetched');
    await append('fetched');
    await wire.command('EXAMINE fetched');
    expect(await wire.command(`FETCH 1 ${item}`)).toBe(`* 1 FETCH (${expected})\r\nT OK FETCH completed.\r\n`);
  });

  it('split into header and text without a gap, and are seen then', async () => {
    await selectFresh('split');
    const header = MESSAGE.slice(0, MESSAGE.indexOf('\r\n\r\n') + 4);
    expect(await wire.command('UID FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])')).toContain(
      `UID 1 BODY[HEADER] {${header.length}}\r\n${header} BODY[TEXT] {${MESSAGE.length - header.length}}\r\n`,
    );
    expect(await wire.command('FETCH 1 FLAGS')).toContain('(FLAGS ())');
    expect(await wire.command('FETCH 1 BODY[TEXT]')).toContain('FLAGS (\\Seen)');
  });

  it('are searched', async () => {
    await selectFresh('searched');
    await append('searched', 'Subject: other\r\n\r\nbody\r\n', '(\\Flagged) ');
    await wire.command('NOOP');
    const found = async (keys: string): Promise<string> => /^\* SEARCH(.*)\r\n/.exec(await wire.command(`SEARCH ${keys}`))?.[1] ?? 'none';
    expect(await found('ALL')).toBe(' 1 2');
    expect(await found('SUBJECT two')).toBe(' 1');
    expect(await found('NOT SUBJECT two UNSEEN')).toBe(' 2');
    expect(await found('OR FLAGGED FROM ann')).toBe(' 1 2');
    expect(await found('SENTSINCE 27-Nov-2026 SENTBEFORE 28-Nov-2026')).toBe(' 1');
    expect(await found('UID 2:* LARGER 5')).toBe(' 2');
    expect(await found('CHARSET US-ASCII TEXT BODY')).toBe(' 2');
    expect(await wire.command('SEARCH CHARSET UTF-8 ALL')).toMatch(/^T NO \[BADCHARSET \(US-ASCII\)\]/);
    stage.sandbox.faults.mailbox.takesUtf8Search = true;
    expect(await found('CHARSET UTF-8 ALL')).toBe(' 1 2');
    expect(await wire.command('SEARCH NONSENSE')).toMatch(/^T BAD /);
  });

  it('go once they are deleted and expunged, one by one with UID EXPUNGE', async () => {
    await selectFresh('expunged');
    await append('expunged');
    await append('expunged');
    await wire.command('NOOP');
    expect(await wire.command('STORE 1:3 +FLAGS.SILENT (\\deleted)')).toBe('T OK STORE completed.\r\n');
    expect(await wire.command('UID EXPUNGE 2')).toBe('* 2 EXPUNGE\r\nT OK EXPUNGE completed.\r\n');
    expect(await wire.command('STORE 2 -FLAGS (\\Deleted)')).toBe('* 2 FETCH (FLAGS ())\r\nT OK STORE completed.\r\n');
    expect(await wire.command('EXPUNGE')).toBe('* 1 EXPUNGE\r\nT OK EXPUNGE completed.\r\n');
    await wire.command('STORE 1 FLAGS \\Deleted');
    expect(await wire.command('CLOSE')).toBe('T OK CLOSE completed.\r\n');
    expect(await wire.command('STATUS expunged (MESSAGES)')).toContain('(MESSAGES 0)');
  });

  it('are copied and moved', async () => {
    await selectFresh('moved');
    await wire.command('CREATE target');
    expect(await wire.command('UID COPY 1 target')).toMatch(/^T OK \[COPYUID \d+ 1 1\]/);
    expect(await wire.command('MOVE 1 target')).toMatch(/^\* OK \[COPYUID \d+ 1 2\]\r\n\* 1 EXPUNGE\r\nT OK MOVE completed/);
    expect(await wire.command('UID COPY 1 nowhere')).toMatch(/^T NO \[TRYCREATE\]/);
  });

  it('arrive in IDLE in the moment they are submitted', async () => {
    await wire.command('SELECT INBOX');
    wire.send('i IDLE\r\n');
    await wire.until(/\+ IDLE/);
    const smtp = await Wire.secured(stage.sandbox);
    await smtp.command(`AUTH XOAUTH2 ${xoauth2('relay@sandbox.test', stage.sandbox.mint.accessToken('relay@sandbox.test'))}`);
    await smtp.command('MAIL FROM:<relay@sandbox.test>');
    await smtp.command(`RCPT TO:<${MAILBOX.toUpperCase()}>`);
    await smtp.command('RCPT TO:<nobody@elsewhere.test>');
    await smtp.command('DATA');
    expect(await smtp.command('From: relay@sandbox.test\r\n\r\n..dot\r\n.')).toMatch(/^250/);
    expect(await wire.until(/EXISTS\r\n/)).toMatch(/\* 1 EXISTS\r\n$/);
    wire.send('DONE\r\n');
    await wire.until(/i OK IDLE completed\.\r\n/);
    expect(await wire.command('FETCH 1 BODY.PEEK[TEXT]')).toContain('{6}\r\n.dot\r\n)');
    smtp.close();
  });
});

describe('the end of the token', () => {
  it('ends the session with BYE, at a command and in IDLE', async () => {
    const second = await MailboxWire.signedIn(stage.sandbox, 'imap');
    wire.send('i IDLE\r\n');
    await wire.until(/\+ IDLE/);
    await stage.clock.advance(minutes(91));
    expect(await wire.rest()).toContain('* BYE Session invalidated - AccessTokenExpired\r\n');
    second.send('n NOOP\r\n');
    expect(await second.rest()).toBe('* BYE Session invalidated - AccessTokenExpired\r\n');
  });

  it('is nothing to the session where told so', async () => {
    stage.sandbox.faults.mailbox.endsExpiredSessions = false;
    await stage.clock.advance(minutes(91));
    expect(await wire.command('NOOP')).toBe('T OK NOOP completed.\r\n');
  });
});

describe('faults to come', () => {
  it('strike at their command', async () => {
    stage.sandbox.faults.mailbox.next.push(
      { stage: 'command', command: 'STATUS', kind: 'throttled', milliseconds: 300_000 },
      { stage: 'command', protocol: 'pop3', kind: 'drop' },
      { stage: 'command', command: 'uid fetch', kind: 'reply', reply: 'NO Server Unavailable. 15' },
      { stage: 'command', command: 'NOOP', kind: 'expired' },
    );
    await wire.command('SELECT INBOX');
    expect(await wire.command('STATUS INBOX (MESSAGES)')).toBe(
      'T NO Request is throttled. Suggested Backoff Time: 300000 milliseconds\r\n',
    );
    expect(await wire.command('UID FETCH 1:* FLAGS')).toBe('T NO Server Unavailable. 15\r\n');
    wire.send('n NOOP\r\n');
    expect(await wire.rest()).toBe('* BYE Session invalidated - AccessTokenExpired\r\n');
  });

  it('strike at the greeting and at the token', async () => {
    stage.sandbox.faults.mailbox.next.push(
      { stage: 'connect', kind: 'reply', reply: 'BYE Server Unavailable. 15' },
      { stage: 'auth', kind: 'not-connected' },
      { stage: 'auth', kind: 'drop' },
    );
    expect(await MailboxWire.open(stage.sandbox, 'imap').rest()).toBe('* BYE Server Unavailable. 15\r\n');
    const refused = MailboxWire.open(stage.sandbox, 'imap');
    await refused.until(/\r\n/);
    const token = xoauth2(MAILBOX, stage.sandbox.mint.accessToken(MAILBOX));
    expect(await refused.command(`AUTHENTICATE XOAUTH2 ${token}`)).toBe('T BAD User is authenticated but not connected.\r\n');
    const dropped = MailboxWire.open(stage.sandbox, 'imap');
    await dropped.until(/\r\n/);
    dropped.send(`a AUTHENTICATE XOAUTH2 ${token}\r\n`);
    expect(await dropped.rest()).toBe('');
  });
});
