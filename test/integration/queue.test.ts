/** Modes auto and queue against the sandbox: outages while messages come in, and what is there when they are over. */
import { afterEach, describe, expect, it } from 'vitest';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { submit } from '../support/submit.ts';

const LOGIN = { user: 'erp', pass: 'local-pässword 1' };
const QUEUED = /^250 2\.0\.0 Queued for delivery \[postern [0-9A-Z]{16}\]$/;
const running: RelayOnSandbox[] = [];

async function relay(changes: Parameters<typeof startRelayOnSandbox>[0] = {}): Promise<RelayOnSandbox> {
  const started = await startRelayOnSandbox({ mode: 'auto', ...changes });
  running.push(started);
  return started;
}

afterEach(async () => {
  for (const started of running.splice(0)) await started.close();
});

const send = ({ port }: RelayOnSandbox, subject: string, to: string | string[] = 'someone@example.test') =>
  submit({ port, login: LOGIN, to, content: `Subject: ${subject}\r\n\r\nx\r\n` });

const subjects = ({ sandbox }: RelayOnSandbox): (string | undefined)[] => sandbox.messages.list().map(({ subject }) => subject);

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}

const numbered = Array.from({ length: 20 }, (_, index) => `message ${String(index).padStart(2, '0')}`);

/** All at 250, one after another. */
async function sendAll(started: RelayOnSandbox): Promise<void> {
  for (const subject of numbered) expect(await send(started, subject)).toMatchObject({ code: 250 });
}

describe('auto', () => {
  it("gives the application the provider's own 250, and leaves nothing on disk", async () => {
    const started = await relay();
    expect((await send(started, 'hello')).response).toMatch(/^250 2\.0\.0 OK <.*\[postern [0-9A-Z]{16}\]$/);
    expect(subjects(started)).toEqual(['hello']);
    expect(started.log.of('message-relayed')).toHaveLength(1);
    expect(started.log.of('message-queued')).toEqual([]);
  });

  it('passes refusals on', async () => {
    const started = await relay();
    started.sandbox.faults.submission.next.push({ stage: 'final', kind: 'reply', reply: '554 5.2.252 SendAsDenied; no' });
    expect((await send(started, 'no')).response).toMatch(/^554 5\.2\.252 SendAsDenied; no/);
    expect(subjects(started)).toEqual([]);
  });

  it('takes everything while the upstream is away, and delivers it once and in order when it is back', async () => {
    const started = await relay({ limits: { connections: 1 } });
    started.sandbox.faults.submission.next.push({ stage: 'connect', kind: 'drop', times: 10_000 });
    await sendAll(started);
    expect(subjects(started)).toEqual([]);
    started.sandbox.faults.submission.next.length = 0;
    await until(() => subjects(started).length === numbered.length);
    expect(subjects(started)).toEqual(numbered);
    expect(started.log.of('account-backing-off').some(({ level }) => level === 'warn')).toBe(true);
    expect(started.log.of('account-open')).toHaveLength(1);
  });

  it('takes everything while there is no token, and delivers it as soon as there is one', async () => {
    const started = await relay({ limits: { connections: 1 } });
    started.sandbox.mint.revokeAccessTokens();
    started.sandbox.faults.token.next.push({ kind: 'status', status: 503, times: 10_000 });
    await sendAll(started);
    expect(subjects(started)).toEqual([]);
    started.sandbox.faults.token.next.length = 0;
    await until(() => subjects(started).length === numbered.length);
    expect(subjects(started)).toEqual(numbered);
  });

  it('holds the account while somebody has to sign in again, over a restart, and goes on once that is done', async () => {
    const started = await relay({ limits: { connections: 1 } });
    started.sandbox.mint.revokeAccessTokens();
    started.sandbox.mint.revokeRefreshTokens();
    await sendAll(started);
    expect(started.log.of('account-held')[0]).toMatchObject({ level: 'error', problem: { code: 'TOKEN_REAUTH_REQUIRED' } });
    await started.restart();
    expect(started.log.of('queue-opened').at(-1)?.message).toContain('the queue holds 20 messages');
    expect(subjects(started)).toEqual([]);
    await started.restart({ refreshToken: started.sandbox.mint.refreshToken('billing@sandbox.test') });
    await until(() => subjects(started).length === numbered.length);
    expect(subjects(started)).toEqual(numbered);
  });

  it('answers when the budget is spent; the attempt goes on, and the message arrives once', async () => {
    const started = await relay({ delivery: { budget: '1s' } });
    started.sandbox.faults.submission.next.push({ stage: 'final', kind: 'delay', milliseconds: 2_500 });
    expect((await send(started, 'slow')).response).toMatch(QUEUED);
    expect(started.log.of('message-relayed')).toEqual([]);
    await until(() => started.log.of('message-relayed').length === 1);
    await started.restart();
    expect(started.log.of('queue-opened').at(-1)?.message).toBe('the queue holds 0 messages');
    expect(subjects(started)).toEqual(['slow']);
  });

  it('delivers to those who are accepted, and reports those who are not', async () => {
    const started = await relay();
    started.sandbox.faults.submission.next.push({ stage: 'rcpt', address: 'gone@*', kind: 'reply', reply: '550 5.1.10 RecipientNotFound' });
    expect((await send(started, 'both', ['a@example.test', 'gone@example.test'])).response).toMatch(QUEUED);
    await until(() => subjects(started).length === 2);
    const [message, report] = started.sandbox.messages.list();
    expect(message?.forwardPaths.map(({ address }) => address)).toEqual(['a@example.test']);
    expect(report).toMatchObject({ reversePath: '', subject: 'Not delivered: both' });
    expect(report?.forwardPaths).toEqual([{ address: 'billing@sandbox.test', parameters: 'NOTIFY=NEVER' }]);
    expect(started.sandbox.messages.content(report?.id ?? '')?.toString()).toMatch(
      /Final-Recipient: rfc822; gone@example\.test\r\nAction: failed/,
    );
  });

  it('keeps a message for the window of a quota, although the reply is 5yz', async () => {
    const started = await relay();
    started.sandbox.faults.submission.recipientsPerDay = 1;
    expect(await send(started, 'first')).toMatchObject({ code: 250 });
    expect((await send(started, 'second')).response).toMatch(QUEUED);
    expect((await send(started, 'third')).response).toMatch(QUEUED);
    expect(started.log.of('account-quota')[0]?.problem).toMatchObject({ code: 'UPSTREAM_QUOTA' });
    expect(subjects(started)).toEqual(['first']);
  });

  it('flags a message whose confirmation was lost, and says that it may be delivered twice', async () => {
    const started = await relay();
    started.sandbox.faults.submission.next.push({ stage: 'final', kind: 'drop' });
    expect((await send(started, 'lost')).response).toMatch(QUEUED);
    const [line] = started.log.of('message-deferred');
    expect(line).toMatchObject({ level: 'warn', problem: { code: 'UPSTREAM_AMBIGUOUS' } });
    expect(line?.message).toMatch(/^message <[^>]+@sandbox\.test> may have been delivered, and may be delivered twice$/);
  });
});

describe('the end of the process, while the upstream takes its time', () => {
  it('lets applications go with 250, and the next process delivers what was not delivered', async () => {
    const started = await relay({ limits: { connections: 2 } });
    started.sandbox.faults.submission.next.push({ stage: 'mail', kind: 'stall', times: 2 });
    const answers = [send(started, 'a'), send(started, 'b'), send(started, 'c')];
    await until(() => started.sandbox.statistics.submission.authAccepted === 2);
    await started.restart();
    for (const answer of await Promise.all(answers)) expect(answer.response).toMatch(/^250/);
    await until(() => subjects(started).length === 3);
    expect(new Set(subjects(started))).toEqual(new Set(['a', 'b', 'c']));
  });
});

describe('queue', () => {
  it('says 250 once the message is on disk, and delivers then', async () => {
    const started = await relay({ mode: 'queue' });
    expect((await send(started, 'later')).response).toMatch(QUEUED);
    await until(() => subjects(started).length === 1);
    await started.restart();
    expect(started.log.of('queue-opened').at(-1)?.message).toBe('the queue holds 0 messages');
  });
});
