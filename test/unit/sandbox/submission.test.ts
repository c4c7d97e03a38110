import { createHash, randomBytes } from 'node:crypto';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { days, seconds } from '../../../src/core/clock.ts';
import { defaultFaults, setFaults } from '../../../src/sandbox/faults.ts';
import { openSandbox, type TestSandbox, Wire, xoauth2 } from './wire.ts';

const ACCOUNTS = [
  { address: 'relay@sandbox.test', sendAs: ['shared@sandbox.test'] },
  { address: 'shared@sandbox.test' },
  { address: 'other@sandbox.test' },
  { address: 'closed@sandbox.test', isOpenToApplications: false },
];

let box: TestSandbox;
const open: Wire[] = [];

async function keep(wire: Promise<Wire>): Promise<Wire> {
  const opened = await wire;
  open.push(opened);
  return opened;
}

beforeAll(async () => {
  box = await openSandbox({ accounts: ACCOUNTS });
});
afterEach(async () => {
  for (const wire of open.splice(0)) wire.close();
  setFaults(box.sandbox.faults, defaultFaults());
  box.sandbox.messages.clear();
  await box.clock.advance(days(2));
});
afterAll(() => box.sandbox.close());

describe('the session before sign-in', () => {
  it('greets at once: a client that speaks first is answered, not told that it talks too soon', async () => {
    const wire = await keep(Wire.open(box.sandbox.smtp.port));
    wire.write('EHLO client.test\r\n');
    expect(await wire.reply()).toMatch(/^220 sandbox Microsoft ESMTP MAIL Service ready at /);
    expect(await wire.reply()).toMatch(/^250-sandbox Hello \[127\.0\.0\.1\]\n/);
  });

  it('offers what Exchange offers, AUTH only after TLS', async () => {
    const wire = await keep(Wire.open(box.sandbox.smtp.port));
    await wire.reply();
    const before = ['SIZE 157286400', 'PIPELINING', 'DSN', 'ENHANCEDSTATUSCODES', 'STARTTLS', '8BITMIME', 'SMTPUTF8'];
    expect((await wire.command('EHLO client.test')).split('\n').slice(1)).toEqual(
      before.map((keyword, index) => `250${index === before.length - 1 ? ' ' : '-'}${keyword}`),
    );
    expect(await wire.command('AUTH XOAUTH2')).toBe('500 5.3.3 Unrecognized command');
    expect(await wire.command('STARTTLS')).toBe('220 2.0.0 SMTP server ready');
    await wire.secure(box.sandbox.caPem);
    const after = await wire.command('EHLO client.test');
    expect(after.split('\n')).toContain('250-AUTH LOGIN XOAUTH2');
    expect(after).not.toMatch(/STARTTLS|CHUNKING|BINARYMIME|PLAIN/);
  });

  it('answers HELO, NOOP, RSET, VRFY, QUIT and nonsense in the words of Exchange', async () => {
    const wire = await keep(Wire.open(box.sandbox.smtp.port));
    await wire.reply();
    expect(await wire.command('MAIL FROM:<a@b.test>')).toBe('503 5.5.2 Send hello first');
    expect(await wire.command('HELO client.test')).toBe('250 sandbox Hello [127.0.0.1]');
    expect(await wire.command('NOOP')).toBe('250 2.0.0 OK');
    expect(await wire.command('RSET')).toBe('250 2.0.0 Resetting');
    expect(await wire.command('VRFY a')).toBe('252 2.1.5 Cannot VRFY user');
    expect(await wire.command('WIZ please')).toBe('500 5.3.3 Unrecognized command');
    expect(await wire.command('BDAT 5 LAST')).toBe('500 5.3.3 Unrecognized command');
    expect(await wire.command('QUIT')).toBe('221 2.0.0 Service closing transmission channel');
    expect(await wire.closed()).toBe('');
  });

  it('refuses MAIL without AUTH', async () => {
    const wire = await keep(Wire.secured(box.sandbox));
    expect(await wire.command('MAIL FROM:<relay@sandbox.test>')).toMatch(/^530 5\.7\.57 Client was not authenticated/);
    expect(await wire.command('RCPT TO:<a@b.test>')).toMatch(/^530 5\.7\.57 /);
  });

  it('discards what was sent in clear text behind STARTTLS', async () => {
    const wire = await keep(Wire.open(box.sandbox.smtp.port));
    await wire.reply();
    await wire.command('EHLO client.test');
    expect(await wire.command('STARTTLS\r\nEHLO injected.test')).toMatch(/^220 /);
    await wire.secure(box.sandbox.caPem);
    // Had the injected EHLO been carried out, its answer would come first.
    expect(await wire.command('NOOP')).toBe('250 2.0.0 OK');
    expect(wire.pending).toBe('');
  });
});

describe('sign-in', () => {
  it.each([
    ['in two steps', ['AUTH XOAUTH2\r\n', ''], ['334', '235 2.7.0 Authentication successful']],
    ['in one step', ['auth xoauth2 '], ['235 2.7.0 Authentication successful']],
  ])('takes XOAUTH2 %s', async (_manner, beginnings, replies) => {
    const wire = await keep(Wire.secured(box.sandbox));
    const response = xoauth2('RELAY@sandbox.test', box.sandbox.mint.accessToken('relay@sandbox.test'));
    const before = box.sandbox.statistics.submission.authAccepted;
    const heard: string[] = [];
    for (const beginning of beginnings) {
      wire.write(beginning.endsWith('\n') ? beginning : `${beginning}${response}\r\n`);
      heard.push(await wire.reply());
    }
    expect(heard).toEqual(replies);
    expect(box.sandbox.statistics.submission.authAccepted).toBe(before + 1);
    expect(await wire.command(`AUTH XOAUTH2 ${response}`)).toMatch(/^503 5\.5\.2 /);
  });

  it('writes the empty challenge with its space (RFC 4954 §4)', async () => {
    const wire = await keep(Wire.secured(box.sandbox));
    wire.write('AUTH XOAUTH2\r\n');
    while (!wire.pending.includes('\n')) await new Promise((resolve) => setImmediate(resolve));
    expect(wire.pending).toBe('334 \r\n');
  });

  const refusals: [string, () => string | Promise<string>, string][] = [
    ['unknown', () => 'nonsense', 'unknown'],
    ['expired', () => box.sandbox.mint.accessToken('relay@sandbox.test', {}, 0), 'expired'],
    ['of another audience', () => box.sandbox.mint.accessToken('relay@sandbox.test', { scopes: ['SMTP.Send'] }), 'graph.microsoft.com'],
    [
      'without SMTP.Send',
      () => box.sandbox.mint.accessToken('relay@sandbox.test', { scopes: ['https://outlook.office.com/IMAP.AccessAsUser.All'] }),
      'lacks the scope SMTP.Send',
    ],
    ['of another mailbox', () => box.sandbox.mint.accessToken('shared@sandbox.test'), 'issued to shared@sandbox.test'],
    [
      'with one character changed',
      () => box.sandbox.mint.accessToken('relay@sandbox.test').replace(/.$/, (last) => (last === 'A' ? 'B' : 'A')),
      'unknown',
    ],
  ];
  it.each(refusals)('refuses a token that is %s with a direct 535', async (_what, token, because) => {
    const wire = await keep(Wire.secured(box.sandbox));
    const before = box.sandbox.statistics.submission.authRefused;
    const answer = await wire.command(`AUTH XOAUTH2 ${xoauth2('relay@sandbox.test', await token())}`);
    expect(answer).toMatch(/^535 5\.7\.3 Authentication unsuccessful \[sandbox [^\]]+\]$/);
    expect(box.log.of('sandbox-sign-in-refused').at(-1)?.message).toContain(because);
    expect(box.sandbox.statistics.submission.authRefused).toBe(before + 1);
  });

  it('lets the client try again on the same connection', async () => {
    const wire = await keep(Wire.secured(box.sandbox));
    const { mint } = box.sandbox;
    const old = mint.accessToken('relay@sandbox.test');
    mint.revokeAccessTokens();
    expect(await wire.command(`AUTH XOAUTH2 ${xoauth2('relay@sandbox.test', old)}`)).toMatch(/^535 5\.7\.3/);
    expect(await wire.command(`AUTH XOAUTH2 ${xoauth2('relay@sandbox.test', mint.accessToken('relay@sandbox.test'))}`)).toMatch(/^235/);
  });

  it('ends a token at its time', async () => {
    const token = box.sandbox.mint.accessToken('relay@sandbox.test', {}, 60);
    const wire = await keep(Wire.secured(box.sandbox));
    await box.clock.advance(seconds(60));
    expect(await wire.command(`AUTH XOAUTH2 ${xoauth2('relay@sandbox.test', token)}`)).toMatch(/^535/);
  });

  it('takes an opaque token', async () => {
    box.sandbox.faults.token.accessTokenFormat = 'opaque';
    const token = box.sandbox.mint.accessToken('relay@sandbox.test');
    expect(token).not.toContain('.');
    const wire = await keep(Wire.secured(box.sandbox));
    expect(await wire.command(`AUTH XOAUTH2 ${xoauth2('relay@sandbox.test', token)}`)).toMatch(/^235/);
  });

  it('refuses basic authentication after both prompts', async () => {
    const wire = await keep(Wire.secured(box.sandbox));
    expect(await wire.command('AUTH LOGIN')).toBe('334 VXNlcm5hbWU6');
    expect(await wire.command(Buffer.from('relay@sandbox.test').toString('base64'))).toBe('334 UGFzc3dvcmQ6');
    expect(await wire.command('c2VjcmV0')).toMatch(/^535 5\.7\.139 Authentication unsuccessful, basic authentication is disabled\. \[/);
    expect(await wire.command('AUTH PLAIN AGEAYg==')).toBe('504 5.7.4 Unrecognized authentication type');
  });

  it('knows the corners of RFC 4954: cancel, empty initial response, bad base64, long line', async () => {
    const wire = await keep(Wire.secured(box.sandbox));
    await wire.command('AUTH XOAUTH2');
    expect(await wire.command('*')).toMatch(/^501 /);
    expect(await wire.command('AUTH XOAUTH2 =')).toMatch(/^501 5\.5\.2 /);
    expect(await wire.command('AUTH XOAUTH2 not*base64')).toMatch(/^501 5\.5\.2 /);
    await wire.command('AUTH XOAUTH2');
    expect(await wire.command('A'.repeat(12_292))).toMatch(/^500 5\.5\.6 /);
    expect(await wire.command('NOOP')).toBe('250 2.0.0 OK');
  });

  it('never logs a token', async () => {
    const token = box.sandbox.mint.accessToken('shared@sandbox.test');
    const wire = await keep(Wire.secured(box.sandbox));
    const response = xoauth2('relay@sandbox.test', token);
    await wire.command(`AUTH XOAUTH2 ${response}`);
    const lines = JSON.stringify(box.log.lines);
    expect(lines).toContain('sandbox-sign-in-refused');
    expect(lines).not.toContain(token);
    expect(lines).not.toContain(response);
  });
});

describe('a transaction', () => {
  it('keeps the message octet for octet, with envelope, parameters, user and TLS version', async () => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    const heard: string[] = [];
    const stop = box.sandbox.messages.onMessage(({ id }) => heard.push(id));
    expect(await wire.command('MAIL FROM:<relay@sandbox.test> BODY=8BITMIME RET=HDRS ENVID=a+2Bb')).toBe('250 2.1.0 Sender OK');
    const parameters = 'NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a+2Bb@example.com';
    expect(await wire.command(`RCPT TO:<A@example.com> ${parameters}`)).toBe('250 2.1.5 Recipient OK');
    expect(await wire.command('RCPT TO:<b@example.com>')).toBe('250 2.1.5 Recipient OK');
    expect(await wire.command('DATA')).toBe('354 Start mail input; end with <CRLF>.<CRLF>');
    const content = 'From: relay@sandbox.test\r\nMessage-ID: <1@app>\r\nSubject: gr\u00fc\u00df\r\n\r\n.dot\r\n..two\r\n.\u0000\r\n\r\n';
    const octets = Buffer.from(content);
    wire.write(Buffer.from(content.replaceAll('\r\n.', '\r\n..')));
    const answer = await wire.command('.');
    stop();

    const [message, ...others] = box.sandbox.messages.list();
    expect(others).toEqual([]);
    expect(answer).toBe(`250 2.0.0 OK <${message?.id}> [Hostname=sandbox]`);
    expect(heard).toEqual([message?.id]);
    expect(message).toMatchObject({
      user: 'relay@sandbox.test',
      isApplication: false,
      reversePath: 'relay@sandbox.test',
      parameters: 'BODY=8BITMIME RET=HDRS ENVID=a+2Bb',
      forwardPaths: [
        { address: 'A@example.com', parameters },
        { address: 'b@example.com', parameters: '' },
      ],
      tls: 'TLSv1.3',
      peer: '127.0.0.1',
      size: octets.length,
      sha256: createHash('sha256').update(octets).digest('hex'),
      subject: 'gr\u00fc\u00df',
      messageId: '<1@app>',
    });
    expect(box.sandbox.messages.content(message?.id ?? '')).toEqual(octets);
    expect(box.log.of('sandbox-message-received').at(-1)).toMatchObject({
      level: 'info',
      user: 'relay@sandbox.test',
      mechanism: 'XOAUTH2',
      forwardPaths: ['A@example.com', 'b@example.com'],
      size: octets.length,
    });
  });

  it('takes a large message and several on one connection', async () => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    const line = `${'x'.repeat(998)}\r\n`;
    const large = `Subject: large\r\n\r\n${line.repeat(5_000)}`;
    expect(await wire.submit(large)).toMatch(/^250 2\.0\.0 OK </);
    expect(await wire.submit()).toMatch(/^250 2\.0\.0 OK </);
    expect(box.sandbox.messages.list().map(({ size }) => size)).toEqual([large.length, 'Subject: a\r\n\r\nb\r\n'.length]);
  });

  it('keeps nothing when the client leaves before the dot', async () => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    await wire.command('MAIL FROM:<relay@sandbox.test>');
    await wire.command('RCPT TO:<a@example.com>');
    await wire.command('DATA');
    const { open: before } = box.sandbox.statistics.submission;
    wire.write('Subject: cut\r\n\r\nhalf');
    wire.close();
    while (box.sandbox.statistics.submission.open === before) await new Promise((resolve) => setImmediate(resolve));
    expect(box.sandbox.messages.list()).toEqual([]);
  });

  it('answers pipelined commands in order (RFC 2920)', async () => {
    const wire = await keep(Wire.signedIn(box.sandbox));
    wire.write('MAIL FROM:<relay@sandbox.test>\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<bad address>\r\nDATA\r\n');
    expect(await wire.reply()).toMatch(/^250 2\.1\.0/);
    expect(await wire.reply()).toMatch(/^250 2\.1\.5/);
    expect(await wire.reply()).toMatch(/^501 5\.1\.3/);
    expect(await wire.reply()).toMatch(/^354/);
  });

  it('is used by nodemailer as well', async () => {
    const { sandbox } = box;
    const connection = new SMTPConnection({
      host: '127.0.0.1',
      port: sandbox.smtp.port,
      requireTLS: true,
      tls: { ca: sandbox.caPem },
      // A name other than XOAUTH2: under that one nodemailer would choose LOGIN, which is announced first.
      customAuth: {
        'TWO-STEP': async (context) => {
          await context.sendCommand('AUTH XOAUTH2');
          const { user, pass } = context.auth.credentials;
          const { status } = await context.sendCommand(xoauth2(user, pass));
          if (status === 235) context.resolve();
          else context.reject(new Error(`refused with ${status}`));
        },
      },
    });
    await new Promise<void>((resolve, reject) => {
      connection.once('error', reject);
      connection.connect(() => resolve());
    });
    await new Promise<void>((resolve, reject) => {
      const credentials = { user: 'relay@sandbox.test', pass: sandbox.mint.accessToken('relay@sandbox.test') };
      connection.login({ method: 'TWO-STEP', credentials }, (error) => (error ? reject(error) : resolve()));
    });
    const content = `Subject: from nodemailer\r\n\r\n${randomBytes(3000)
      .toString('base64')
      .replace(/(.{76})/g, '$1\r\n')}\r\n`;
    const info = await new Promise<{ response: string }>((resolve, reject) => {
      connection.send({ from: 'relay@sandbox.test', to: ['a@example.com'] }, content, (error, sent) =>
        error || sent === undefined ? reject(error ?? new Error('nothing sent')) : resolve(sent),
      );
    });
    connection.quit();
    const [message] = sandbox.messages.list();
    expect(info.response).toContain(message?.id);
    expect(message?.sha256).toBe(createHash('sha256').update(content).digest('hex'));
  });
});
