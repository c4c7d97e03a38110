/** What is remembered of messages and callers: enough, not too much, and never a secret. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type DurationMs, hours, minutes } from '../../../src/core/clock.ts';
import type { QueueId } from '../../../src/core/ids.ts';
import type { LogFields } from '../../../src/core/ports/log.ts';
import { problem } from '../../../src/core/problem.ts';
import { ActivityDesk } from '../../../src/observability/activity-desk.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let clock: FakeClock;
let scrubber: Scrubber;
let desk: ActivityDesk;

beforeEach(() => {
  clock = new FakeClock();
  scrubber = new Scrubber();
  desk = new ActivityDesk({ clock, scrubber });
});

const id = (number: number): QueueId => `Q${String(number).padStart(15, '0')}` as QueueId;
const say = (event: string, fields: Partial<LogFields> = {}): void => desk.observe('info', { event, ...fields }, event);
const ids = (...filter: Parameters<ActivityDesk['messages']>): string[] => desk.messages(...filter).map(({ queueId }) => queueId);

describe('messages', () => {
  it('are listed with what was said of them, the one heard of last first', () => {
    say('message-queued', { queueId: id(1), account: 'billing', client: 'erp', reversePath: 'a@x.test', forwardPaths: ['b@y.test'] });
    say('message-relayed', { queueId: id(2), reply: '250 OK' });
    say('message-relayed', { queueId: id(1), forwardPaths: ['c@y.test'], reply: '250 2.0.0 OK' });
    expect(ids({}, 10)).toEqual([id(1), id(2)]);
    expect(desk.messages({}, 1)[0]).toMatchObject({
      outcome: 'relayed',
      account: 'billing',
      client: 'erp',
      reversePath: 'a@x.test',
      forwardPaths: ['b@y.test', 'c@y.test'],
      reply: '250 2.0.0 OK',
    });
  });

  it.each([
    [{ text: 'B@Y' }, [1]],
    [{ text: id(2).toLowerCase() }, [2]],
    [{ outcome: 'refused' as const }, [2]],
    [{ account: 'billing' }, [1]],
    [{ client: 'erp', text: 'nothing' }, []],
    [{}, [2, 1]],
  ])('are found by %o', (filter, found) => {
    say('message-relayed', { queueId: id(1), account: 'billing', client: 'erp', forwardPaths: ['b@y.test'] });
    say('message-refused', { queueId: id(2), account: 'sales', client: 'crm' });
    expect(ids(filter, 10)).toEqual(found.map(id));
  });

  it('have a problem only while they are not relayed', () => {
    say('message-deferred', { queueId: id(1), problem: problem('UPSTREAM_DEFERRED', 'later') });
    expect(desk.messages({}, 1)[0]?.problem?.cause).toBe('later');
    say('message-relayed', { queueId: id(1) });
    expect(desk.messages({}, 1)[0]?.problem).toBeUndefined();
    expect(desk.message(id(1))?.steps.map(({ problem: what }) => what?.code)).toEqual(['UPSTREAM_DEFERRED', undefined]);
  });

  it('are kept up to a number, each with its first and last steps', () => {
    for (let number = 0; number < 2_001; number += 1) say('message-queued', { queueId: id(number) });
    expect(desk.message(id(0))).toBeUndefined();
    expect(ids({}, 3_000)).toHaveLength(2_000);
    for (let attempt = 1; attempt <= 100; attempt += 1) say('message-deferred', { queueId: id(1), attempt });
    const seen = desk.message(id(1));
    expect(seen?.steps).toHaveLength(30);
    expect(seen?.dropped).toBe(71);
    expect([seen?.steps[0]?.event, seen?.steps.at(-1)?.attempt]).toEqual(['message-queued', 100]);
  });

  it('cut a reply without end, and show no secret, whenever it was learned of', () => {
    say('message-refused', { queueId: id(1), reply: `550 canary-secret-1 ${'x'.repeat(1_000_000)}` });
    scrubber.add('canary-secret-1');
    const text = JSON.stringify([desk.message(id(1)), desk.messages({}, 1)]);
    expect(text).not.toContain('canary-secret-1');
    expect(text.length).toBeLessThan(5_000);
  });
});

describe('subjects', () => {
  const note = (number: number, subject: string | undefined): void => desk.noteSubject(id(number), () => subject);
  const subjectOf = (number: number): string | undefined => desk.message(id(number))?.subject;

  beforeEach(() => desk.keepSubjects(true));

  it('are shown with their messages, once the log has spoken of those', () => {
    note(1, 'Invoice 4711');
    expect([desk.messages({}, 10), desk.message(id(1))]).toEqual([[], undefined]);
    say('message-relayed', { queueId: id(1), reply: '250 OK' });
    say('message-relayed', { queueId: id(2) });
    note(2, 'of one that the log has spoken of before');
    say('message-relayed', { queueId: id(3) });
    note(3, undefined);
    expect(desk.messages({}, 10).map(({ subject }) => subject)).toEqual([
      undefined,
      'of one that the log has spoken of before',
      'Invoice 4711',
    ]);
    expect(subjectOf(1)).toBe('Invoice 4711');
    expect(desk.messages({}, 10)[0]).not.toHaveProperty('subject');
  });

  it.each([
    [{ subject: 'INVOICE' }, [1]],
    [{ text: 'invoice' }, [2, 1]],
    [{ text: 'erp' }, [1]],
    [{ text: '10.0.0.7' }, [1]],
    [{ text: 'sales' }, [2]],
    [{ subject: 'ma\u0308rz' }, [1]],
    [{ subject: 'invoice', text: 'a@x.test' }, [1]],
    [{ subject: 'invoice', outcome: 'refused' as const }, []],
    [{ subject: 'nothing' }, []],
  ])('and others are found by %o', (filter, found) => {
    note(1, 'Invoice for M\u00e4rz');
    say('message-relayed', { queueId: id(1), client: 'erp', peer: '10.0.0.7', reversePath: 'a@x.test' });
    say('message-refused', { queueId: id(2), account: 'sales', reversePath: 'invoice@x.test' });
    expect(ids(filter, 10)).toEqual(found.map(id));
  });

  it('go with their messages, and make no more of them', () => {
    for (let number = 0; number < 2_001; number += 1) {
      note(number, `subject ${number}`);
      say('message-queued', { queueId: id(number) });
    }
    expect(desk.message(id(0))).toBeUndefined();
    expect(ids({}, 3_000)).toHaveLength(2_000);
    expect(ids({ subject: 'subject 0' }, 10)).toEqual([]);
    for (let number = 3_000; number < 6_000; number += 1) note(number, 'of a message that nobody ever hears of');
    expect(desk.messages({}, 10)).toEqual([]);
  });

  it('are bounded, and no character is cut in two', () => {
    note(1, `x${'😀'.repeat(5_000)}`);
    say('message-relayed', { queueId: id(1) });
    expect(subjectOf(1)).toBe(`x${'😀'.repeat(99)}`);
  });

  it('are neither asked for nor kept until that is wanted, and forgotten when it is not wanted any more', () => {
    const quiet = new ActivityDesk({ clock, scrubber });
    quiet.noteSubject(id(1), () => {
      throw new Error('asked for');
    });
    note(1, 'Invoice');
    say('message-relayed', { queueId: id(1) });
    desk.keepSubjects(false);
    note(2, 'Invoice');
    say('message-relayed', { queueId: id(2) });
    expect(desk.messages({}, 10).map(({ subject }) => subject)).toEqual([undefined, undefined]);
    desk.keepSubjects(true);
    expect([subjectOf(1), ids({ subject: 'invoice' }, 10)]).toEqual([undefined, []]);
  });

  it('show no secret, nor the beginning of one where they are cut', () => {
    note(1, 'Your password is canary-secret-1, keep it');
    note(2, `${'x'.repeat(190)} canary-secret-1`);
    note(3, `${'x'.repeat(190)} ${'canary-token'.repeat(20)}`);
    for (const number of [1, 2, 3]) say('message-relayed', { queueId: id(number) });
    scrubber.add('canary-secret-1');
    scrubber.add('canary-token'.repeat(20));
    expect(desk.messages({}, 10).map(({ subject }) => subject)).toEqual([
      `${'x'.repeat(190)} [secret]`,
      `${'x'.repeat(190)} [secret]`,
      'Your password is [secret], keep it',
    ]);
    expect(subjectOf(2)).toBe(`${'x'.repeat(190)} [secret]`);
  });
});

describe('callers', () => {
  it('are told apart by client and address, and counted', () => {
    const session = { listener: '127.0.0.1:2525', peer: '10.0.0.7' };
    say('login-refused', { ...session, problem: problem('CLIENT_UNKNOWN', 'no such user') });
    say('message-answered', { ...session, client: 'erp', reply: '250 2.0.0 OK', tls: 'TLSv1.3 X', mechanism: 'PLAIN' });
    say('message-answered', { ...session, client: 'erp', reply: '550 5.1.1 no' });
    say('session-ended', { ...session, client: 'erp' });
    const [erp, stranger] = desk.callers();
    expect(erp).toMatchObject({
      peer: '10.0.0.7',
      client: 'erp',
      sessions: 1,
      messages: 1,
      refusals: 0,
      tls: 'TLSv1.3 X',
      mechanism: 'PLAIN',
    });
    expect(stranger).toMatchObject({ peer: '10.0.0.7', messages: 0, refusals: 1, refusal: { problem: { code: 'CLIENT_UNKNOWN' } } });
    expect(stranger).not.toHaveProperty('client');
  });

  it('are kept up to a number', () => {
    for (let number = 0; number < 600; number += 1) say('session-ended', { listener: 'l', peer: `10.0.${number >> 8}.${number & 255}` });
    expect(desk.callers()).toHaveLength(500);
    expect(desk.callers()[0]?.peer).toBe('10.0.2.87');
  });
});

describe('rates', () => {
  it('have a span for each minute or hour, oldest first, without gaps', async () => {
    say('message-relayed', { queueId: id(1) });
    await clock.advance(minutes(2));
    say('message-refused', { queueId: id(2) });
    say('message-queued', { queueId: id(3) });
    const hour = desk.rates('1h');
    expect(hour).toHaveLength(60);
    expect(hour.slice(-3).map(({ relayed, queued, failed }) => [relayed, queued, failed])).toEqual([
      [1, 0, 0],
      [0, 0, 0],
      [0, 1, 1],
    ]);
    expect([desk.rates('24h').length, desk.rates('7d').length]).toEqual([24, 168]);
    await clock.advance(hours(3));
    const total = (window: '1h' | '24h'): number =>
      desk.rates(window).reduce((sum, rate) => sum + rate.relayed + rate.queued + rate.failed, 0);
    expect([total('1h'), total('24h')]).toEqual([0, 3]);
  });

  it('go on from an earlier process, and not from the future', async () => {
    say('message-relayed', { queueId: id(1) });
    const kept = structuredClone(desk.rateCounts);
    await clock.advance(minutes(3));
    const next = new ActivityDesk({ clock, scrubber });
    next.observe('info', { event: 'message-relayed', queueId: id(2) }, '');
    next.restoreRates({ ...kept, byMinute: [...kept.byMinute, { from: clock.now() + hours(1), relayed: 9, queued: 0, failed: 0 }] });
    expect(
      next
        .rates('1h')
        .slice(-4)
        .map(({ relayed }) => relayed),
    ).toEqual([1, 0, 0, 1]);
    expect(next.rates('24h').at(-1)?.relayed).toBe(1);
  });

  it('count into the newest span when the wall clock is set back', () => {
    say('message-relayed', { queueId: id(1) });
    clock.jump((0 - hours(5)) as DurationMs);
    say('message-relayed', { queueId: id(2) });
    expect(desk.rates('1h').at(-1)?.relayed).toBe(2);
  });
});

describe('changes', () => {
  it('wake whoever waits, and are told at once to whoever comes late', async () => {
    const signal = new AbortController().signal;
    const first = desk.changed(0, signal);
    say('message-relayed', { queueId: id(1) });
    expect(await first).toBe(1);
    expect(await desk.changed(0, signal)).toBe(1);
  });

  it.each(['token-refreshed', 'account-held', 'alert', 'fetch-failed', 'message-fetched'])('are told of %s', async (event) => {
    const signal = new AbortController().signal;
    const first = desk.changed(0, signal);
    say(event, {});
    expect(await first).toBe(1);
  });

  it('keep nobody waiting who leaves, nor when the relay stops', async () => {
    const leaving = new AbortController();
    const gone = desk.changed(0, leaving.signal);
    leaving.abort();
    expect(await gone).toBe(0);
    const waiting = desk.changed(0, new AbortController().signal);
    desk.close();
    expect(await waiting).toBe(0);
    expect(desk.isClosed).toBe(true);
  });

  it('are nothing that nobody sees', async () => {
    say('upstream-signed-in', { account: 'billing' });
    desk.observe('trace', { event: 'smtp', queueId: id(1) }, 'C: MAIL');
    const leaving = new AbortController();
    leaving.abort();
    expect(await desk.changed(0, leaving.signal)).toBe(0);
    expect(desk.messages({}, 1)).toEqual([]);
  });
});
