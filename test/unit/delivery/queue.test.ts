/** The queue behind the answers: order, retries, holds, reports, dead letters, clocks that jump, the end of the process. */
import { describe, expect, it } from 'vitest';
import { SpoolQueue } from '../../../src/admin/spool-queue.ts';
import { type DurationMs, days, hours, milliseconds, minutes, seconds } from '../../../src/core/clock.ts';
import type { Draft, DraftRequest } from '../../../src/core/ports/spool.ts';
import { ProblemError, problem } from '../../../src/core/problem.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Latch } from '../../support/latch.ts';
import { MemorySpool } from '../../support/memory-spool.ts';
import { failsAt, refusesAt, refusesRecipients, type RelayScript, ScriptedUpstream, takesAll } from '../../support/scripted-upstream.ts';
import { accept, at, id, newMessage } from '../../support/spool-messages.ts';
import { Lab, type LabOptions, START } from './lab.ts';

const limits = (changes: object) => testProvider({ limits: { ...testProvider().limits, messagesPerMinute: 100_000, ...changes } });

/** A lab in mode queue without limits to its pace. */
const openQueue = (options: LabOptions & { connections?: number } = {}): Promise<Lab> =>
  Lab.open({ accounts: [testAccount({ delivery: 'queue', provider: limits({ connections: options.connections ?? 3 }) })], ...options });

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `${String(index).padStart(4, '0')}@x.test`);

const unreachable = failsAt('connect', 'UPSTREAM_UNREACHABLE');
const noSignIn = failsAt('token', 'TOKEN_REAUTH_REQUIRED');

/** A disk that is full but for what is kept for outcomes. */
class SpoolWithoutRoomForReports extends MemorySpool {
  isFull = true;
  override async openDraft(request: DraftRequest): Promise<Draft> {
    if (this.isFull && request.isReport === true) throw new ProblemError(problem('SPOOL_FULL', 'the disk is full'));
    return super.openDraft(request);
  }
}

describe('order', () => {
  it('is that of acceptance, after an outage of the upstream', async () => {
    const lab = await openQueue({ connections: 1 });
    lab.upstream.script = unreachable;
    const to = numbered(50);
    for (const address of to) await lab.submitted({ to: [address] });
    await lab.clock.advance(hours(2));
    expect(lab.recipients).toEqual([]);
    lab.upstream.script = takesAll;
    await lab.clock.advance(minutes(2));
    expect(lab.recipients).toEqual(to);
  });

  it('lets a message that is deferred for reasons of its own be overtaken', async () => {
    const lab = await openQueue({ connections: 1 });
    lab.upstream.next(refusesAt('rcpt', '450 4.2.1 Mailbox busy'));
    for (const address of ['1@x.test', '2@x.test']) await lab.submitted({ to: [address] });
    await lab.clock.advance(minutes(2));
    expect(lab.recipients).toEqual(['2@x.test', '1@x.test']);
  });

  it('holds as many connections as the account may have', async () => {
    const lab = await openQueue({ connections: 3, isIdle: true });
    for (const address of numbered(10)) await lab.submitted({ to: [address] });
    const gate = new Latch();
    lab.upstream.script = async (call) => {
      await gate.passed;
      return takesAll(call);
    };
    await lab.delivery.start();
    await lab.clock.advance(minutes(1));
    expect(lab.upstream.underWay).toBe(3);
    gate.open();
    await lab.clock.advance(seconds(1));
    expect(lab.recipients).toEqual(numbered(10));
    expect(lab.upstream.mostUnderWay).toBe(3);
  });
});

describe('a message that is deferred', () => {
  it('D14 is tried again soon, then less often, then every hour, until it is given up', async () => {
    const lab = await openQueue();
    lab.upstream.script = refusesAt('rcpt', '450 4.2.1 Mailbox busy');
    const times: number[] = [];
    const defer = lab.upstream.script;
    lab.upstream.script = async (call) => {
      times.push(lab.clock.monotonic());
      return call.envelope.reversePath === '' ? takesAll(call) : defer(call);
    };
    await lab.submitted();
    await lab.clock.advance(minutes(90));
    const waits = times.slice(1).map((moment, index) => (moment - (times[index] ?? 0)) / 60_000);
    const expected = [0.5, 1, 2, 5, 10, 15, 30];
    expected.forEach((wait, index) => {
      expect(waits[index]).toBeGreaterThanOrEqual(wait);
      expect(waits[index]).toBeLessThanOrEqual(wait * 1.2 + 0.1);
    });
    await lab.clock.advance(days(4));
    expect(await lab.entries()).toHaveLength(1);
    await lab.clock.advance(days(1.2));
    expect(await lab.entries()).toEqual([]);
    expect(lab.log.of('message-given-up')).toHaveLength(1);
  });

  it('D14 is reported as delayed once, and as failed once', async () => {
    const lab = await openQueue();
    const defer = refusesAt('rcpt', '450 4.2.1 Mailbox busy');
    lab.upstream.script = (call) => (call.envelope.reversePath === '' ? takesAll(call) : defer(call));
    await lab.submitted();
    await lab.clock.advance(days(6));
    const actions = lab.upstream.delivered.map(({ content }) => /Action: (\w+)/.exec(content)?.[1]);
    expect(actions).toEqual(['delayed', 'failed']);
    expect(new Set(lab.recipients)).toEqual(new Set(['billing@postern.test']));
    expect(lab.upstream.delivered[1]?.content).toContain('450 4.2.1 Mailbox busy');
    expect(await lab.entries()).toEqual([]);
  });

  it('goes to those who were too many for one transaction at once', async () => {
    const lab = await openQueue();
    lab.upstream.next(refusesRecipients({ 'b@x.test': '452 4.5.3 Too many recipients', 'c@x.test': '452 4.5.3 Too many recipients' }));
    await lab.submitted({ to: ['a@x.test', 'b@x.test', 'c@x.test'] });
    await lab.clock.advance(milliseconds(1));
    expect(lab.recipients).toEqual(['a@x.test', 'b@x.test', 'c@x.test']);
  });

  it('waits as long as the upstream asks for', async () => {
    const lab = await openQueue();
    lab.upstream.next(refusesAt('rcpt', '450 5.2.121 Receiving too fast'));
    await lab.submitted();
    await lab.clock.advance(minutes(59));
    expect(lab.upstream.calls).toHaveLength(1);
    await lab.clock.advance(minutes(2));
    expect(lab.recipients).toHaveLength(1);
  });
});

describe('an account in trouble', () => {
  it.each<[string, RelayScript, string, DurationMs]>([
    ['no connection', unreachable, 'backing-off', minutes(2)],
    ['the upstream asks to slow down', refusesAt('mail', '451 4.7.500 Server busy'), 'backing-off', minutes(16)],
    ['too many connections', refusesAt('mail', '432 4.3.2 Concurrent connections limit exceeded'), 'backing-off', minutes(2)],
    ['the token', noSignIn, 'held', minutes(7)],
    ['SMTP AUTH switched off', failsAt('auth', 'UPSTREAM_SMTP_AUTH_DISABLED'), 'held', minutes(7)],
    ['blocked', refusesAt('final-reply', '550 5.1.8 Access denied, bad outbound sender'), 'held', minutes(7)],
    ['its own mailbox full', refusesAt('final-reply', '554 5.2.2 mailbox full; QuotaExceededException'), 'held', minutes(7)],
    ['a quota', refusesAt('final-reply', '554 5.2.0 SubmissionQuotaExceededException'), 'quota', hours(1.5)],
  ])('%s: mail waits, and one message at a time looks whether it is over', async (_what, script, kind, later) => {
    const lab = await openQueue();
    lab.upstream.script = script;
    for (const address of numbered(10)) await lab.submitted({ to: [address] });
    await lab.clock.advance(milliseconds(1));
    expect(lab.delivery.stateOf('billing')).toMatchObject({ kind });
    const before = lab.upstream.calls.length;
    expect(before).toBeLessThanOrEqual(3);
    lab.upstream.mostUnderWay = 0;
    await lab.clock.advance(later);
    expect(lab.upstream.calls.length).toBeGreaterThan(before);
    expect(lab.upstream.calls.length).toBeLessThan(before + 10);
    expect(lab.upstream.mostUnderWay).toBe(1);
    lab.upstream.script = takesAll;
    await lab.clock.advance(later);
    expect(lab.recipients).toEqual(numbered(10));
    expect(lab.delivery.stateOf('billing')).toEqual({ kind: 'open' });
    expect(lab.log.of(`account-${kind}`).filter(({ level }) => level !== 'debug')).toHaveLength(1);
    expect(lab.log.of('account-open')).toHaveLength(1);
    expect(await lab.entries()).toEqual([]);
  });

  it('is looked at once it has a token again', async () => {
    const lab = await openQueue();
    lab.upstream.script = noSignIn;
    for (const address of numbered(5)) await lab.submitted({ to: [address] });
    await lab.clock.advance(seconds(10));
    lab.upstream.script = takesAll;
    lab.delivery.repaired('billing');
    await lab.clock.advance(milliseconds(1));
    expect(lab.recipients).toEqual(numbered(5));
  });

  it('is held where what looks transient has been so often enough, or long enough', async () => {
    const logon = await openQueue();
    logon.upstream.script = refusesAt('final-reply', '430 4.2.0 STOREDRV; mailbox logon failure');
    await logon.submitted();
    await logon.clock.advance(minutes(2));
    expect(logon.delivery.stateOf('billing')).toMatchObject({ kind: 'held', tries: 3 });
    const proxy = await openQueue();
    proxy.upstream.script = refusesAt('mail', '451 4.7.0 Temporary server error. Please try again later. PRX4');
    await proxy.submitted();
    await proxy.clock.advance(hours(5));
    expect(proxy.delivery.stateOf('billing')).toMatchObject({ kind: 'backing-off' });
    await proxy.clock.advance(hours(2));
    expect(proxy.delivery.stateOf('billing')).toMatchObject({ kind: 'held' });
  });

  it('keeps no other account waiting', async () => {
    const accounts = numbered(10).map((name) => testAccount({ name, delivery: 'queue', provider: limits({}) }));
    const dead = accounts[3]?.name;
    const hangs: RelayScript = () => new Promise(() => {});
    const run = async (script: RelayScript): Promise<number> => {
      const lab = await openQueue({ accounts });
      lab.upstream.script = (call) => (call.account.name === dead ? script(call) : takesAll(call));
      for (let round = 0; round < 20; round += 1) for (const { name } of accounts) await lab.submitted({ account: name });
      return lab.upstream.delivered.filter(({ account }) => account !== dead).length;
    };
    // Not a moment passes on the clock: what is delivered is what was not kept waiting.
    expect(await run(takesAll)).toBe(180);
    expect(await run(hangs)).toBe(180);
  });

  it('gives up what has grown too old, although nothing can be tried', async () => {
    const lab = await openQueue();
    lab.upstream.script = noSignIn;
    for (const address of numbered(3)) await lab.submitted({ to: [address] });
    await lab.clock.advance(days(4.9));
    expect(await lab.entries()).toHaveLength(3);
    await lab.clock.advance(days(0.2));
    const left = await lab.entries();
    expect(left.map(({ reversePath, client }) => [reversePath, client])).toEqual(left.map(() => ['', 'postern']));
    lab.upstream.script = takesAll;
    await lab.clock.advance(minutes(10));
    expect(lab.recipients).toEqual(Array(3).fill('billing@postern.test'));
  });
});

describe('what cannot be delivered', () => {
  const refused = refusesRecipients({ 'gone@x.test': '550 5.1.1 Unknown' });

  it('is reported to its sender, once', async () => {
    const lab = await openQueue();
    lab.upstream.script = refused;
    await lab.submitted({ to: ['gone@x.test'] });
    await lab.clock.advance(minutes(5));
    expect(lab.recipients).toEqual(['billing@postern.test']);
    const report = lab.upstream.delivered[0]?.content ?? '';
    expect(report).toMatch(/Action: failed/);
    expect(report).toMatch(/Diagnostic-Code: smtp; 550 5\.1\.1 Unknown/);
    expect(report).toMatch(/Remote-MTA: dns; smtp\.lab\.test/);
    expect(report).toContain('Correct the address');
    expect(lab.log.of('message-reported')).toHaveLength(1);
    expect(await lab.entries()).toEqual([]);
  });

  it.each<[string, LabOptions['options'], Parameters<Lab['submitted']>[0]]>([
    ['reports are off', { dsn: 'off' }, {}],
    ['the reverse-path is null', {}, { from: '' }],
  ])('is kept for the operator where %s, and told of', async (_why, options, message) => {
    const lab = await openQueue(options === undefined ? {} : { options });
    lab.upstream.script = refused;
    await lab.submitted({ ...message, to: ['a@x.test', 'gone@x.test'] });
    await lab.clock.advance(days(10));
    const [entry] = await lab.entries();
    expect(entry).toMatchObject({
      hold: { code: 'DEAD_LETTER' },
      recipients: [{ status: { kind: 'delivered' } }, { status: { kind: 'failed' } }],
    });
    expect(entry?.hold?.cause).toContain('gone@x.test');
    expect(lab.recipients).toEqual(['a@x.test']);
    expect(lab.alerts.raised).toMatchObject([{ event: 'dead_letter', topic: 'dead-letters', account: 'billing' }]);
    await lab.spool.drop(entry?.queueId ?? id('none'));
    await lab.clock.advance(minutes(2));
    expect(lab.alerts.cleared).toMatchObject([{ account: 'billing', topic: 'dead-letters' }]);
  });

  it('is neither reported nor kept where the sender did not want to know', async () => {
    const lab = await openQueue();
    lab.upstream.script = refused;
    await lab.submitted({ to: [{ address: 'gone@x.test', notify: ['NEVER'] }] });
    await lab.clock.advance(minutes(5));
    expect(await lab.entries()).toEqual([]);
    expect(lab.recipients).toEqual([]);
  });

  it('D14 makes no report about a report: that is kept', async () => {
    const lab = await openQueue();
    lab.upstream.script = refusesAt('mail', '550 5.7.60 No');
    await lab.submitted();
    await lab.clock.advance(minutes(5));
    expect(lab.upstream.calls).toHaveLength(2);
    expect(await lab.entries()).toMatchObject([{ reversePath: '', hold: { code: 'DEAD_LETTER' } }]);
  });

  it('goes to the operator where reports do', async () => {
    const lab = await openQueue({ options: { dsn: 'operator' } });
    lab.upstream.script = refused;
    await lab.submitted({ from: 'other@x.test', to: ['gone@x.test'] });
    await lab.clock.advance(minutes(5));
    expect(lab.recipients).toEqual(['billing@postern.test']);
  });

  it.each([
    ['and stays where it is refused again', refused, [{ hold: { code: 'DEAD_LETTER' } }]],
    ['and goes where it is taken', undefined, []],
  ])('is tried again when an operator says so, %s', async (_what, script, left) => {
    const lab = await openQueue({ options: { dsn: 'off' } });
    const usual = lab.upstream.script;
    lab.upstream.script = refused;
    await lab.submitted({ to: ['gone@x.test'] });
    await lab.clock.advance(minutes(1));
    const [entry] = await lab.entries();
    lab.upstream.script = script ?? usual;
    await lab.spool.retryNow(entry?.queueId ?? id('none'), START);
    await lab.clock.advance(minutes(1));
    expect(lab.upstream.calls).toHaveLength(2);
    expect(await lab.entries()).toMatchObject(left);
  });
});

describe('a clock that jumps', () => {
  it.each([
    ['forwards by two hours', hours(2)],
    ['forwards by ten years', days(3650)],
    ['backwards by two hours', hours(-2)],
    ['backwards by ten years', days(-3650)],
  ])('N07 %s neither stalls nor storms, and nothing is returned early', async (_what, jump) => {
    const lab = await openQueue();
    const defer = refusesAt('rcpt', '450 4.2.1 Mailbox busy');
    lab.upstream.script = defer;
    await lab.submitted({ to: ['1@x.test'] });
    await lab.clock.advance(minutes(100));
    const before = lab.upstream.calls.length;
    lab.clock.jump(jump);
    await lab.submitted({ to: ['2@x.test'] });
    await lab.clock.advance(minutes(5));
    // The new message three to five times, the old one at most once.
    expect(lab.upstream.calls.length - before).toBeLessThanOrEqual(6);
    await lab.clock.advance(hours(2));
    expect(await lab.entries()).toHaveLength(2);
    lab.upstream.script = takesAll;
    await lab.clock.advance(minutes(75));
    expect([...lab.recipients].sort()).toEqual(['1@x.test', '2@x.test']);
    expect(lab.upstream.delivered.filter(({ content }) => content.includes('report'))).toEqual([]);
  });

  it('does not keep what an earlier process stored with a wrong clock', async () => {
    const clock = new FakeClock(START);
    const spool = new MemorySpool(clock);
    for (const name of ['1', '2', '3'])
      await accept(spool, newMessage(name, { acceptedAt: at(days(3650)), nextAttemptAt: at(days(3650)) }));
    const lab = await openQueue({ clock, spool });
    await clock.advance(minutes(1));
    expect(lab.recipients).toHaveLength(3);
  });

  it('does not keep an operator from making a message due', async () => {
    const lab = await openQueue();
    lab.upstream.script = refusesAt('rcpt', '450 4.2.1 Mailbox busy');
    await lab.submitted();
    await lab.clock.advance(minutes(100));
    lab.clock.jump(hours(2)); // As after a machine was suspended: the steady clock stood still.
    lab.upstream.script = takesAll;
    const queue = new SpoolQueue({ spool: lab.spool, clock: lab.delivery, log: lab.log });
    await queue.change('retry', { filter: { account: 'billing' } });
    await lab.clock.advance(seconds(10));
    expect(lab.recipients).toEqual(['anna@example.test']);
  });

  it('does not hide old mail behind a message that a wrong clock has dated', async () => {
    const clock = new FakeClock(START);
    const spool = new MemorySpool(clock);
    await accept(spool, newMessage('1', { acceptedAt: at(days(3650)) }));
    await accept(spool, newMessage('2', { acceptedAt: START }));
    await clock.advance(days(4));
    const lab = await openQueue({ clock, spool, isIdle: true });
    lab.upstream.script = noSignIn;
    await lab.delivery.start();
    await clock.advance(days(2));
    expect(lab.log.of('message-given-up').map(({ queueId }) => queueId)).toEqual([id('2')]);
  });

  it('does not return at the start what is too old by its stored date', async () => {
    const clock = new FakeClock(START);
    const spool = new MemorySpool(clock);
    await accept(spool, newMessage('1', { acceptedAt: at(days(-3650)), nextAttemptAt: at(days(-3650)) }));
    const upstream = new ScriptedUpstream();
    upstream.next(unreachable);
    const lab = await openQueue({ clock, spool, upstream });
    await clock.advance(minutes(1));
    expect(lab.recipients).toEqual(['anna@example.com']);
  });
});

describe('a spool in trouble', () => {
  it('is asked again and again to record what was delivered, and nothing is delivered twice', async () => {
    const clock = new FakeClock(START);
    const spool = new MemorySpool(clock);
    const lab = await openQueue({ clock, spool });
    lab.upstream.next(async (call) => {
      const result = await takesAll(call);
      spool.failure = new ProblemError(problem('SPOOL_FAILED', 'EIO'));
      return result;
    });
    await lab.submitted();
    await clock.advance(hours(1));
    expect(lab.recipients).toHaveLength(1);
    expect(lab.log.of('queue-stuck').length).toBeGreaterThan(5);
    spool.failure = undefined;
    await clock.advance(minutes(2));
    expect(lab.recipients).toHaveLength(1);
    expect(await lab.entries()).toEqual([]);
  });

  it('without room for reports delivers what it can, and reports later', async () => {
    const clock = new FakeClock(START);
    const spool = new SpoolWithoutRoomForReports(clock);
    const lab = await openQueue({ clock, spool, connections: 2, isIdle: true });
    const bad = ['bad1@x.test', 'bad2@x.test', 'bad3@x.test'];
    for (const address of [...bad, 'good@x.test']) await lab.submitted({ to: [address] });
    lab.upstream.script = refusesRecipients(Object.fromEntries(bad.map((address) => [address, '550 5.1.1 Unknown'])));
    await lab.delivery.start();
    await clock.advance(hours(2));
    expect(lab.recipients).toEqual(['good@x.test']);
    expect(lab.upstream.calls).toHaveLength(4);
    const statuses = (await lab.entries()).map(({ recipients }) => recipients[0]?.status);
    expect(statuses).toHaveLength(3);
    for (const status of statuses) expect(status).toMatchObject({ kind: 'failed', isReported: false });
    spool.isFull = false;
    await clock.advance(hours(2));
    expect(lab.recipients.slice(1)).toEqual(Array(3).fill('billing@postern.test'));
    expect(await lab.entries()).toEqual([]);
  });

  it('transmits nothing that it could not mark first', async () => {
    const clock = new FakeClock(START);
    const spool = new MemorySpool(clock);
    const lab = await openQueue({ clock, spool, isIdle: true });
    await lab.submitted();
    spool.failure = new ProblemError(problem('SPOOL_FAILED', 'EIO'));
    await lab.delivery.start();
    await clock.advance(minutes(1));
    expect(lab.recipients).toEqual([]);
    expect(lab.upstream.calls.length).toBeLessThan(20);
    spool.failure = undefined;
    await clock.advance(minutes(1));
    expect(lab.recipients).toEqual(['anna@example.test']);
  });

  it('that keeps a lease which nobody gave back keeps the message no longer than the lease', async () => {
    const clock = new FakeClock(START);
    const spool = new MemorySpool(clock);
    const lab = await openQueue({ clock, spool, isIdle: true });
    await lab.submitted();
    const [entry] = await lab.entries();
    await spool.claim(entry?.queueId ?? id(0), 'somebody who is gone', at(minutes(15)));
    await lab.delivery.start();
    await clock.advance(minutes(10));
    expect(lab.recipients).toEqual([]);
    await clock.advance(minutes(10));
    expect(lab.recipients).toEqual(['anna@example.test']);
  });
});

describe('an operator', () => {
  it('may drop, hold and release what is being tried', async () => {
    for (const act of ['drop', 'hold'] as const) {
      const lab = await openQueue();
      const gate = new Latch();
      lab.upstream.next(async (call) => {
        await call.read();
        await gate.passed;
        return refusesAt('rcpt', '450 4.2.1 Busy')(call);
      });
      await lab.submitted();
      const [entry] = await lab.entries();
      const queueId = entry?.queueId ?? id('none');
      if (act === 'drop') await lab.spool.drop(queueId);
      else await lab.spool.hold(queueId, { code: 'HELD_BY_OPERATOR', since: START, cause: 'look' });
      gate.open();
      await lab.clock.advance(days(1));
      expect(lab.recipients).toEqual([]);
      if (act === 'drop') continue;
      await lab.spool.unhold(queueId);
      await lab.clock.advance(seconds(1));
      expect(lab.recipients).toEqual(['anna@example.test']);
    }
  });

  it('hears of messages whose account is gone', async () => {
    const clock = new FakeClock(START);
    const spool = new MemorySpool(clock);
    await accept(spool, newMessage('1', { account: 'former' }));
    const lab = await openQueue({ clock, spool });
    expect(lab.log.of('queue-orphaned')).toMatchObject([{ account: 'former' }]);
  });
});

it('a message whose MAIL breaks the session does not keep the others waiting', async () => {
  const lab = await openQueue({ connections: 1, isIdle: true });
  for (const [from, to] of [
    ['odd@postern.test', '1@x.test'],
    ['billing@postern.test', '2@x.test'],
    ['billing@postern.test', '3@x.test'],
  ] as const)
    await lab.submitted({ from, to: [to] });
  const breaks = failsAt('mail', 'UPSTREAM_LOST');
  lab.upstream.script = (call) => (call.envelope.reversePath === 'odd@postern.test' ? breaks(call) : takesAll(call));
  await lab.delivery.start();
  await lab.clock.advance(hours(1));
  expect(lab.recipients).toEqual(['2@x.test', '3@x.test']);
});

describe('the pace', () => {
  it('is kept while the queue drains', async () => {
    const account = testAccount({ delivery: 'queue' });
    const lab = await openQueue({ accounts: [account], isIdle: true });
    for (const address of numbered(70)) await lab.submitted({ to: [address] });
    await lab.delivery.start();
    const perMinute: number[] = [];
    for (let minute = 0; minute < 3; minute += 1) {
      await lab.clock.advance(milliseconds(59_999));
      perMinute.push(lab.recipients.length);
      await lab.clock.advance(milliseconds(1));
    }
    expect(perMinute).toEqual([30, 60, 70]);
    expect(lab.recipients).toEqual(numbered(70));
  });

  it('of recipients is kept by attempts that begin together', async () => {
    const lab = await Lab.open({
      accounts: [testAccount({ delivery: 'queue', provider: limits({ connections: 3, recipientsPerDay: 10 }) })],
      isIdle: true,
    });
    for (let n = 0; n < 9; n += 1) await lab.submitted({ to: [1, 2, 3, 4].map((each) => `${n}-${each}@x.test`) });
    await lab.delivery.start();
    await lab.clock.advance(minutes(1));
    expect(lab.recipients).toHaveLength(8);
  });

  it('of messages is kept by submissions that come together', async () => {
    const provider = testProvider({ limits: { ...testProvider().limits, messagesPerMinute: 10 } });
    const lab = await Lab.open({ accounts: [testAccount({ delivery: 'auto', provider })] });
    const answers = Promise.all(numbered(30).map((address) => lab.submit({ to: [address] })));
    await lab.clock.advance(seconds(30));
    for (const { code } of await answers) expect(code).toBe(250);
    expect(lab.recipients).toHaveLength(10);
    await lab.clock.advance(minutes(3));
    expect([...lab.recipients].sort()).toEqual(numbered(30));
  });

  it('is kept although several attempts may begin at once', async () => {
    const lab = await Lab.open({
      accounts: [testAccount({ delivery: 'queue', provider: limits({ connections: 3, messagesPerMinute: 1 }) })],
      isIdle: true,
    });
    for (const address of numbered(3)) await lab.submitted({ to: [address] });
    await lab.delivery.start();
    await lab.clock.advance(seconds(30));
    expect(lab.recipients).toHaveLength(1);
  });

  it('of the day survives a restart', async () => {
    const account = testAccount({ delivery: 'queue', provider: limits({ recipientsPerDay: 5 }) });
    const first = await openQueue({ accounts: [account] });
    await first.submitted({ to: numbered(4) });
    await first.submitted({ to: numbered(2) });
    await first.clock.advance(seconds(10));
    expect(first.recipients).toHaveLength(4);
    const second = await openQueue({ accounts: [account], clock: first.clock, paceStore: first.paceStore });
    await second.submitted({ to: numbered(2) });
    await first.clock.advance(hours(23));
    expect(second.recipients).toHaveLength(0);
    await first.clock.advance(hours(2));
    expect(second.recipients).toHaveLength(2);
  });
});

describe('the end of the process', () => {
  it('waits for attempts under way and records them; nothing begins any more', async () => {
    const lab = await openQueue({ connections: 2 });
    const gate = new Latch();
    lab.upstream.script = async (call) => {
      await gate.passed;
      return takesAll(call);
    };
    for (const address of numbered(5)) await lab.submitted({ to: [address] });
    let isOver = false;
    const stopping = lab.delivery.stop().then(() => (isOver = true));
    await lab.clock.advance(seconds(5));
    expect(isOver).toBe(false);
    gate.open();
    await lab.clock.advance(seconds(1));
    await stopping;
    expect(lab.recipients).toEqual(numbered(2));
    expect(await lab.entries()).toHaveLength(3);
  });

  it('leaves what was cut before the content as it was, and what was cut after the dot ambiguous', async () => {
    for (const [script, isAmbiguous] of [
      [failsAt('rcpt', 'SUBMISSION_ABORTED'), false],
      [failsAt('final-reply'), true],
    ] as const) {
      const lab = await openQueue();
      const gate = new Latch();
      lab.upstream.script = async (call) => {
        await gate.passed;
        return script(call);
      };
      await lab.submitted();
      const stopping = lab.delivery.stop();
      gate.open();
      await lab.clock.advance(seconds(1));
      await stopping;
      expect(await lab.entries()).toMatchObject([{ isAmbiguous, recipients: [{ status: { kind: 'pending' } }] }]);
    }
  });

  it('lets applications go that wait for an attempt: their messages are in the queue', async () => {
    const lab = await openQueue({ accounts: [testAccount({ delivery: 'auto' })] });
    const gate = new Latch();
    lab.upstream.script = async (call) => {
      await gate.passed;
      return takesAll(call);
    };
    const waiting = lab.submit();
    await lab.clock.advance(seconds(1));
    lab.delivery.wind();
    expect(await waiting).toMatchObject({ code: 250, enhancedCode: '2.0.0' });
    expect(await lab.entries()).toHaveLength(1);
    expect(await lab.submit()).toMatchObject({ code: 250, enhancedCode: '2.0.0' });
    gate.open();
    await lab.delivery.stop();
    expect(lab.recipients).toHaveLength(1);
    expect(await lab.entries()).toHaveLength(1);
  });
});
