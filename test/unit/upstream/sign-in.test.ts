import { describe, expect, it } from 'vitest';
import { problem, ProblemError } from '../../../src/core/problem.ts';
import { failureOf, relay, startLab } from './lab.ts';
import { secretsIn } from '../../support/real/secrets.ts';
import { ehloReply } from '../../support/scripted-smtp-server.ts';

const REFUSED = '535 5.7.3 Authentication unsuccessful [mail.test]';
const GOOGLE = `334 ${Buffer.from('{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}').toString('base64')}`;

/** The tokens that the server was shown, in order. */
function tokensSeen(lines: readonly string[]): string[] {
  return lines.flatMap((line) => /auth=Bearer ([^\x01]+)/.exec(Buffer.from(line, 'base64').toString())?.[1] ?? []);
}

describe('a refused token', () => {
  it('U02 is replaced once, and the second one tried on the same connection', async () => {
    const lab = await startLab({ script: { authString: (_line, count) => (count === 1 ? REFUSED : '235 2.7.0 OK') } });
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.tokens.refused).toEqual(['first-access-token']);
    expect(lab.server.sessions).toHaveLength(1);
    expect(tokensSeen(lab.server.sessions[0]?.lines ?? [])).toEqual(['first-access-token', 'access-token-2']);
  });

  it('U02 is replaced once and no more', async () => {
    const lab = await startLab({ script: { authString: REFUSED } });
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({ stage: 'auth', problem: { code: 'UPSTREAM_AUTH_REFUSED' }, reply: { code: 454, enhancedCode: '4.7.0' } });
    expect(error.problem.cause).toContain('billing@postern.test');
    expect(error.problem.cause).toContain('535 5.7.3');
    expect(lab.tokens.refused).toHaveLength(1);
    expect(tokensSeen(lab.server.sessions.flatMap(({ lines }) => lines))).toHaveLength(2);
    await lab.server.until(() => lab.server.open === 0);
  });

  it.each(['close', 'reset'] as const)('is replaced on a new connection where the server ends the old one (%s)', async (ends) => {
    const lab = await startLab();
    lab.server.script.authString = () => (lab.server.sessions.length === 1 ? { say: REFUSED, ends } : '235 2.7.0 OK');
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.tokens.refused).toHaveLength(1);
    expect(lab.server.sessions).toHaveLength(2);
    expect(tokensSeen(lab.server.sessions[1]?.lines ?? [])).toEqual(['access-token-2']);
  });

  it('is replaced on a new connection where the old one takes no second AUTH', async () => {
    const lab = await startLab();
    lab.server.script.auth = (_line, count) => (count === 1 ? '334 ' : '503 5.5.1 Bad sequence of commands');
    lab.server.script.authString = () => (lab.server.sessions.length === 1 ? REFUSED : '235 2.7.0 OK');
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.tokens.refused).toHaveLength(1);
    expect(lab.server.sessions).toHaveLength(2);
  });

  it('U03 may be refused inside the exchange: the challenge is answered with an empty line', async () => {
    const lab = await startLab({ script: { authString: (_line, count) => (count === 1 ? GOOGLE : '235 2.7.0 OK') } });
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.tokens.refused).toHaveLength(1);
    const { lines = [] } = lab.server.sessions[0] ?? {};
    expect(lines[5]).toBe('');
    expect(lines[6]).toBe('AUTH XOAUTH2');
  });

  it('leaves the explanation of a challenge in the problem', async () => {
    const lab = await startLab({ script: { authString: GOOGLE } });
    const error = await failureOf(lab.begin());
    expect(error.problem.code).toBe('UPSTREAM_AUTH_REFUSED');
    expect(error.problem.cause).toContain('https://mail.google.com/');
  });

  it('is refused by OAUTHBEARER with a challenge that is answered with %x01', async () => {
    const challenge = `334 ${Buffer.from('{"status":"invalid_token"}').toString('base64')}`;
    const lab = await startLab({
      mechanism: 'OAUTHBEARER',
      script: { ehloAfterTls: ehloReply('AUTH OAUTHBEARER'), authString: (_line, count) => (count === 1 ? challenge : '235 2.7.0 OK') },
    });
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    const { lines = [] } = lab.server.sessions[0] ?? {};
    expect(lines[3]).toBe('AUTH OAUTHBEARER');
    expect(Buffer.from(lines[4] ?? '', 'base64').toString()).toBe(
      `n,a=billing@postern.test,\x01host=localhost\x01port=${lab.server.port}\x01auth=Bearer first-access-token\x01\x01`,
    );
    expect(lines[5]).toBe('AQ==');
  });

  it('is not refused where the server goes on after the failure: that is no SASL', async () => {
    const lab = await startLab({ script: { authString: GOOGLE, authFailed: '235 2.7.0 OK after all' } });
    expect(await failureOf(lab.begin())).toMatchObject({ stage: 'auth', problem: { code: 'UPSTREAM_PROTOCOL' } });
    expect(lab.tokens.refused).toEqual([]);
  });
});

describe('a refusal that no token cures', () => {
  it.each([
    ['535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.', 'UPSTREAM_SMTP_AUTH_DISABLED'],
    ["535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy.", 'UPSTREAM_MISCONFIGURED'],
    ['550 5.7.30 Basic authentication is not supported for Client Submission.', 'UPSTREAM_MISCONFIGURED'],
    ['504 5.7.4 Unrecognized authentication type', 'UPSTREAM_MISCONFIGURED'],
  ] as const)('costs no refresh: %s', async (answer, code) => {
    const lab = await startLab({ script: { authString: answer } });
    expect(await failureOf(lab.begin())).toMatchObject({ stage: 'auth', problem: { code }, reply: { code: 454, enhancedCode: '4.7.0' } });
    expect(lab.tokens.refused).toEqual([]);
    expect(lab.server.sessions).toHaveLength(1);
  });

  it('is told as what it is when it comes second', async () => {
    const lab = await startLab({
      script: {
        authString: (_line, count) => (count === 1 ? REFUSED : '535 5.7.139 SmtpClientAuthentication is disabled for the Mailbox.'),
      },
    });
    expect((await failureOf(lab.begin())).problem.code).toBe('UPSTREAM_SMTP_AUTH_DISABLED');
  });
});

describe('an answer to AUTH that says nothing about the token', () => {
  it('421 sends us to another connection, once', async () => {
    const lab = await startLab();
    lab.server.script.auth = () => (lab.server.sessions.length === 1 ? '421 4.3.2 Service not active' : '334 ');
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.tokens.refused).toEqual([]);
    expect(lab.server.sessions).toHaveLength(2);
  });

  it.each([
    ['421 4.3.2 Service not active', 2, 'UPSTREAM_DEFERRED'],
    ['451 4.7.0 Temporary server error. Please try again later. PRX4', 1, 'UPSTREAM_DEFERRED'],
    ['432 4.3.2 Concurrent connections limit exceeded.', 1, 'UPSTREAM_BUSY'],
    ['454 4.7.0 Temporary authentication failure', 1, 'UPSTREAM_DEFERRED'],
  ] as const)('%s is passed on as a 451', async (answer, connections, code) => {
    const lab = await startLab({ script: { authString: answer } });
    expect(await failureOf(lab.begin())).toMatchObject({
      stage: 'auth',
      problem: { code, heals: 'by-itself' },
      reply: { code: 451, enhancedCode: '4.3.2' },
    });
    expect(lab.tokens.refused).toEqual([]);
    expect(lab.server.sessions).toHaveLength(connections);
  });

  it('is an acceptance before the token was shown', async () => {
    const lab = await startLab({ script: { auth: '235 2.7.0 Come in' } });
    expect(await failureOf(lab.begin())).toMatchObject({ stage: 'auth', problem: { code: 'UPSTREAM_PROTOCOL' } });
  });

  it('is the end of the connection', async () => {
    const lab = await startLab({ script: { authString: 'close' } });
    expect(await failureOf(lab.begin())).toMatchObject({
      stage: 'auth',
      problem: { code: 'UPSTREAM_LOST' },
      reply: { code: 451, enhancedCode: '4.4.2' },
    });
    expect(lab.tokens.refused).toEqual([]);
  });
});

describe('no token', () => {
  it.each([
    ['TOKEN_ENDPOINT_UNREACHABLE', 451],
    ['TOKEN_ENDPOINT_BUSY', 451],
    ['TOKEN_REAUTH_REQUIRED', 454],
    ['TOKEN_MISCONFIGURED', 454],
  ] as const)('(%s) is a %i, and nobody is called', async (code, expected) => {
    const lab = await startLab();
    lab.tokens.failure = new ProblemError(problem(code));
    expect(await failureOf(lab.begin())).toMatchObject({
      stage: 'token',
      problem: { code },
      reply: { code: expected, enhancedCode: '4.7.0' },
    });
    expect(lab.server.sessions).toEqual([]);
    expect(lab.pool.connections('billing')).toBe(0);
  });

  it('in place of a refused one ends the session', async () => {
    const lab = await startLab({ script: { authString: REFUSED } });
    lab.tokens.replaceFailure = new ProblemError(problem('TOKEN_REAUTH_REQUIRED'));
    expect(await failureOf(lab.begin())).toMatchObject({ stage: 'token', reply: { code: 454 } });
    await lab.server.until(() => lab.server.open === 0);
  });

  it('in place of tokens that are all refused is an auth failure', async () => {
    const lab = await startLab({ script: { authString: REFUSED } });
    lab.tokens.replaceFailure = new ProblemError(problem('UPSTREAM_AUTH_REFUSED'));
    expect(await failureOf(lab.begin())).toMatchObject({ stage: 'auth', problem: { code: 'UPSTREAM_AUTH_REFUSED' }, reply: { code: 454 } });
  });

  it('because of a defect is not dressed up', async () => {
    const lab = await startLab();
    lab.tokens.failure = new TypeError('defect');
    await expect(lab.begin()).rejects.toThrow(TypeError);
    expect(lab.pool.connections('billing')).toBe(0);
  });
});

describe('strings that must not be sent', () => {
  it.each(['a\r\nb', 'a\nMAIL FROM:<x>', 'a\0b', 'a\x01b', 'a b', 'a'.repeat(20_000)])('K07 the token %j', async (value) => {
    const lab = await startLab();
    lab.tokens.current = { ...lab.tokens.current, value };
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({ stage: 'auth', problem: { code: 'TOKEN_ENDPOINT_NONSENSE' }, reply: { code: 454 } });
    expect(JSON.stringify(error.problem)).not.toContain(value.slice(0, 30));
    await lab.server.until(() => lab.server.open === 0);
    expect(lab.server.sessions[0]?.lines.filter((line) => line.startsWith('AUTH'))).toEqual([]);
  });

  it('A03 the user with a field of its own', async () => {
    const lab = await startLab({ smtpUser: 'a@b\x01auth=Bearer EVIL\x01\x01' });
    expect(await failureOf(lab.begin())).toMatchObject({ stage: 'auth', problem: { code: 'CONFIG_INVALID' }, reply: { code: 454 } });
    expect(lab.server.sessions[0]?.lines.filter((line) => line.startsWith('AUTH'))).toEqual([]);
  });
});

describe('a server that quotes what it was sent', () => {
  const TOKEN = 'first-access-token';
  const shown = (lab: Awaited<ReturnType<typeof startLab>>, ...more: unknown[]): string => JSON.stringify([lab.log.lines, ...more]);

  it.each([
    ['the string of XOAUTH2', (line: string) => `454 4.7.0 Temporary failure for ${line}`],
    ['its end', (line: string) => `454 4.7.0 Temporary failure for …${line.slice(24)}`],
    ['the token in clear', () => `454 4.7.0 Temporary failure for ${TOKEN}`],
    ['the token in hex', () => `454 4.7.0 Temporary failure for ${Buffer.from(TOKEN).toString('hex')}`],
  ])('at AUTH has it removed: %s', async (_name, authString) => {
    const lab = await startLab({ script: { authString } });
    const { problem: told, reply } = await failureOf(lab.begin());
    expect(told.cause).toMatch(/\[(secret|removed)\]/);
    expect(secretsIn(shown(lab, told, reply), [TOKEN])).toEqual([]);
  });

  it.each(['mail', 'rcpt', 'data', 'content'] as const)('long after AUTH has it removed: at %s', async (step) => {
    const lab = await startLab({ script: { [step]: `554 5.0.0 Refused: auth=Bearer ${TOKEN}` } });
    const { reply, transaction } = await lab.begin();
    const last = transaction === undefined ? reply : await relay(transaction);
    const answers = [reply, last];
    if (step === 'mail' || step === 'content') expect(JSON.stringify(answers)).toContain('[secret]');
    expect(secretsIn(shown(lab, answers), [TOKEN])).toEqual([]);
  });
});
