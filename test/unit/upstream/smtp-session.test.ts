import { describe, expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import { eventually, PLAIN, failureOf, relay, startLab } from './lab.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ehloReply, type ScriptAnswer } from '../../support/scripted-smtp-server.ts';

describe('an upstream that turns us away', () => {
  it.each([
    ['greeting', '421 4.3.2 Service not available', 'greeting', 'UPSTREAM_DEFERRED'],
    ['greeting', '554 5.7.1 No SMTP service here', 'greeting', 'UPSTREAM_MISCONFIGURED'],
    ['greeting', '500 What?', 'greeting', 'UPSTREAM_MISCONFIGURED'],
    ['ehlo', '421 4.4.2 Too slow', 'ehlo', 'UPSTREAM_DEFERRED'],
    ['ehlo', '550 5.7.1 Not you', 'ehlo', 'UPSTREAM_MISCONFIGURED'],
    ['ehlo', '502 5.5.1 Not implemented', 'ehlo', 'UPSTREAM_MISCONFIGURED'],
  ] as const)('U01 at %s with %s is quoted in a 451', async (step, answer, stage, code) => {
    const lab = await startLab({ script: { [step]: answer } });
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({ stage, problem: { code }, reply: { code: 451, enhancedCode: '4.4.1' } });
    expect(error.reply.text[0]).toContain(answer);
    await lab.server.until(() => lab.server.open === 0);
    // No fallback to HELO.
    expect(lab.server.sessions[0]?.lines.filter((line) => !line.startsWith('EHLO'))).toEqual([]);
  });
});

describe('TLS that does not come about', () => {
  const secretless = (clear: string): void => expect(clear.replaceAll(/^(?:EHLO [a-z.]+|STARTTLS)\r\n/gm, '')).toBe('');

  it('T05 is the end where STARTTLS is not offered', async () => {
    const lab = await startLab({ script: { ehlo: ehloReply('PIPELINING', 'AUTH LOGIN XOAUTH2') } });
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({
      stage: 'starttls',
      problem: { code: 'UPSTREAM_TLS_FAILED' },
      reply: { code: 451, enhancedCode: '4.7.5' },
    });
    await lab.server.until(() => lab.server.open === 0);
    secretless(lab.server.sessions[0]?.clear.toString() ?? '');
  });

  it.each([
    '221 2.0.0 Bye',
    '354 Go',
    '421 4.7.0 Later',
    '454 4.7.0 TLS not available',
    '500 5.5.1 What?',
    '501 5.5.4 No',
    '530 5.7.0 No',
    '250 OK',
  ])('T06 is the end where STARTTLS is answered with %s', async (answer) => {
    const lab = await startLab({ script: { starttls: answer } });
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({
      stage: 'starttls',
      problem: { code: 'UPSTREAM_TLS_FAILED' },
      reply: { code: 451, enhancedCode: '4.7.5' },
    });
    expect(error.problem.cause).toContain(answer.slice(0, 3));
    await lab.server.until(() => lab.server.open === 0);
    secretless(lab.server.sessions[0]?.clear.toString() ?? '');
  });

  it('T06 is the end where clear text follows the 220 in the same segment', async () => {
    const lab = await startLab({ script: { starttls: Buffer.from('220 2.0.0 Ready\r\n250-mail.test\r\n250 AUTH XOAUTH2\r\n') } });
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({ stage: 'starttls', reply: { code: 451 } });
    expect(lab.tokens.refused).toEqual([]);
    await lab.server.until(() => lab.server.open === 0);
    secretless(lab.server.sessions[0]?.clear.toString() ?? '');
  });

  it('T06 is the end where clear text comes in place of a handshake', async () => {
    const lab = await startLab({
      script: { starttls: { say: '220 2.0.0 Ready', ends: 'close' } },
    });
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({ stage: 'starttls', reply: { code: 451, enhancedCode: '4.7.5' } });
  });

  it('is the end where the handshake stalls', async () => {
    const clock = new FakeClock();
    // The server says 220 and then does not start TLS: to it the ClientHello is a command without a line end.
    const lab = await startLab({ clock, script: { starttls: () => Buffer.from('220 2.0.0 Ready\r\n') } });
    const failed = failureOf(lab.begin());
    await lab.server.until(() => (lab.server.sessions[0]?.clear.length ?? 0) > 100);
    await clock.advance(seconds(30));
    expect(await failed).toMatchObject({
      stage: 'starttls',
      problem: { code: 'UPSTREAM_TLS_FAILED', heals: 'by-itself' },
      reply: { code: 451 },
    });
  });

  it('T08 is the end where the CA is not ours', async () => {
    const { createTestAuthority } = await import('../../support/test-ca.ts');
    const lab = await startLab({ ca: createTestAuthority('Somebody else').caPem });
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({
      stage: 'starttls',
      problem: { code: 'UPSTREAM_TLS_FAILED', heals: 'after-repair' },
      reply: { enhancedCode: '4.7.5' },
    });
    expect(error.problem.remedy).toContain('caFile');
    expect(lab.server.sessions[0]?.lines).toEqual(['EHLO relay.postern.test', 'STARTTLS']);
  });
});

describe('what is offered', () => {
  it('U15 counts from after TLS alone', async () => {
    const lab = await startLab({
      script: {
        ehlo: ehloReply('SIZE', 'PIPELINING', 'DSN', 'SMTPUTF8', 'STARTTLS', 'AUTH XOAUTH2'),
        ehloAfterTls: ehloReply('AUTH XOAUTH2'),
      },
    });
    const { transaction } = await lab.pool.begin(lab.account, 'a@x.test', { ...PLAIN, ret: 'FULL', isSmtpUtf8: true }, seconds(5));
    if (transaction === undefined) throw new Error('MAIL refused');
    expect(await transaction.addForwardPath({ address: 'ü@x.test' })).toMatchObject({ code: 553, enhancedCode: '5.6.7' });
    expect(await relay(transaction)).toMatchObject({ code: 250 });
    const [session] = lab.server.sessions;
    expect(session?.lines.slice(5)).toEqual(['MAIL FROM:<a@x.test>', 'RCPT TO:<to@example.test>', 'DATA']);
    // Without PIPELINING each command waits for the reply to the one before.
    expect(session?.batches.slice(-4)).toEqual([['MAIL FROM:<a@x.test>'], ['RCPT TO:<to@example.test>'], ['DATA'], []]);
  });

  it.each([['AUTH LOGIN PLAIN'], ['PIPELINING'], ['AUTH']])(
    'U14 without our mechanism (%s), the token is not sent at all',
    async (line) => {
      const lab = await startLab({ script: { ehloAfterTls: ehloReply(line) } });
      const error = await failureOf(lab.begin());
      expect(error).toMatchObject({
        stage: 'auth',
        problem: { code: 'UPSTREAM_XOAUTH2_MISSING' },
        reply: { code: 454, enhancedCode: '4.7.0' },
      });
      await lab.server.until(() => lab.server.open === 0);
      expect(lab.server.sessions[0]?.lines).toHaveLength(3);
    },
  );

  it('is read from a server with implicit TLS', async () => {
    const lab = await startLab({ isImplicit: true });
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.server.sessions[0]?.lines[1]).toBe('AUTH XOAUTH2');
    expect(lab.server.sessions[0]?.clear).toHaveLength(0);
  });
});

describe('replies that are none', () => {
  it.each([
    ['no space', '250OK'],
    ['a code that does not exist', '999 x'],
    ['too short', '25'],
    ['NUL', Buffer.from([0, 0, 13, 10])],
    ['different codes', '550-no\r\n250 yes'],
    ['more than was asked', '250 ok\r\n250 ok\r\n354 go\r\n250 accepted'],
    ['half a reply too many', Buffer.from('250 ok\r\n250 o')],
    ['a line without end', Buffer.alloc(1_000_000, 'a')],
    ['a megabyte in one line', Buffer.concat([Buffer.from('250 '), Buffer.alloc(1_000_000, 'a'), Buffer.from('\r\n')])],
    ['lines without end', Buffer.from('250-a\r\n'.repeat(100_000))],
  ] as [string, ScriptAnswer][])('U10 U11 U12 (%s) end the session with a 451', async (_what, mail) => {
    const lab = await startLab({ script: { mail } });
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({ stage: 'mail', problem: { code: 'UPSTREAM_PROTOCOL' }, reply: { code: 451, enhancedCode: '4.4.2' } });
    await lab.server.until(() => lab.server.open === 0);
    expect(lab.server.messages).toEqual([]);
  });

  it('end the session at the greeting too', async () => {
    const lab = await startLab({ script: { greeting: 'HTTP/1.1 400 Bad Request\r\n\r\n<html>' } });
    expect(await failureOf(lab.begin())).toMatchObject({ stage: 'greeting', problem: { code: 'UPSTREAM_PROTOCOL' } });
  });

  it('U12 are told from odd ones: text is made one clean line', async () => {
    const lab = await startLab({ script: { mail: Buffer.from('451 4.3.0 \x00try\rla\xffter\x1b[31m\r\n', 'latin1') } });
    const { reply, transaction } = await lab.begin();
    expect(transaction).toBeUndefined();
    expect(reply).toEqual({ code: 451, enhancedCode: '4.3.0', text: ['try la\ufffdter [31m'] });
  });
});

describe('a server in small segments', () => {
  it.each([1, 2, 3, 7])('of %i octets is the same server', async (segment) => {
    const lab = await startLab({ segment });
    expect(await relay(await lab.open())).toMatchObject({ code: 250, enhancedCode: '2.0.0' });
    expect(lab.server.messages).toHaveLength(1);
  });
});

describe('deadlines', () => {
  it.each([
    ['greeting', 'greeting', 30],
    ['ehlo', 'ehlo', 60],
    ['starttls', 'starttls', 60],
    ['auth', 'auth', 60],
    ['authString', 'auth', 60],
    ['mail', 'mail', 60],
  ] as const)('N10 no answer at %s', async (step, stage, wait) => {
    const clock = new FakeClock();
    let isAsked = false;
    const silence = (): ScriptAnswer => {
      isAsked = true;
      return 'silence';
    };
    const lab = await startLab({ clock, script: { [step]: silence } });
    const failed = failureOf(lab.begin());
    await lab.server.until(() => isAsked);
    // The server may have accepted before the client knows that it is connected.
    if (step === 'greeting') await new Promise((resolve) => setTimeout(resolve, 50));
    await clock.advance(seconds(wait - 1));
    expect(lab.server.open).toBe(1);
    await clock.advance(seconds(1));
    expect(await failed).toMatchObject({ stage, problem: { code: 'UPSTREAM_TIMEOUT' }, reply: { code: 451, enhancedCode: '4.4.2' } });
    await lab.server.until(() => lab.server.open === 0);
    await eventually(() => lab.pool.connections('billing') === 0);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('the trace', () => {
  it('has the dialogue, and neither token nor content', async () => {
    const lab = await startLab();
    await relay(await lab.open(), 'Subject: confidential\r\n\r\nsecret body\r\n');
    const lines = lab.log.of('upstream-dialogue').map(({ message }) => message);
    expect(lines).toEqual(
      expect.arrayContaining([
        'C: EHLO relay.postern.test',
        'C: AUTH XOAUTH2',
        'C: [credentials]',
        'S: 235 2.7.0 Authentication successful',
        'C: [content, 38 octets] .',
      ]),
    );
    const everything = JSON.stringify(lab.log.lines);
    expect(everything).not.toContain('first-access-token');
    expect(everything).not.toContain(Buffer.from('user=billing@postern.test').toString('base64').slice(0, 20));
    expect(everything).not.toContain('secret body');
  });

  it('does not have a token that the server quotes', async () => {
    const lab = await startLab({ script: { authString: (line) => `500 5.5.1 Unrecognized command ${line}` } });
    lab.tokens.current = { ...lab.tokens.current, value: 'x'.repeat(200) };
    const error = await failureOf(lab.begin());
    expect(error.problem.cause).toContain('Unrecognized command [removed]');
    const string = lab.server.sessions[0]?.lines.at(-1) ?? 'none';
    expect(JSON.stringify([error.problem, error.reply, lab.log.lines])).not.toContain(string.slice(40, 80));
  });
});
