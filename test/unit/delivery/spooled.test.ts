/** What an application reads, and what stays behind, in modes auto and queue. */
import { describe, expect, it } from 'vitest';
import { milliseconds, minutes, seconds } from '../../../src/core/clock.ts';
import { ProblemError, problem } from '../../../src/core/problem.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Latch } from '../../support/latch.ts';
import { MemorySpool } from '../../support/memory-spool.ts';
import { failsAt, refusesAt, refusesRecipients, takesAll } from '../../support/scripted-upstream.ts';
import { contentOf, Lab, START } from './lab.ts';

const QUEUED = /^250 2\.0\.0 Queued for delivery \[postern Q\d{15}\]$/;

describe('auto, with an upstream that answers', () => {
  it("says the upstream's 250 with our id, and nothing was ever kept", async () => {
    const lab = await Lab.open();
    const accepted: string[] = [];
    lab.spool.onChange(({ kind }) => accepted.push(kind));
    expect(await lab.submitted({ to: ['a@x.test', 'b@x.test'] })).toMatch(/^250 2\.6\.0 Taken \[postern Q\d{15}\]$/);
    expect(lab.recipients).toEqual(['a@x.test', 'b@x.test']);
    expect(accepted).toEqual([]);
    expect((await lab.spool.stats()).entries).toBe(0);
    expect(lab.log.of('message-relayed')).toHaveLength(1);
    expect(lab.log.of('message-relayed')[0]).toMatchObject({ account: 'billing', client: 'erp', attempt: 1, peer: '127.0.0.1', size: 63 });
  });

  it.each([
    ['one recipient', ['a@x.test'], refusesRecipients({ 'a@x.test': '550 5.1.10 Unknown' }), '550 5.1.10 Unknown'],
    [
      'several',
      ['a@x.test', 'b@x.test'],
      refusesRecipients({ 'a@x.test': '550 5.1.1 First', 'b@x.test': '554 5.7.1 Second' }),
      '550 5.1.1 First',
    ],
    ['the sender', ['a@x.test'], refusesAt('mail', '550 5.7.60 Not as this sender'), '550 5.7.60 Not as this sender'],
    ['the content', ['a@x.test', 'b@x.test'], refusesAt('final-reply', '554 5.2.252 SendAsDenied'), '554 5.2.252 SendAsDenied'],
  ])('passes a refusal of %s on, and keeps nothing', async (_what, to, script, answer) => {
    const lab = await Lab.open();
    lab.upstream.script = script;
    expect(await lab.submitted({ to })).toBe(answer);
    expect(await lab.entries()).toEqual([]);
    expect(lab.upstream.delivered).toEqual([]);
    expect(lab.log.of('message-refused')).toHaveLength(to.length);
    expect(lab.log.of('message-refused')[0]?.problem?.remedy).toMatch(/\w/);
  });

  it.each([
    ['connect', failsAt('connect', 'UPSTREAM_UNREACHABLE')],
    ['token', failsAt('token', 'TOKEN_ENDPOINT_BUSY')],
    ['MAIL', refusesAt('mail', '451 4.7.500 Server busy')],
    ['RCPT', refusesAt('rcpt', '450 4.2.1 Mailbox busy')],
    ['content', failsAt('content')],
    ['final reply', refusesAt('final-reply', '451 4.3.0 Later')],
    ['a reply that means a quota, although it is 5yz', refusesAt('final-reply', '554 5.2.0 SubmissionQuotaExceededException')],
    [
      'a reply that means the configuration, although it is 5yz',
      refusesAt('final-reply', '554 5.2.2 mailbox full; QuotaExceededException'),
    ],
  ])('keeps what cannot go now: %s', async (_what, script) => {
    const lab = await Lab.open();
    lab.upstream.next(script);
    expect(await lab.submitted()).toMatch(QUEUED);
    expect(await lab.entries()).toHaveLength(1);
    expect(lab.recipients).toEqual([]);
    await lab.clock.advance(minutes(90));
    expect(lab.recipients).toEqual(['anna@example.test']);
    expect(await lab.entries()).toEqual([]);
  });

  it('keeps what found no connection free, and tries it again at once', async () => {
    const lab = await Lab.open();
    lab.upstream.next(failsAt('wait', 'UPSTREAM_BUSY'));
    expect(await lab.submitted()).toMatch(QUEUED);
    await lab.clock.advance(seconds(2));
    expect(lab.recipients).toEqual(['anna@example.test']);
  });

  it('keeps each recipient apart: delivered, refused and reported, and tried again', async () => {
    const lab = await Lab.open();
    lab.upstream.next(refusesRecipients({ 'b@x.test': '550 5.1.1 Unknown', 'c@x.test': '452 4.2.2 Mailbox full' }));
    expect(await lab.submitted({ to: ['a@x.test', 'b@x.test', 'c@x.test'] })).toMatch(QUEUED);
    await lab.clock.advance(minutes(5));
    expect([...lab.recipients].sort()).toEqual(['a@x.test', 'billing@postern.test', 'c@x.test']);
    const report = lab.upstream.delivered.find(({ address }) => address === 'billing@postern.test');
    expect(report?.content).toMatch(/Final-Recipient: rfc822; b@x\.test\r\nAction: failed/);
    expect(await lab.entries()).toEqual([]);
  });

  it('makes the 250 of a partly refused message durable first', async () => {
    const clock = new FakeClock(START);
    const spool = new MemorySpool(clock);
    const lab = await Lab.open({ clock, spool });
    const { transaction } = await lab.begin();
    lab.upstream.next(refusesRecipients({ 'b@x.test': '452 4.2.2 Mailbox full' }));
    await transaction.addForwardPath({ address: 'a@x.test' });
    await transaction.addForwardPath({ address: 'b@x.test' });
    await transaction.prepareContent();
    spool.failure = new ProblemError(problem('SPOOL_FAILED', 'EIO'));
    expect(await transaction.submitContent(contentOf('x\r\n'))).toMatchObject({ code: 451, enhancedCode: '4.3.0' });
    spool.failure = undefined;
    await lab.clock.advance(minutes(5));
    expect(lab.recipients).toEqual(['a@x.test']);
  });

  it('U08 flags what was lost after the dot, says that it may be delivered twice, and tries again', async () => {
    const lab = await Lab.open();
    lab.upstream.next(failsAt('final-reply', 'UPSTREAM_LOST', true));
    expect(await lab.submitted()).toMatch(QUEUED);
    expect(await lab.entries()).toMatchObject([{ isAmbiguous: true, attempts: 1, messageId: '<m@postern.test>' }]);
    expect(lab.log.of('message-deferred')[0]).toMatchObject({
      level: 'warn',
      messageId: '<m@postern.test>',
      problem: { code: 'UPSTREAM_AMBIGUOUS' },
    });
    expect(lab.log.of('message-deferred')[0]?.message).toContain('may be delivered twice');
    await lab.clock.advance(minutes(1));
    expect(lab.recipients).toEqual(['anna@example.test', 'anna@example.test']);
    expect(lab.log.of('message-ambiguous')).toHaveLength(1);
  });

  it('reports success itself where that was asked for and the upstream will not', async () => {
    const lab = await Lab.open();
    const withoutDsn = async (call: Parameters<typeof takesAll>[0]) => ({ ...(await takesAll(call)), isDsnPassedOn: false });
    lab.upstream.script = withoutDsn;
    expect(await lab.submitted({ to: [{ address: 'a@x.test', notify: ['SUCCESS'] }] })).toMatch(/^250 2\.6\.0 Taken/);
    await lab.clock.advance(seconds(5));
    expect(lab.recipients).toEqual(['a@x.test', 'billing@postern.test']);
    expect(lab.upstream.delivered[1]?.content).toContain('Action: relayed');
  });
});

describe('a report about a message that was tried before it was kept', () => {
  it('tells of success where another recipient is still waited for', async () => {
    const lab = await Lab.open();
    const script = refusesRecipients({ 'b@x.test': '450 4.2.1 Mailbox busy' });
    lab.upstream.next(async (call) => ({ ...(await script(call)), isDsnPassedOn: false }));
    await lab.submitted({ to: [{ address: 'a@x.test', notify: ['SUCCESS'] }, 'b@x.test'] });
    await lab.clock.advance(minutes(2));
    expect([...lab.recipients].sort()).toEqual(['a@x.test', 'b@x.test', 'billing@postern.test']);
    const report = lab.upstream.delivered.find(({ address }) => address === 'billing@postern.test')?.content;
    expect(report).toMatch(/Final-Recipient: rfc822; a@x\.test\r\nAction: relayed/);
    expect(report).not.toContain('b@x.test');
    expect(await lab.entries()).toEqual([]);
  });

  it('names the host that refused a recipient', async () => {
    const lab = await Lab.open();
    lab.upstream.next(refusesRecipients({ 'b@x.test': '550 5.1.1 Unknown' }));
    await lab.submitted({ to: ['a@x.test', 'b@x.test'] });
    await lab.clock.advance(minutes(2));
    const report = lab.upstream.delivered.find(({ address }) => address === 'billing@postern.test')?.content;
    expect(report).toContain('Remote-MTA: dns; smtp.lab.test\r\n');
    expect(report).toContain('smtp.lab.test said: 550 5.1.1 Unknown');
  });
});

describe('auto, with an upstream that takes its time', () => {
  it('answers once the budget is spent, and the attempt goes on and is settled', async () => {
    const lab = await Lab.open();
    const gate = new Latch();
    lab.upstream.next(async (call) => {
      await gate.passed;
      return takesAll(call);
    });
    expect(await lab.submitted()).toMatch(QUEUED);
    expect(await lab.entries()).toMatchObject([{ attempts: 0, isAmbiguous: false }]);
    await lab.clock.advance(minutes(10));
    expect(lab.upstream.calls).toHaveLength(1);
    gate.open();
    await lab.clock.advance(seconds(1));
    expect(lab.recipients).toEqual(['anna@example.test']);
    expect(await lab.entries()).toEqual([]);
    expect(lab.log.of('message-queued')).toHaveLength(1);
  });

  it.each([
    ['refuses it', refusesAt('final-reply', '554 5.6.0 No')],
    ['defers it', refusesAt('final-reply', '451 4.3.0 Later')],
    ['is lost after the dot', failsAt('final-reply')],
    ['is lost before', failsAt('rcpt')],
  ])('and then %s: the entry becomes what the attempt came to', async (_what, script) => {
    const lab = await Lab.open();
    const gate = new Latch();
    lab.upstream.next(async (call) => {
      await gate.passed;
      return script(call);
    });
    expect(await lab.submitted()).toMatch(QUEUED);
    gate.open();
    await lab.clock.advance(minutes(10));
    const reports = lab.upstream.delivered.filter(({ content }) => content.includes('multipart/report'));
    const messages = lab.upstream.delivered.filter(({ content }) => !content.includes('multipart/report'));
    expect(reports.length + messages.length).toBe(1);
    expect(await lab.entries()).toEqual([]);
  });

  it('reads content from the draft where it was begun before the draft was accepted, from the spool where it was not', async () => {
    for (const isBegun of [true, false]) {
      const lab = await Lab.open();
      const gate = new Latch();
      lab.upstream.next(async (call) => {
        if (!isBegun) await gate.passed;
        const text = await call.read();
        if (isBegun) await gate.passed;
        expect(text).toContain('Subject: ');
        return takesAll({ ...call, deliver: async () => undefined });
      });
      expect(await lab.submitted()).toMatch(QUEUED);
      gate.open();
      await lab.clock.advance(seconds(1));
      expect(await lab.entries()).toEqual([]);
    }
  });

  it('is ambiguous after a kill only if the upstream may have had the content', async () => {
    for (const isBegun of [true, false]) {
      const clock = new FakeClock(START);
      const spool = new MemorySpool(clock);
      const lab = await Lab.open({ clock, spool });
      lab.upstream.script = async (call) => {
        if (isBegun) await call.read();
        return new Promise(() => {});
      };
      expect(await lab.submitted()).toMatch(QUEUED);
      await clock.advance(minutes(16)); // The lease is extended: nobody else gets it.
      const [entry] = await lab.entries();
      expect(await spool.claim(entry?.queueId ?? ('' as never), 'other', clock.now())).toBeUndefined();
      lab.delivery.wind();
      const after = await Lab.open({ clock, spool: restarted(spool), isIdle: true });
      expect(await after.entries()).toMatchObject([{ isAmbiguous: isBegun }]);
    }
  });

  it('answers with what the attempt comes to where the spool fails while it goes on', async () => {
    const outcomes = [
      [takesAll, /^250 2\.6\.0/],
      [refusesAt('final-reply', '554 5.6.0 No'), /^554 5\.6\.0/],
      [failsAt('content'), /^451 4\.3\.0/],
    ] as const;
    for (const [script, answer] of outcomes) {
      const clock = new FakeClock(START);
      const spool = new MemorySpool(clock);
      const lab = await Lab.open({ clock, spool });
      const gate = new Latch();
      lab.upstream.next(async (call) => {
        await call.read();
        await gate.passed;
        return script({ ...call, read: async () => '', deliver: async () => undefined });
      });
      const { transaction } = await lab.begin();
      await transaction.addForwardPath({ address: 'a@x.test' });
      await transaction.prepareContent();
      const answered = transaction.submitContent(contentOf('x\r\n'));
      await clock.advance(seconds(1));
      spool.failure = new ProblemError(problem('SPOOL_FAILED', 'EIO'));
      await clock.advance(seconds(20));
      gate.open();
      expect(`${(await answered).code} ${(await answered).enhancedCode}`).toMatch(answer);
      spool.failure = undefined;
      await clock.advance(minutes(10));
      expect(await lab.entries()).toEqual([]);
      expect(lab.upstream.calls).toHaveLength(1);
    }
  });

  it('never delivers a message that the spool refused before its content was asked for', async () => {
    const clock = new FakeClock(START);
    const spool = new MemorySpool(clock);
    const lab = await Lab.open({ clock, spool });
    const gate = new Latch();
    lab.upstream.next(async (call) => {
      await gate.passed;
      return takesAll(call);
    });
    const { transaction } = await lab.begin();
    await transaction.addForwardPath({ address: 'a@x.test' });
    await transaction.prepareContent();
    const answered = transaction.submitContent(contentOf('x\r\n'));
    await clock.advance(seconds(1));
    spool.failure = new ProblemError(problem('SPOOL_FULL'));
    await clock.advance(seconds(20));
    gate.open();
    expect(await answered).toMatchObject({ code: 452, enhancedCode: '4.3.1' });
    await clock.advance(minutes(10));
    expect(lab.recipients).toEqual([]);
  });
});

describe('an application', () => {
  it('N05 that vanishes before end-of-data leaves nothing behind, and nothing goes upstream', async () => {
    const lab = await Lab.open();
    const { transaction } = await lab.begin();
    await transaction.addForwardPath({ address: 'a@x.test' });
    await transaction.prepareContent();
    const vanished = new Error('client gone');
    await expect(transaction.submitContent(contentOf('x\r\n', vanished))).rejects.toBe(vanished);
    transaction.abandon();
    await lab.clock.advance(minutes(1));
    expect(lab.upstream.calls).toEqual([]);
    expect(await lab.entries()).toEqual([]);
  });

  it('that gives up between DATA and content frees its room in the queue', async () => {
    const clock = new FakeClock(START);
    const lab = await Lab.open({ clock, spool: new MemorySpool(clock, { octets: 1_000, entries: 1 }) });
    const { transaction } = await lab.begin();
    await transaction.addForwardPath({ address: 'a@x.test' });
    expect(await transaction.prepareContent()).toBeUndefined();
    const other = await lab.begin();
    expect(await other.transaction.prepareContent()).toMatchObject({ code: 452, enhancedCode: '4.3.1' });
    transaction.abandon();
    await clock.advance(milliseconds(1));
    expect(await lab.submitted()).toMatch(/^250/);
  });

  it('that gives up while its DATA is being answered frees its room in the queue', async () => {
    const clock = new FakeClock(START);
    const lab = await Lab.open({ clock, spool: new MemorySpool(clock, { octets: 1_000, entries: 1 }) });
    const { transaction } = await lab.begin();
    await transaction.addForwardPath({ address: 'a@x.test' });
    const preparing = transaction.prepareContent();
    transaction.abandon();
    await preparing;
    expect(await lab.submitted()).toMatch(/^250/);
  });

  it('that leaves after end-of-data does not stop its message', async () => {
    const lab = await Lab.open();
    const { transaction } = await lab.begin();
    await transaction.addForwardPath({ address: 'a@x.test' });
    await transaction.prepareContent();
    const answered = transaction.submitContent(contentOf('x\r\n'));
    transaction.abandon();
    expect(await answered).toMatchObject({ code: 250 });
    expect(lab.recipients).toEqual(['a@x.test']);
  });

  it('R09 is told 452 where the queue is full, before and while the content comes', async () => {
    const clock = new FakeClock(START);
    const lab = await Lab.open({ clock, spool: new MemorySpool(clock, { octets: 100, entries: 9 }) });
    expect(await lab.submitted({ parameters: { size: 200 as never } })).toMatch(/^452 4\.3\.1/);
    expect(await lab.submitted({ content: 'x'.repeat(200) })).toMatch(/^452 4\.3\.1/);
    expect(await lab.submitted({ content: 'x\r\n' })).toMatch(/^250/);
    expect(lab.log.of('message-deferred').map(({ problem: what }) => what?.code)).toEqual(['SPOOL_FULL', 'SPOOL_FULL']);
  });
});

describe('a new message', () => {
  it('goes to the spool without an attempt while the account is in trouble, and after it in order', async () => {
    const lab = await Lab.open();
    lab.upstream.next(failsAt('connect', 'UPSTREAM_UNREACHABLE'));
    expect(await lab.submitted({ to: ['1@x.test'] })).toMatch(QUEUED);
    for (const to of ['2@x.test', '3@x.test']) expect(await lab.submitted({ to: [to] })).toMatch(QUEUED);
    expect(lab.upstream.calls).toHaveLength(1);
    await lab.clock.advance(minutes(2));
    expect(lab.recipients).toEqual(['1@x.test', '2@x.test', '3@x.test']);
    expect(await lab.submitted({ to: ['4@x.test'] })).toMatch(/^250 2\.6\.0/);
  });

  it('waits for no connection once another one finds the account in trouble', async () => {
    const lab = await Lab.open();
    const gate = new Latch();
    lab.upstream.next(
      async (call) => {
        await gate.passed;
        return takesAll(call);
      },
      failsAt('connect', 'UPSTREAM_UNREACHABLE'),
    );
    const first = lab.submit({ to: ['1@x.test'] });
    await lab.clock.advance(milliseconds(10));
    expect(await lab.submitted({ to: ['2@x.test'] })).toMatch(QUEUED);
    expect(await first).toMatchObject({ code: 250, enhancedCode: '2.0.0' });
    gate.open();
    await lab.clock.advance(minutes(2));
    expect([...lab.recipients].sort()).toEqual(['1@x.test', '2@x.test']);
  });

  it('goes to the spool where the pace is used up, and goes when it allows', async () => {
    const lab = await Lab.open();
    for (let index = 0; index < 30; index += 1) expect(await lab.submitted()).toMatch(/^250 2\.6\.0/);
    expect(await lab.submitted()).toMatch(QUEUED);
    expect(lab.recipients).toHaveLength(30);
    await lab.clock.advance(minutes(1));
    expect(lab.recipients).toHaveLength(31);
  });

  it('in mode queue always does', async () => {
    const lab = await Lab.open({ delivery: 'queue' });
    lab.upstream.script = refusesAt('mail', '550 5.7.60 No');
    expect(await lab.submitted()).toMatch(QUEUED);
    await lab.clock.advance(seconds(1));
    expect(lab.upstream.calls[0]?.envelope.forwardPaths).toEqual([{ address: 'anna@example.test' }]);
  });

  it('is refused where its account is not configured', async () => {
    const lab = await Lab.open();
    await expect(lab.begin({ account: 'nobody' })).rejects.toThrow('451 4.3.0');
  });
});

/** What a process finds that starts after this one was killed. */
function restarted(spool: MemorySpool): MemorySpool {
  spool.restart();
  return spool;
}
