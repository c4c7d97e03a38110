/** The test message: what arrives, and what the operator reads where it does not. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { submitTest, type TestSubmission } from '../../src/app/send-test.ts';
import { DoctorLab, type LabChanges, MAILBOX } from '../support/doctor-lab.ts';
import { secretsIn } from '../support/real/secrets.ts';

const TO = 'operator@example.test';
let lab: DoctorLab;

beforeEach(async () => {
  lab = await DoctorLab.start();
});
afterEach(() => lab.close());

async function send(changes?: LabChanges, to = TO): Promise<TestSubmission> {
  const loaded = await lab.load(changes);
  const account = loaded.ok ? loaded.config.accounts[0] : undefined;
  if (!loaded.ok || account === undefined) throw new Error(JSON.stringify(loaded));
  const submission = await submitTest(loaded.config, account, to);
  expect(secretsIn(JSON.stringify(submission), lab.secrets)).toEqual([]);
  return submission;
}

describe('a test message', () => {
  it('is submitted with the account, and the last reply is told', async () => {
    const submission = await send();
    expect(submission).toMatchObject({ from: MAILBOX, to: TO, messageId: expect.stringMatching(/^<.+@sandbox\.test>$/) });
    expect(submission.reply).toMatch(/^250 2\.0\.0 OK </);
    expect(submission.problem).toBeUndefined();
    const [message] = lab.sandbox.messages.list();
    expect(message).toMatchObject({
      user: MAILBOX,
      reversePath: MAILBOX,
      messageId: submission.messageId,
      subject: expect.stringMatching(/^Postern test: billing, 20\d\d-/),
    });
    expect(message?.forwardPaths.map(({ address }) => address)).toEqual([TO]);
  });

  it('goes as the shared mailbox where a delegate signs in', async () => {
    const auth = { refreshToken: lab.refreshToken('relay@sandbox.test') };
    const submission = await send({ account: { mailbox: 'noreply@sandbox.test', smtpUser: 'relay@sandbox.test' }, auth });
    expect(submission.problem).toBeUndefined();
    expect(lab.sandbox.messages.list()[0]).toMatchObject({ user: 'relay@sandbox.test', reversePath: 'noreply@sandbox.test' });
  });

  const failures = [
    { stage: 'mail', reply: '550 5.7.60 SMTP; Client does not have permissions to send as this sender', problem: 'UPSTREAM_REFUSED' },
    { stage: 'rcpt', reply: '550 5.1.10 RESOLVER.ADR.RecipientNotFound', problem: 'UPSTREAM_REFUSED' },
    { stage: 'data', reply: '451 4.7.0 Temporary server error. Please try again later. PRX4', problem: 'UPSTREAM_DEFERRED' },
    { stage: 'final', reply: '554 5.2.252 SendAsDenied; x not allowed to send as y', problem: 'UPSTREAM_REFUSED' },
    { stage: 'final', reply: '430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed', problem: 'UPSTREAM_DEFERRED' },
  ] as const;

  it.each(failures)('refused at $stage with $reply: the reply and its meaning are told', async ({ stage, reply, problem }) => {
    lab.sandbox.faults.submission.next.push({ stage, kind: 'reply', reply });
    const submission = await send();
    expect(submission).toMatchObject({
      reply,
      problem: { code: problem, cause: expect.stringContaining(reply), remedy: expect.stringMatching(/\w/) },
    });
    expect(lab.sandbox.messages.list()).toEqual([]);
  });

  it('without a token has no reply, and says why', async () => {
    const submission = await send({ auth: { refreshToken: undefined } });
    expect(submission.reply).toBeUndefined();
    expect(submission.problem).toMatchObject({ code: 'TOKEN_MISSING', remedy: expect.stringContaining('postern login billing') });
  });

  it('whose answer is lost may have been delivered, and says so', async () => {
    lab.sandbox.faults.submission.next.push({ stage: 'final', kind: 'drop' });
    expect((await send()).problem?.code).toBe('UPSTREAM_AMBIGUOUS');
  });
});
