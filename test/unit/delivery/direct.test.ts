import { describe, expect, it } from 'vitest';
import type { UpstreamLimits } from '../../../src/core/account.ts';
import { type EpochMs, seconds } from '../../../src/core/clock.ts';
import { queueId, sessionId } from '../../../src/core/ids.ts';
import type { Content, SubmissionStart, SubmissionTransaction } from '../../../src/core/ports/submission.ts';
import { type Upstream, UpstreamError, type UpstreamTransaction } from '../../../src/core/ports/upstream.ts';
import { problem } from '../../../src/core/problem.ts';
import { type Reply, reply } from '../../../src/core/reply.ts';
import { DirectDelivery } from '../../../src/delivery/direct.ts';
import { Calendar } from '../../../src/delivery/calendar.ts';
import { Pacer } from '../../../src/delivery/pacer.ts';
import { Pauses } from '../../../src/delivery/pauses.ts';
import { testAccount, testClient, testProvider } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryPaceStore } from '../../support/memory-pace-store.ts';

/** What the upstream says at each step; an error is thrown. */
interface Script {
  readonly mail?: Reply | Error;
  readonly rcpt?: readonly (Reply | Error)[];
  readonly data?: Reply | Error;
  readonly final?: Reply | Error;
}

function say(answer: Reply | Error): Promise<Reply> {
  return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
}

function scriptedUpstream(script: Script) {
  const seen: string[] = [];
  const rcpt = [...(script.rcpt ?? [])];
  const transaction: UpstreamTransaction = {
    upstream: 'smtp.lab.test:587',
    user: 'billing@postern.test',
    addForwardPath: ({ address }) => {
      seen.push(`RCPT ${address}`);
      return say(rcpt.shift() ?? reply(250, '2.1.5', 'Recipient OK'));
    },
    startContent: () => say(script.data ?? reply(354, undefined, 'Go ahead')),
    submitContent: async (chunks) => {
      for await (const chunk of chunks) seen.push(Buffer.from(chunk).toString());
      seen.push('.');
      return say(script.final ?? reply(250, '2.0.0', 'OK <1@exchange> [Hostname=x]'));
    },
    abandon: () => void seen.push('abandon'),
  };
  const upstream: Upstream = {
    begin: async () => {
      const answer = await say(script.mail ?? reply(250, '2.1.0', 'Sender OK'));
      return answer.code === 250 ? { reply: answer, transaction } : { reply: answer };
    },
    relay: () => Promise.reject(new Error('direct delivery goes step by step')),
  };
  return { upstream, seen };
}

const start: SubmissionStart = {
  queueId: queueId(1_700_000_000_000 as EpochMs, new Uint8Array(7)),
  origin: { sessionId: sessionId(1_700_000_000_000 as EpochMs, new Uint8Array(7)), client: testClient(), peer: '127.0.0.1' },
  reversePath: 'billing@postern.test',
  parameters: { isSmtpUtf8: false, isRequireTls: false },
};

function content(...texts: string[]): Content {
  return {
    messageId: '<m@postern.test>',
    chunks: (async function* () {
      for (const text of texts) yield await Promise.resolve(Buffer.from(text));
    })(),
  };
}

async function delivery(script: Script, limits: Partial<UpstreamLimits> = {}) {
  const { upstream, seen } = scriptedUpstream(script);
  const clock = new FakeClock();
  const watched: string[] = [];
  const log = new MemoryLog();
  const account = testAccount({ provider: testProvider({ limits: { ...testProvider().limits, ...limits } }) });
  const pauses = new Pauses(clock);
  const pacer = await Pacer.open({ store: new MemoryPaceStore(), clock, calendar: new Calendar(clock), log });
  const submission = new DirectDelivery({
    accounts: new Map([[account.name, account]]),
    upstream,
    clock,
    pacer,
    pauses,
    patience: seconds(45),
    log,
    explain: (stage) => problem('UPSTREAM_REFUSED', `refused at ${stage}`),
    watch: {
      relayed: (name) => void watched.push(`${name} relayed`),
      failed: (name, { code, cause }) => void watched.push(`${name} ${code} ${cause}`),
    },
  });
  return { submission, seen, log, watched, clock, pauses };
}

async function open(script: Script): Promise<{ transaction: SubmissionTransaction; seen: string[]; log: MemoryLog; watched: string[] }> {
  const { submission, seen, log, watched } = await delivery(script);
  const { transaction } = await submission.begin(start);
  if (transaction === undefined) throw new Error('MAIL was refused');
  return { transaction, seen, log, watched };
}

const lost = new UpstreamError('content', problem('UPSTREAM_LOST'), reply(451, '4.4.2', 'Connection to the provider lost'));

describe('direct delivery', () => {
  it("says 250 with the upstream's text and our queue id, and logs one line", async () => {
    const { transaction, seen, log } = await open({});
    expect(await transaction.addForwardPath({ address: 'a@example.test' })).toMatchObject({ code: 250, enhancedCode: '2.1.5' });
    expect(await transaction.prepareContent()).toBeUndefined();
    const answer = await transaction.submitContent(content('Subject: x\r\n\r\n', 'body\r\n'));
    expect(answer).toMatchObject({ code: 250, enhancedCode: '2.0.0', text: [`OK <1@exchange> [Hostname=x] [postern ${start.queueId}]`] });
    expect(seen).toEqual(['RCPT a@example.test', 'Subject: x\r\n\r\n', 'body\r\n', '.']);
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]).toMatchObject({
      level: 'info',
      event: 'message-relayed',
      account: 'billing',
      client: 'erp',
      user: 'billing@postern.test',
      messageId: '<m@postern.test>',
      size: 20,
      forwardPaths: ['a@example.test'],
    });
  });

  it('leaves a line as it was, whoever is accepted after it', async () => {
    const { transaction, log } = await open({ rcpt: [reply(250, undefined, 'OK'), lost, reply(250, undefined, 'OK')] });
    for (const address of ['a@example.test', 'b@example.test', 'c@example.test']) await transaction.addForwardPath({ address });
    expect(log.lines.map(({ forwardPaths }) => forwardPaths)).toEqual([['a@example.test']]);
  });

  it.each([
    ['MAIL', { mail: reply(550, '5.1.8', 'Access denied, bad outbound sender') }, 550, '5.1.8'],
    ['MAIL, with 421', { mail: reply(421, '4.3.2', 'Service not active') }, 451, '4.3.2'],
    [
      'MAIL, unreachable',
      { mail: new UpstreamError('connect', problem('UPSTREAM_UNREACHABLE'), reply(451, '4.4.1', 'No route')) },
      451,
      '4.4.1',
    ],
    ['MAIL, by a defect', { mail: new TypeError('x is not a function') }, 451, '4.3.0'],
  ])('passes on a refusal of %s', async (_name, script, code, enhancedCode) => {
    const { submission, log } = await delivery(script);
    const begun = await submission.begin(start);
    expect(begun.transaction).toBeUndefined();
    expect(begun.reply).toMatchObject({ code, enhancedCode });
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]?.problem?.remedy).toMatch(/\w/);
    expect(log.lines[0]).toMatchObject({ account: 'billing', client: 'erp' });
  });

  it('answers three recipients with the three answers of the upstream', async () => {
    const { transaction } = await open({
      rcpt: [reply(250, '2.1.5', 'ok'), reply(550, '5.1.10', 'not found'), reply(452, '4.5.3', 'too many')],
    });
    const answers = [];
    for (const address of ['a@x.test', 'b@x.test', 'c@x.test']) answers.push(await transaction.addForwardPath({ address }));
    expect(answers.map(({ code, enhancedCode }) => `${code} ${enhancedCode}`)).toEqual(['250 2.1.5', '550 5.1.10', '452 4.5.3']);
  });

  it('passes on a refusal of DATA instead of 354', async () => {
    const { transaction } = await open({ data: reply(451, '4.7.0', 'Temporary server error') });
    expect(await transaction.prepareContent()).toMatchObject({ code: 451, enhancedCode: '4.7.0' });
  });

  it.each([
    ['a refusal', reply(554, '5.2.252', 'SendAsDenied'), 554],
    ['a lost connection', lost, 451],
    ['a nonsensical 354', reply(354, undefined, 'again?'), 451],
  ])('answers end-of-data with %s', async (_name, final, code) => {
    const { transaction, log } = await open({ final });
    expect(await transaction.submitContent(content('x\r\n'))).toMatchObject({ code });
    expect(log.of('message-relayed')).toEqual([]);
    expect(log.lines[0]?.problem).toBeDefined();
  });

  it("lets the application's own failure through, so that the listener answers it", async () => {
    const { transaction, seen } = await open({});
    const vanished = new Error('client gone');
    const chunks = (async function* (): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from('x\r\n'));
      throw vanished;
    })();
    await expect(transaction.submitContent({ messageId: '<m>', chunks })).rejects.toBe(vanished);
    expect(seen).not.toContain('.');
  });
});

describe('whoever watches the accounts hears', () => {
  it('of a message that got through, and of a recipient that did not', async () => {
    const { transaction, watched } = await open({ rcpt: [reply(250, '2.1.5', 'ok'), reply(550, '5.1.10', 'not found')] });
    for (const address of ['a@x.test', 'b@x.test']) await transaction.addForwardPath({ address });
    await transaction.prepareContent();
    await transaction.submitContent(content('x\r\n'));
    expect(watched).toEqual(['billing UPSTREAM_REFUSED refused at rcpt', 'billing relayed']);
  });

  it('of a session that could not be had', async () => {
    const what = problem('UPSTREAM_SMTP_AUTH_DISABLED', '535 5.7.139');
    const { submission, watched } = await delivery({ mail: new UpstreamError('auth', what, reply(454, '4.7.0', 'no')) });
    await submission.begin(start);
    expect(watched).toEqual(['billing UPSTREAM_SMTP_AUTH_DISABLED 535 5.7.139']);
  });

  it('nothing of a defect of ours', async () => {
    const { submission, watched } = await delivery({ mail: new TypeError('x is not a function') });
    await submission.begin(start);
    expect(watched).toEqual([]);
  });
});

describe('the pace of an account', () => {
  it('makes a submission wait for its turn, if that comes soon enough', async () => {
    const { submission, clock } = await delivery({}, { messagesPerMinute: 2 });
    expect((await submission.begin(start)).reply.code).toBe(250);
    await clock.advance(seconds(30));
    expect((await submission.begin(start)).reply.code).toBe(250);
    let third: Reply | undefined;
    const waiting = submission.begin(start).then(({ reply: answer }) => void (third = answer));
    await clock.advance(seconds(29));
    expect(third).toBeUndefined();
    await clock.advance(seconds(1));
    await waiting;
    expect(third).toMatchObject({ code: 250 });
  });

  it.each([
    ['the minute is full for longer than an application waits', { messagesPerMinute: 1 }],
    ['the day is full', { recipientsPerDay: 1 }],
  ])('answers 451 4.3.2 at once where %s', async (_what, limits) => {
    const { submission, log, watched } = await delivery({}, limits);
    const { transaction } = await submission.begin(start);
    await transaction?.addForwardPath({ address: 'a@x.test' });
    await transaction?.prepareContent();
    await transaction?.submitContent(content('x\r\n'));
    const refused = await submission.begin(start);
    expect(refused.transaction).toBeUndefined();
    expect(refused.reply).toMatchObject({ code: 451, enhancedCode: '4.3.2' });
    expect(log.of('message-deferred')[0]?.problem).toMatchObject({
      code: 'UPSTREAM_BUSY',
      cause: expect.stringContaining('pace') as string,
    });
    expect(watched.at(-1)).toContain('UPSTREAM_BUSY');
  });

  it('does not count what never got as far as MAIL', async () => {
    const unreachable = new UpstreamError('connect', problem('UPSTREAM_UNREACHABLE'), reply(451, '4.4.1', 'No'));
    const { submission } = await delivery({ mail: unreachable }, { messagesPerMinute: 1 });
    for (let index = 0; index < 3; index += 1) expect((await submission.begin(start)).reply).toMatchObject({ enhancedCode: '4.4.1' });
  });

  it('lets nobody wait while the process ends', async () => {
    const { submission, pauses } = await delivery({}, { messagesPerMinute: 1 });
    await submission.begin(start);
    const waiting = submission.begin(start);
    pauses.endAll();
    expect((await waiting).reply).toMatchObject({ code: 451, enhancedCode: '4.3.2' });
  });
});
