/** Accounts that sign in with user name and password. */
import { describe, expect, it } from 'vitest';
import { minutes, seconds } from '../../../src/core/clock.ts';
import { ehloReply } from '../../support/scripted-smtp-server.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { failureOf, type LabOptions, relay, startLab } from './lab.ts';

const PASSWORD = 'upstream~pässword';
const WRONG = '535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [AM0PR]';
const encoded = (text: string): string => Buffer.from(text).toString('base64');

const startPasswordLab = (options: LabOptions = {}) =>
  startLab({
    auth: { grant: 'basic', password: PASSWORD },
    ...options,
    script: {
      ehloAfterTls: ehloReply('AUTH LOGIN XOAUTH2'),
      authString: '334 UGFzc3dvcmQ6',
      authFailed: '235 2.7.0 OK',
      ...options.script,
    },
  });

const authLines = (lines: readonly string[]): string[] => lines.filter((line) => line.startsWith('AUTH'));

describe('signing in', () => {
  it('with LOGIN, all that Exchange offers, one step after another, inside TLS', async () => {
    const lab = await startPasswordLab();
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    const { lines = [] } = lab.server.sessions[0] ?? {};
    expect(lines.slice(1, 6)).toEqual([
      'STARTTLS',
      expect.stringMatching(/^EHLO/),
      'AUTH LOGIN',
      encoded('billing@postern.test'),
      encoded(PASSWORD),
    ]);
    expect(lab.tokens.asked).toBe(0);
  });

  it('with PLAIN where it is offered', async () => {
    const lab = await startPasswordLab({ script: { ehloAfterTls: ehloReply('AUTH LOGIN PLAIN'), authString: '235 2.7.0 OK' } });
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    const { lines = [] } = lab.server.sessions[0] ?? {};
    expect(lines.slice(3, 5)).toEqual(['AUTH PLAIN', encoded(`\0billing@postern.test\0${PASSWORD}`)]);
  });

  it('lasts: the session is kept for the next message', async () => {
    const lab = await startPasswordLab();
    await relay(await lab.open());
    await relay(await lab.open());
    expect(lab.server.sessions).toHaveLength(1);
  });

  it('shows the password to nobody but the server', async () => {
    const lab = await startPasswordLab();
    await relay(await lab.open());
    const shown = JSON.stringify(lab.log.lines);
    for (const form of [PASSWORD, encoded(PASSWORD), encodeURIComponent(PASSWORD)]) expect(shown).not.toContain(form);
    expect(shown).toContain('[credentials]');
  });

  it.each([
    ['no TLS', { ehlo: ehloReply('AUTH LOGIN PLAIN') }, 'UPSTREAM_TLS_FAILED'],
    ['neither mechanism', { ehloAfterTls: ehloReply('AUTH XOAUTH2') }, 'UPSTREAM_MISCONFIGURED'],
  ] as const)('is not tried where there is %s', async (_what, script, code) => {
    const lab = await startPasswordLab({ script });
    expect((await failureOf(lab.begin())).problem.code).toBe(code);
    expect(authLines(lab.server.sessions[0]?.lines ?? [])).toEqual([]);
  });

  it('is not tried with a certificate that is not trusted', async () => {
    const lab = await startPasswordLab({ ca: '' });
    expect((await failureOf(lab.begin())).problem.code).toBe('UPSTREAM_TLS_FAILED');
    expect(JSON.stringify(lab.server.sessions)).not.toContain(encoded(PASSWORD));
  });

  it.each(['', 'a\0b', 'a\r\nMAIL FROM:<x>', 'x'.repeat(1025)])('is not tried with the password %j', async (password) => {
    const lab = await startPasswordLab({ auth: { grant: 'basic', password } });
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({
      stage: 'auth',
      problem: { code: 'CONFIG_INVALID', remedy: expect.stringContaining('password') as string },
    });
    expect(authLines(lab.server.sessions[0]?.lines ?? [])).toEqual([]);
  });

  it('ends where the server asks for more than user and password', async () => {
    const lab = await startPasswordLab({ script: { authFailed: '334 UGFzc3dvcmQ6' } });
    expect(await failureOf(lab.begin())).toMatchObject({ stage: 'auth', problem: { code: 'UPSTREAM_PROTOCOL' } });
  });
});

describe('a refused password', () => {
  it('is shown once, whatever comes after', async () => {
    const clock = new FakeClock();
    const lab = await startPasswordLab({ clock, script: { authFailed: WRONG } });
    const error = await failureOf(lab.begin());
    expect(error).toMatchObject({
      stage: 'auth',
      reply: { code: 454, enhancedCode: '4.7.0' },
      problem: { code: 'UPSTREAM_PASSWORD_REFUSED', heals: 'after-repair', cause: expect.stringContaining('5.7.139') as string },
    });
    for (const wait of [seconds(1), minutes(20), minutes(60 * 24 * 7)]) {
      await clock.advance(wait);
      expect((await failureOf(lab.begin())).problem).toEqual(error.problem);
    }
    expect(lab.server.sessions).toHaveLength(1);
    expect(JSON.stringify(error.problem)).not.toContain(PASSWORD);
  });

  it('stops sign-ins that were waiting at the same time', async () => {
    const lab = await startPasswordLab({ script: { authFailed: WRONG } });
    const errors = await Promise.all(Array.from({ length: 3 }, () => failureOf(lab.begin())));
    expect(errors.map(({ problem }) => problem.code)).toEqual(Array(3).fill('UPSTREAM_PASSWORD_REFUSED'));
    expect(lab.server.sessions.flatMap(({ lines }) => authLines(lines))).toHaveLength(1);
  });

  it.each([
    ['535 5.7.3 Authentication unsuccessful [mail.test]', 'UPSTREAM_PASSWORD_REFUSED'],
    ['535 5.7.8 Username and Password not accepted', 'UPSTREAM_PASSWORD_REFUSED'],
    ['535 5.7.139 Authentication unsuccessful, basic authentication is disabled.', 'UPSTREAM_MISCONFIGURED'],
    ['535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.', 'UPSTREAM_SMTP_AUTH_DISABLED'],
    ['550 5.7.30 Basic authentication is not supported for Client Submission.', 'UPSTREAM_MISCONFIGURED'],
  ] as const)('without a word about the password is left alone for a quarter of an hour: %s', async (answer, code) => {
    const clock = new FakeClock();
    const lab = await startPasswordLab({ clock, script: { authFailed: answer } });
    expect((await failureOf(lab.begin())).problem.code).toBe(code);
    await clock.advance(minutes(14));
    expect((await failureOf(lab.begin())).problem.code).toBe(code);
    expect(lab.server.sessions).toHaveLength(1);
    await clock.advance(minutes(2));
    lab.server.script.authFailed = '235 2.7.0 OK';
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
  });

  it('is not what a busy or draining server says', async () => {
    const lab = await startPasswordLab({ script: { authFailed: '454 4.7.0 Temporary authentication failure' } });
    expect(await failureOf(lab.begin())).toMatchObject({ problem: { code: 'UPSTREAM_DEFERRED' }, reply: { code: 451 } });
    lab.server.script.authFailed = '235 2.7.0 OK';
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
  });

  it('may come after it was accepted: then it is not shown again either', async () => {
    const lab = await startPasswordLab();
    await relay(await lab.open());
    lab.server.script.authFailed = WRONG;
    lab.server.script.mail = '421 4.3.2 Service not active';
    expect((await failureOf(lab.begin())).problem.code).toBe('UPSTREAM_PASSWORD_REFUSED');
    const tries = lab.server.sessions.length;
    expect((await failureOf(lab.begin())).problem.code).toBe('UPSTREAM_PASSWORD_REFUSED');
    expect(lab.server.sessions).toHaveLength(tries);
  });
});
