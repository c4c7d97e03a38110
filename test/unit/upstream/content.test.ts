import { describe, expect, it } from 'vitest';
import { minutes, seconds } from '../../../src/core/clock.ts';
import { UpstreamError } from '../../../src/core/ports/upstream.ts';
import { contentOf, eventually, failureOf, type Lab, type LabOptions, relay, startLab } from './lab.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A transaction that has got its 354. */
async function ready(options: LabOptions = {}) {
  const lab = await startLab(options);
  const transaction = await lab.open();
  await transaction.addForwardPath({ address: 'to@example.test' });
  expect(await transaction.startContent()).toMatchObject({ code: 354 });
  const [session] = lab.server.sessions;
  if (session === undefined) throw new Error('no session');
  return { lab, transaction, session };
}

/** Chunks that are there when the test says so. */
function pushable() {
  const waiting: ((result: IteratorResult<Uint8Array>) => void)[] = [];
  const state = { isStopped: false, asked: 0 };
  const chunks: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: () =>
        new Promise((resolve) => {
          state.asked += 1;
          waiting.push(resolve);
        }),
      return: () => {
        state.isStopped = true;
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
  return {
    chunks,
    state,
    push: (text: string) => waiting.shift()?.({ done: false, value: Buffer.from(text) }),
    end: () => waiting.shift()?.({ done: true, value: undefined }),
  };
}

async function gone(lab: Lab): Promise<void> {
  await lab.server.until(() => lab.server.open === 0);
  expect(lab.server.messages).toEqual([]);
  expect(lab.server.sessions.some(({ isDotSeen }) => isDotSeen)).toBe(false);
}

describe('the final reply', () => {
  it.each([
    ['250 2.6.0 <x@mail.test> Queued mail for delivery', 250, '2.6.0'],
    ['550 5.7.60 SMTP; Client does not have permissions to send as this sender', 550, '5.7.60'],
    ['554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException', 554, '5.2.0'],
    ['552 5.3.4 Message size exceeds fixed maximum message size', 552, '5.3.4'],
    ['452 4.5.3 Too many recipients', 452, '4.5.3'],
    ['451 4.7.500 Server busy', 451, '4.7.500'],
  ])('U06 %s is passed on as it is, and the session goes on', async (content, code, enhancedCode) => {
    const lab = await startLab({ script: { content } });
    expect(await relay(await lab.open())).toMatchObject({ code, enhancedCode });
    expect(await relay(await lab.open())).toMatchObject({ code, enhancedCode });
    expect(lab.server.sessions).toHaveLength(1);
  });

  it('U09 is waited for, nearly ten minutes', async () => {
    const clock = new FakeClock();
    let answer: (reply: string) => void = () => {};
    const content = (): Promise<string> => new Promise((resolve) => (answer = resolve));
    const { lab, transaction } = await ready({ clock, script: { content } });
    const replied = transaction.submitContent(contentOf('x\r\n'));
    await lab.server.until(() => lab.server.messages.length === 1);
    await clock.advance(seconds(590));
    answer('250 2.0.0 At last');
    expect(await replied).toMatchObject({ code: 250, text: ['At last'] });
    expect(lab.server.messages).toHaveLength(1);
  });

  it('that does not come in ten minutes leaves the message in doubt', async () => {
    const clock = new FakeClock();
    const { lab, transaction } = await ready({ clock, script: { content: 'silence' } });
    const failed = failureOf(transaction.submitContent(contentOf('x\r\n')));
    await lab.server.until(() => lab.server.messages.length === 1);
    await clock.advance(minutes(10));
    expect(await failed).toMatchObject({
      stage: 'final-reply',
      problem: { code: 'UPSTREAM_AMBIGUOUS' },
      reply: { code: 451, enhancedCode: '4.4.2' },
    });
  });

  it.each(['close', 'reset', '250OK', '999 what'] as const)('U08 that is %s leaves the message in doubt', async (content) => {
    const { lab, transaction } = await ready({ script: { content } });
    const error = await failureOf(transaction.submitContent(contentOf('x\r\n')));
    expect(error).toMatchObject({
      stage: 'final-reply',
      problem: { code: 'UPSTREAM_AMBIGUOUS' },
      reply: { code: 451, enhancedCode: '4.4.2' },
    });
    expect(error.reply.text[0]).toContain('may have been delivered');
    expect(lab.server.messages).toHaveLength(1);
  });

  it('cut in the middle leaves the message in doubt', async () => {
    const { transaction } = await ready({ script: { content: { say: Buffer.from('250 2.0.0 O'), ends: 'close' } } });
    expect(await failureOf(transaction.submitContent(contentOf('x\r\n')))).toMatchObject({
      stage: 'final-reply',
      problem: { code: 'UPSTREAM_AMBIGUOUS' },
    });
  });

  it('that is a 354 leaves the message in doubt', async () => {
    const { transaction } = await ready({ script: { content: '354 More' } });
    expect(await failureOf(transaction.submitContent(contentOf('x\r\n')))).toMatchObject({
      stage: 'final-reply',
      problem: { code: 'UPSTREAM_AMBIGUOUS' },
    });
  });

  it('counts although the server goes on talking, but the session is not used again', async () => {
    const lab = await startLab({ script: { content: '250 2.0.0 OK\r\n250 2.0.0 OK again' } });
    expect(await relay(await lab.open())).toMatchObject({ code: 250, text: ['OK'] });
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.server.sessions).toHaveLength(2);
  });
});

describe('content', () => {
  it('is sent as it is, chunk by chunk, before the source has ended', async () => {
    const { lab, transaction, session } = await ready();
    const source = pushable();
    const replied = transaction.submitContent(source.chunks);
    source.push('Subject: early\r\n');
    await lab.server.until(() => session.content.length === 16);
    expect(session.isDotSeen).toBe(false);
    transaction.abandon();
    await failureOf(replied);
    await gone(lab);
  });

  it('may be nothing at all', async () => {
    const { lab, transaction } = await ready();
    expect(await transaction.submitContent(contentOf())).toMatchObject({ code: 250 });
    expect(lab.server.messages.map(String)).toEqual(['']);
  });

  it('that does not end its last line is never ended by a dot', async () => {
    const { lab, transaction } = await ready();
    await expect(transaction.submitContent(contentOf('no line end'))).rejects.toThrow(/CRLF/);
    await gone(lab);
  });

  it.each([0, 1, 5])('whose source fails after %i chunks is cut off without a dot', async (good) => {
    const { lab, transaction } = await ready();
    const failure = new Error('the application vanished');
    const source = (async function* () {
      for (let count = 0; count < good; count += 1) yield await Promise.resolve(Buffer.from('line\r\n'));
      throw failure;
    })();
    await expect(transaction.submitContent(source)).rejects.toBe(failure);
    await gone(lab);
    await eventually(() => lab.pool.connections('billing') === 0);
  });

  it('is given up by abandon, without a dot, and the source is told', async () => {
    const { lab, transaction } = await ready();
    const source = pushable();
    const failed = failureOf(transaction.submitContent(source.chunks));
    source.push('half\r\n');
    transaction.abandon();
    expect(await failed).toMatchObject({ stage: 'content', problem: { code: 'SUBMISSION_ABORTED' } });
    expect(source.state.isStopped).toBe(true);
    await gone(lab);
  });

  it('once ended by the dot is not given up: its reply still comes', async () => {
    let answer: (reply: string) => void = () => {};
    const content = (): Promise<string> => new Promise((resolve) => (answer = resolve));
    const { lab, transaction } = await ready({ script: { content } });
    const replied = transaction.submitContent(contentOf('x\r\n'));
    await lab.server.until(() => lab.server.messages.length === 1);
    transaction.abandon();
    answer('250 2.0.0 OK');
    expect(await replied).toMatchObject({ code: 250 });
  });
});

describe('an upstream that speaks or goes in the middle of the content', () => {
  it('with a refusal is believed, and gets no dot', async () => {
    const { lab, transaction, session } = await ready();
    const source = pushable();
    const replied = transaction.submitContent(source.chunks);
    source.push('x\r\n');
    await lab.server.until(() => session.content.length > 0);
    session.say('552 5.3.4 Too big');
    expect(await replied).toMatchObject({ code: 552, enhancedCode: '5.3.4' });
    expect(source.state.isStopped).toBe(true);
    await gone(lab);
  });

  it('with an acceptance is not believed', async () => {
    const { lab, transaction, session } = await ready();
    const source = pushable();
    const failed = failureOf(transaction.submitContent(source.chunks));
    source.push('x\r\n');
    await lab.server.until(() => session.content.length > 0);
    session.say('250 2.0.0 OK');
    expect(await failed).toMatchObject({ stage: 'content', problem: { code: 'UPSTREAM_PROTOCOL' }, reply: { code: 451 } });
    await gone(lab);
  });

  it('by ending the connection, while the source is slow, is noticed at once', async () => {
    const { transaction, session, lab } = await ready();
    const source = pushable();
    const failed = failureOf(transaction.submitContent(source.chunks));
    source.push('x\r\n');
    await lab.server.until(() => session.content.length > 0);
    session.end();
    expect(await failed).toMatchObject({
      stage: 'content',
      problem: { code: 'UPSTREAM_LOST' },
      reply: { code: 451, enhancedCode: '4.4.2' },
    });
    expect(source.state.isStopped).toBe(true);
    await gone(lab);
  });

  it.each([
    ['250-2.0.0 Nearly', '250 2.0.0 OK'],
    ['552-5.3.4 Too', '552 5.3.4 big'],
  ])('with a reply that begins before the dot (%s) gets no dot', async (first, rest) => {
    const { transaction, session, lab } = await ready();
    const source = pushable();
    const settled = transaction.submitContent(source.chunks).then(
      (reply) => reply.code,
      (error: unknown) => (error instanceof UpstreamError ? error.stage : error),
    );
    source.push('x\r\n');
    await lab.server.until(() => session.content.length > 0);
    session.say(first);
    await new Promise((resolve) => setTimeout(resolve, 50)); // Nothing shows that half a reply has arrived.
    source.end();
    session.say(rest);
    expect(await settled).toBe(first.startsWith('552') ? 552 : 'content');
    await gone(lab);
  });
});

describe('an upstream that takes nothing', () => {
  it('R05 holds the source back: no more than the buffers of the connection is read', async () => {
    const { transaction, lab, session } = await ready({ isStalling: true, isImplicit: true });
    const chunk = Buffer.from('0123456789abcdef'.repeat(1023).concat('0123456789abcd\r\n'));
    let pulled = 0;
    let wait: () => void = () => {};
    const idle = new Promise<void>((resolve) => (wait = resolve));
    const source = (async function* () {
      while (pulled < 4_096) {
        pulled += 1;
        // Long after the last pull the transfer has come to a stop.
        const mark = pulled;
        setTimeout(() => mark === pulled && wait(), 300);
        yield await Promise.resolve(chunk);
      }
    })();
    const failed = failureOf(transaction.submitContent(source));
    await idle;
    // 64 MB are on offer. What the kernel buffers on loopback is some MB; ours hold two chunks.
    expect(pulled * chunk.length).toBeLessThan(16 * 1024 * 1024);
    transaction.abandon();
    expect(await failed).toMatchObject({ stage: 'content' });
    session.resume();
    await gone(lab);
  });

  it('for three minutes is given up', async () => {
    const clock = new FakeClock();
    const { transaction, lab, session } = await ready({ clock, isStalling: true });
    const source = (async function* () {
      for (;;) {
        yield await Promise.resolve(Buffer.alloc(1024 * 1024, 'abcdefghijklmn\r\n'));
      }
    })();
    const failed = failureOf(transaction.submitContent(source));
    await eventually(() => clock.pendingTimers === 1); // That of the first full buffer; it starts again while the kernel still takes some.
    const state = { isOver: false };
    void failed.then(() => (state.isOver = true));
    while (!state.isOver) await clock.advance(minutes(3));
    expect(await failed).toMatchObject({
      stage: 'content',
      problem: { code: 'UPSTREAM_TIMEOUT' },
      reply: { code: 451, enhancedCode: '4.4.2' },
    });
    session.resume();
    await gone(lab);
  });
});

describe('a transaction', () => {
  it('in which all recipients were refused ends without content, though DATA was pipelined and accepted', async () => {
    const lab = await startLab({ script: { rcpt: '550 5.1.1 Unknown', content: '554 5.5.1 No valid recipients' } });
    const transaction = await lab.open();
    const [rcpt, data] = await Promise.all([transaction.addForwardPath({ address: 'x@y.test' }), transaction.startContent()]);
    expect(rcpt).toMatchObject({ code: 550, enhancedCode: '5.1.1' });
    expect(data).toMatchObject({ code: 554, enhancedCode: '5.5.1' });
    expect(await lab.open()).toBeDefined();
    expect(lab.server.sessions).toHaveLength(1);
  });

  it('whose DATA is refused is reset, and the session used again', async () => {
    const lab = await startLab({ script: { data: (_line, count) => (count === 1 ? '451 4.3.0 Later' : '354 Go') } });
    expect(await relay(await lab.open())).toMatchObject({ code: 451, enhancedCode: '4.3.0' });
    expect(await relay(await lab.open())).toMatchObject({ code: 250 });
    expect(lab.server.sessions).toHaveLength(1);
    expect(lab.server.sessions[0]?.lines).toContain('RSET');
  });

  it('whose DATA is answered with 250 is over', async () => {
    const lab = await startLab({ script: { data: '250 2.0.0 OK' } });
    const transaction = await lab.open();
    await transaction.addForwardPath({ address: 'x@y.test' });
    await expect(transaction.startContent()).rejects.toMatchObject({ stage: 'data' });
    await gone(lab);
  });

  it('keeps its replies in order, with those of our own among them', async () => {
    const lab = await startLab({ script: { rcpt: (line) => `250 2.1.5 ${line.slice(8)}` } });
    const transaction = await lab.open();
    const addresses = Array.from({ length: 100 }, (_, index) => (index % 10 === 3 ? `bad ${index}@x.test` : `to${index}@x.test`));
    const replies = await Promise.all(addresses.map((address) => transaction.addForwardPath({ address })));
    const expected = (index: number): string => (index % 10 === 3 ? 'Bad recipient address syntax' : `<to${index}@x.test>`);
    for (const [index, reply] of replies.entries()) expect(reply.text).toEqual([expected(index)]);
    // All ninety travelled in one batch.
    expect(lab.server.sessions[0]?.batches.at(-1)).toHaveLength(90);
  });

  it('cut by the server leaves no promise unanswered', async () => {
    const lab = await startLab({
      script: { rcpt: (_line, count) => (count === 2 ? { say: '250 2.1.5 OK', ends: 'reset' } : '250 2.1.5 OK') },
    });
    const transaction = await lab.open();
    const asked = [1, 2, 3, 4].map((number) => transaction.addForwardPath({ address: `to${number}@x.test` }));
    const data = transaction.startContent();
    const outcomes = await Promise.allSettled([...asked, data]);
    expect(outcomes.map(({ status }) => status).slice(2)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(await failureOf(data)).toMatchObject({ stage: 'data', problem: { code: 'UPSTREAM_LOST' } });
    expect(await failureOf(transaction.addForwardPath({ address: 'late@x.test' }))).toMatchObject({ stage: 'rcpt' });
    await eventually(() => lab.pool.connections('billing') === 0);
  });

  it('ended by a 421 passes that on, and what follows fails', async () => {
    const lab = await startLab({ script: { rcpt: '421 4.3.2 Going down' } });
    const transaction = await lab.open();
    const [one, two] = [transaction.addForwardPath({ address: 'a@x.test' }), transaction.addForwardPath({ address: 'b@x.test' })];
    expect(await one).toMatchObject({ code: 421 });
    expect(await failureOf(two)).toMatchObject({ stage: 'rcpt', reply: { code: 451 } });
    await gone(lab);
  });
});
