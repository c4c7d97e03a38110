/** Which spans become of which lines of the log. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type DurationMs, milliseconds, seconds } from '../../../src/core/clock.ts';
import { type QueueId, queueId, type SessionId } from '../../../src/core/ids.ts';
import type { LogFields } from '../../../src/core/ports/log.ts';
import { problem } from '../../../src/core/problem.ts';
import { spanIdOf, traceIdOf } from '../../../src/core/trace-parent.ts';
import { MessageSpans, SPAN_EVENTS } from '../../../src/observability/message-spans.ts';
import type { Span } from '../../../src/observability/span.ts';
import { type Sampler, samplerOf } from '../../../src/observability/trace-sampler.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const traceParent = `00-${TRACE}-${PARENT}-01`;
const SESSION = 'session-1' as SessionId;
const REFUSED = problem('UPSTREAM_DEFERRED', 'canary-cause');

let clock: FakeClock;
let spans: Span[];
let desk: MessageSpans;
let id: QueueId;

beforeEach(() => {
  clock = new FakeClock();
  spans = [];
  desk = begin(() => true);
  id = queueId(clock.now(), new Uint8Array([1, 2, 3, 4, 5, 6, 7]));
});

function begin(sampler: Sampler): MessageSpans {
  return new MessageSpans({ clock, sampler, emit: (span) => spans.push(span) });
}

function say(event: string, fields: Partial<LogFields> = {}): void {
  desk.observe('info', { event, queueId: id, account: 'billing', client: 'erp', ...fields }, 'canary-message');
}

const turn = (): Promise<void> => clock.advance(0 as DurationMs);
const named = (name: string): Span[] => spans.filter((span) => span.name === name);
const inSession = { sessionId: SESSION, reversePath: 'canary@from.test', forwardPaths: ['canary@to.test'] };

describe('the table of events', () => {
  it('has only names that some room logs', () => {
    const root = join(import.meta.dirname, '../../../src');
    const source = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('message-spans.ts'))
      .map((name) => readFileSync(join(root, name), 'utf8'))
      .join('\n');
    const isLogged = (event: string): boolean =>
      source.includes(`'${event}'`) || (event === 'queue-drop' && source.includes('`queue-${verb}`'));
    expect(SPAN_EVENTS.filter((event) => !isLogged(event))).toEqual([]);
  });
});

describe('a message delivered directly', () => {
  it('is one trace below the span of its application', async () => {
    await clock.advance(milliseconds(400));
    say('message-relayed', {
      ...inSession,
      traceParent,
      upstream: 'smtp.test:587',
      reply: '250 2.0.0 canary-reply',
      durationMs: milliseconds(390),
      size: 70,
    });
    say('message-answered', {
      sessionId: SESSION,
      listener: '127.0.0.1:25',
      traceParent,
      reply: '250 2.0.0 OK',
      durationMs: milliseconds(100),
    });
    expect(spans.map(({ name }) => name).sort()).toEqual(['accept', 'message', 'relay']);
    const [message] = named('message');
    const [relay] = named('relay');
    expect(message).toMatchObject({
      traceId: TRACE,
      spanId: spanIdOf(id, 'message'),
      parentSpanId: PARENT,
      isParentRemote: true,
      kind: 'server',
    });
    expect((message?.end ?? 0) - (message?.begin ?? 0)).toBe(400);
    expect(relay).toMatchObject({
      traceId: TRACE,
      parentSpanId: message?.spanId,
      kind: 'client',
      attributes: { 'server.address': 'smtp.test', 'server.port': 587, 'smtp.reply.code': 250, 'postern.recipients.relayed': 1 },
    });
    expect((relay?.end ?? 0) - (relay?.begin ?? 0)).toBe(390);
    expect(named('accept')[0]).toMatchObject({ parentSpanId: message?.spanId, begin: clock.now() - 100 });
    expect(spans.every(({ failure }) => failure === undefined)).toBe(true);
    expect(JSON.stringify(spans)).not.toContain('canary');
    expect(desk.openCount).toBe(0);
  });

  it('refused at MAIL fails once its session has ended, in a trace of its own', () => {
    say('message-deferred', { ...inSession, stage: 'mail', reply: '451 4.3.2 canary', durationMs: milliseconds(5), problem: REFUSED });
    expect(spans).toEqual([]);
    desk.observe('debug', { event: 'session-ended', sessionId: 'another' as SessionId }, '');
    expect(spans).toEqual([]);
    desk.observe('debug', { event: 'session-ended', sessionId: SESSION }, '');
    expect(named('message')).toMatchObject([{ traceId: traceIdOf(id), failure: 'UPSTREAM_DEFERRED' }]);
    expect(named('message')[0]).not.toHaveProperty('parentSpanId');
    expect(named('relay')).toMatchObject([
      { failure: 'UPSTREAM_DEFERRED', attributes: { 'smtp.reply.code': 451, 'postern.stage': 'mail' } },
    ]);
    expect(JSON.stringify(spans)).not.toContain('canary');
  });

  it('refused for one of two recipients has not failed, and waits for the traceparent', () => {
    say('message-refused', { ...inSession, stage: 'rcpt', reply: '550 5.1.1 no', durationMs: milliseconds(5), problem: REFUSED });
    say('message-relayed', { ...inSession, traceParent, reply: '250 2.0.0 ok', durationMs: milliseconds(9) });
    say('message-answered', { sessionId: SESSION, traceParent, reply: '250 2.0.0 ok' });
    expect(spans.map((span) => span.traceId)).toEqual([TRACE, TRACE]);
    expect(named('relay')).toMatchObject([
      { attributes: { 'postern.recipients.relayed': 1, 'postern.recipients.refused': 1, 'smtp.reply.code': 250 } },
    ]);
    expect(spans.every(({ failure }) => failure === undefined)).toBe(true);
  });

  it('refused by us has no attempt', () => {
    say('message-refused', { ...inSession, listener: '127.0.0.1:25', reply: '554 5.6.0 no', problem: problem('MESSAGE_MALFORMED') });
    say('message-answered', { sessionId: SESSION, listener: '127.0.0.1:25', reply: '554 5.6.0 no', durationMs: milliseconds(1) });
    expect(spans.map(({ name }) => name)).toEqual(['accept', 'message']);
    expect(named('message')).toMatchObject([{ failure: 'MESSAGE_MALFORMED', attributes: { 'smtp.reply.code': 554 } }]);
  });

  it('is not held for ever, however many are left open', () => {
    for (let index = 0; index < 1_500; index += 1) {
      const one = queueId(clock.now(), new Uint8Array([index % 32, index / 32, 3, 4, 5, 6, 7]));
      say('message-deferred', { ...inSession, queueId: one, reply: '451 no', durationMs: milliseconds(1), problem: REFUSED });
    }
    expect(desk.openCount).toBe(1_000);
    expect(named('message')).toHaveLength(500);
  });
});

describe('a message that is queued', () => {
  const queued = { reversePath: 'canary@from.test', forwardPaths: ['canary@to.test'], upstream: 'smtp.test:587' };

  it.each([
    ['with a traceparent', traceParent, TRACE],
    ['without', undefined, undefined],
  ])('has its attempts in one trace over hours and a restart, %s', async (_how, given, expected) => {
    const trace = given === undefined ? {} : { traceParent: given };
    say('message-queued', { ...inSession, ...trace });
    say('message-answered', { sessionId: SESSION, reply: '250 2.0.0 queued', durationMs: milliseconds(1), ...trace });
    await clock.advance(seconds(3600));
    say('message-deferred', { ...queued, ...trace, attempt: 1, durationMs: milliseconds(20), reply: '451 4.3.2 no', problem: REFUSED });
    await turn();
    desk = begin(() => true);
    await clock.advance(seconds(3600));
    say('message-relayed', { ...queued, ...trace, attempt: 2, durationMs: milliseconds(30), reply: '250 2.0.0 ok' });
    await turn();
    expect(spans.map(({ name }) => name)).toEqual(['accept', 'message', 'relay', 'relay']);
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([expected ?? traceIdOf(id)]));
    expect(named('relay').map(({ parentSpanId }) => parentSpanId)).toEqual([spanIdOf(id, 'message'), spanIdOf(id, 'message')]);
    expect(named('relay').map(({ failure }) => failure)).toEqual(['UPSTREAM_DEFERRED', undefined]);
    expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(4);
    expect(desk.openCount).toBe(0);
  });

  it('has one span for all lines of an attempt', async () => {
    say('message-relayed', { ...queued, attempt: 1, forwardPaths: ['a@b.c', 'd@e.f'], reply: '250 ok', durationMs: milliseconds(9) });
    say('message-refused', { ...queued, attempt: 1, reply: '550 no', durationMs: milliseconds(9), problem: REFUSED });
    say('message-deferred', { ...queued, attempt: 1, reply: '450 no', durationMs: milliseconds(9), problem: REFUSED });
    await turn();
    expect(spans).toMatchObject([
      { attributes: { 'postern.recipients.relayed': 2, 'postern.recipients.refused': 1, 'postern.recipients.deferred': 1 } },
    ]);
  });

  it('that is given up, or dropped, says so', () => {
    say('message-given-up', { ...queued, traceParent, problem: REFUSED });
    say('queue-drop', { traceParent });
    expect(named('give-up')).toMatchObject([{ traceId: TRACE, failure: 'UPSTREAM_DEFERRED' }]);
    expect(named('drop')[0]).not.toHaveProperty('failure');
  });

  it('and is a report of ours stands by itself', async () => {
    say('message-relayed', { ...queued, reversePath: '', attempt: 1, reply: '250 ok', durationMs: milliseconds(9) });
    await turn();
    expect(spans).toHaveLength(1);
    expect(spans[0]).not.toHaveProperty('parentSpanId');
  });
});

describe('a sampler', () => {
  it('by parent follows the application, else its own rule', () => {
    const sampler = samplerOf('parentbased_always_off', 1);
    expect(sampler?.(TRACE, { traceId: TRACE, parentId: PARENT, isSampled: true })).toBe(true);
    expect(sampler?.(TRACE, undefined)).toBe(false);
    expect(samplerOf('nonsense', 1)).toBeUndefined();
  });

  it('by ratio takes about that part, and always the same', () => {
    const ids = Array.from({ length: 2_000 }, (_, index) => traceIdOf(`${index}` as QueueId));
    const taken = ids.filter((traceId) => samplerOf('traceidratio', 0.25)?.(traceId, undefined));
    expect(taken.length).toBeGreaterThan(400);
    expect(taken.length).toBeLessThan(600);
    expect(ids.filter((traceId) => samplerOf('traceidratio', 0)?.(traceId, undefined))).toEqual([]);
    expect(ids.filter((traceId) => samplerOf('traceidratio', 1)?.(traceId, undefined))).toEqual(ids);
  });

  it('keeps what is not sampled out altogether', () => {
    desk = begin(() => false);
    say('message-relayed', { ...inSession, reply: '250 ok', durationMs: milliseconds(1) });
    say('message-answered', { sessionId: SESSION, reply: '250 ok', durationMs: milliseconds(1) });
    expect(spans).toEqual([]);
    expect(desk.openCount).toBe(0);
  });
});
