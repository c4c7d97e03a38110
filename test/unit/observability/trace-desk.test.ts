/** Traces: whose lines, how many, for how long, and never a secret. */
import { beforeEach, describe, expect, it } from 'vitest';
import { days, hours, minutes, seconds } from '../../../src/core/clock.ts';
import type { QueueId, SessionId } from '../../../src/core/ids.ts';
import type { LogFields } from '../../../src/core/ports/log.ts';
import type { TraceSubject } from '../../../src/core/ports/traces.ts';
import { problem } from '../../../src/core/problem.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';
import { TraceDesk } from '../../../src/observability/trace-desk.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let clock: FakeClock;
let scrubber: Scrubber;
let desk: TraceDesk;

beforeEach(() => {
  clock = new FakeClock();
  scrubber = new Scrubber();
  desk = new TraceDesk({ clock, scrubber });
});

const say = (fields: Partial<LogFields>, message = 'm'): void => desk.observe('trace', { event: 'e', ...fields }, message);
const messagesOf = async (id: string, after = 0): Promise<string[]> =>
  ((await desk.read(id, after))?.lines ?? []).map(({ message }) => message);
const session = (name: string): SessionId => name as SessionId;

describe('a trace', () => {
  it.each<[TraceSubject, Partial<LogFields>]>([
    [{ kind: 'client', name: 'erp' }, { client: 'erp' }],
    [{ kind: 'account', name: 'billing' }, { account: 'billing' }],
    [{ kind: 'message', name: 'Q000000000000001' }, { queueId: 'Q000000000000001' as QueueId }],
  ])('of %o hears what is about it, and nothing else', async (subject, fields) => {
    const { id } = await desk.start(subject);
    say(fields, 'mine');
    say({ client: 'other', account: 'other', queueId: 'Q000000000000002' as QueueId }, 'not mine');
    say({}, 'of nobody');
    expect(await messagesOf(id)).toEqual(['mine']);
  });

  it('is what the desk listens for, until its time is over', async () => {
    expect(desk.isListening).toBe(false);
    await desk.start({ kind: 'client', name: 'erp' }, minutes(1));
    expect(desk.isListening).toBe(true);
    await clock.advance(minutes(1));
    expect(desk.isListening).toBe(false);
  });

  it('has fields as the log has them, the problem taken apart, and no others', async () => {
    const { id } = await desk.start({ kind: 'client', name: 'erp' });
    const fields = { client: 'erp', durationMs: 1.6, problem: problem('CLIENT_UNKNOWN', 'why'), content: 'stray' } as never;
    say(fields);
    expect((await desk.read(id, 0))?.lines).toEqual([
      {
        number: 1,
        at: new Date(clock.now()).toISOString(),
        level: 'trace',
        message: 'm',
        fields: {
          event: 'e',
          client: 'erp',
          durationMs: 2,
          problem: 'CLIENT_UNKNOWN',
          cause: 'why',
          heals: 'after-repair',
          remedy: expect.any(String),
        },
      },
    ]);
  });

  it('is read on from where it was read', async () => {
    const { id } = await desk.start({ kind: 'client', name: 'erp' });
    for (let number = 1; number <= 5; number += 1) say({ client: 'erp' }, String(number));
    expect(await messagesOf(id, 3)).toEqual(['4', '5']);
    expect(await messagesOf(id, 5)).toEqual([]);
  });

  it('hears what a session said before its client was known, once', async () => {
    const { id } = await desk.start({ kind: 'client', name: 'erp' });
    say({ listener: 'l', sessionId: session('A') }, 'EHLO of A');
    say({ listener: 'l', sessionId: session('B') }, 'EHLO of B');
    say({ listener: 'l', sessionId: session('A'), client: 'erp' }, 'logged in');
    say({ listener: 'l', sessionId: session('A'), client: 'erp' }, 'MAIL');
    expect(await messagesOf(id)).toEqual(['EHLO of A', 'logged in', 'MAIL']);
  });

  it('stops to listen when its time is over, and keeps what it has', async () => {
    const { id } = await desk.start({ kind: 'client', name: 'erp' }, seconds(10));
    say({ client: 'erp' }, 'before');
    await clock.advance(seconds(10));
    say({ client: 'erp' }, 'after');
    expect(await messagesOf(id)).toEqual(['before']);
    expect((await desk.list())[0]).toMatchObject({ id, isListening: false, heard: 1, dropped: 0 });
  });

  it('listens for a quarter of an hour unless told, and for a day at most', async () => {
    const lengthOf = ({ startedAt, endsAt }: { startedAt: string; endsAt: string }): number => Date.parse(endsAt) - Date.parse(startedAt);
    expect(lengthOf(await desk.start({ kind: 'client', name: 'a' }))).toBe(minutes(15));
    expect(lengthOf(await desk.start({ kind: 'client', name: 'a' }, days(7)))).toBe(hours(24));
  });

  it('that is removed is gone', async () => {
    const { id } = await desk.start({ kind: 'client', name: 'erp' });
    expect([await desk.remove(id), await desk.remove(id), await desk.read(id, 0)]).toEqual([true, false, undefined]);
  });
});

describe('what is kept', () => {
  it('is the last lines of each trace', async () => {
    const { id } = await desk.start({ kind: 'client', name: 'erp' });
    for (let number = 1; number <= 5_000; number += 1) say({ client: 'erp' }, String(number));
    const reading = await desk.read(id, 0);
    expect(reading?.trace).toMatchObject({ heard: 5_000, dropped: 3_000 });
    expect([reading?.lines[0]?.number, reading?.lines.at(-1)?.message]).toEqual([3_001, '5000']);
  });

  it('is bounded in size as well, however long the lines are', async () => {
    const { id } = await desk.start({ kind: 'client', name: 'erp' });
    for (let number = 0; number < 1_000; number += 1) say({ client: 'erp' }, 'x'.repeat(1024 * 1024));
    const lines = (await desk.read(id, 0))?.lines ?? [];
    expect(lines.length).toBeGreaterThan(100);
    expect(JSON.stringify(lines).length).toBeLessThan(1.2 * 1024 * 1024);
  });

  it('is of the last ten traces', async () => {
    const ids: string[] = [];
    for (let number = 0; number < 12; number += 1) ids.push((await desk.start({ kind: 'client', name: `c${number}` })).id);
    expect((await desk.list()).map(({ id }) => id)).toEqual(ids.slice(2));
    expect(new Set(ids).size).toBe(12);
  });

  it('of sessions whose client is not known is bounded in lines and sessions', async () => {
    const { id } = await desk.start({ kind: 'client', name: 'erp' });
    for (let number = 0; number < 200; number += 1) say({ listener: 'l', sessionId: session('A') }, `a${number}`);
    for (let number = 0; number < 1_000; number += 1) say({ listener: 'l', sessionId: session(`S${number}`) }, 's');
    say({ listener: 'l', sessionId: session('A'), client: 'erp' }, 'too long ago');
    say({ listener: 'l', sessionId: session('S999'), client: 'erp' }, 'just now');
    expect(await messagesOf(id)).toEqual(['too long ago', 's', 'just now']);
    for (let number = 0; number < 200; number += 1) say({ listener: 'l', sessionId: session('B') }, `b${number}`);
    say({ listener: 'l', sessionId: session('B'), client: 'erp' }, 'known');
    expect((await messagesOf(id)).length).toBe(3 + 40 + 1);
  });
});

describe('a secret', () => {
  it.each([
    ['in the message', (secret: string) => [{ client: 'erp' }, `C: ${secret}`] as const],
    ['in a field', (secret: string) => [{ client: 'erp', reply: `535 ${secret} refused` }, 'm'] as const],
    ['in base64', (secret: string) => [{ client: 'erp' }, Buffer.from(`\0erp\0${secret}`).toString('base64')] as const],
    ['in hex', (secret: string) => [{ client: 'erp' }, Buffer.from(secret).toString('hex')] as const],
    ['in a URL', (secret: string) => [{ client: 'erp', file: `x?p=${encodeURIComponent(secret)}` }, 'm'] as const],
    ['in an error', (secret: string) => [{ client: 'erp', error: new Error(secret) }, 'm'] as const],
  ])('%s is not kept', async (_, make) => {
    const secret = 'canary "pässwörd" \\ 1234';
    scrubber.add(secret);
    const { id } = await desk.start({ kind: 'client', name: 'erp' });
    const [fields, message] = make(secret);
    say(fields, message);
    const text = JSON.stringify(await desk.read(id, 0));
    expect((await desk.read(id, 0))?.lines).toHaveLength(1);
    for (const form of [secret, JSON.stringify(secret).slice(1, -1), Buffer.from(secret).toString('hex'), encodeURIComponent(secret)])
      expect(text).not.toContain(form);
    expect(text).not.toContain(Buffer.from(`\0erp\0${secret}`).toString('base64').slice(8, 28));
  });
});

it('nothing is written where nobody listens', async () => {
  let written = 0;
  const counting = new TraceDesk({ clock, scrubber: { scrub: (text) => ((written += 1), text) } });
  counting.observe('trace', { event: 'e', client: 'erp' }, 'm');
  await counting.start({ kind: 'client', name: 'other' });
  counting.observe('trace', { event: 'e', client: 'erp' }, 'm');
  expect(written).toBe(0);
});
