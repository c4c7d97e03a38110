/** The last lines of the log: bounded, of the level that is wanted, without secrets. */
import { beforeEach, describe, expect, it } from 'vitest';
import { problem } from '../../../src/core/problem.ts';
import { LogDesk } from '../../../src/observability/log-desk.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let scrubber: Scrubber;
let desk: LogDesk;

beforeEach(() => {
  scrubber = new Scrubber();
  desk = new LogDesk({ clock: new FakeClock(), scrubber });
});

describe('LogDesk', () => {
  it('lists lines of a level and worse, newest first, with their fields', () => {
    desk.observe('info', { event: 'ready' }, 'ready');
    desk.observe('debug', { event: 'x' }, 'not kept');
    desk.observe('trace', { event: 'x' }, 'not kept');
    desk.observe('error', { event: 'defect', problem: problem('INTERNAL'), error: new Error('stack') }, 'broken');
    desk.observe('warn', { event: 'y', account: 'billing' }, 'careful');
    expect(desk.lines('info', 10).map(({ message }) => message)).toEqual(['careful', 'broken', 'ready']);
    expect(desk.lines('warn', 10)).toMatchObject([{ fields: { account: 'billing' } }, { level: 'error', fields: { problem: 'INTERNAL' } }]);
    expect(desk.lines('error', 10)).toHaveLength(1);
    expect(desk.lines('info', 1)).toMatchObject([{ number: 3 }]);
    expect(JSON.stringify(desk.lines('info', 10))).not.toContain('stack');
  });

  it('keeps the last thousand, each of bounded length', () => {
    for (let number = 1; number <= 5_000; number += 1) desk.observe('info', { event: 'x', reply: 'y'.repeat(10_000) }, `line ${number}`);
    const lines = desk.lines('info', 10_000);
    expect([lines.length, lines[0]?.number, lines.at(-1)?.number]).toEqual([1_000, 5_000, 4_001]);
    expect(String(lines[0]?.fields['reply'])).toHaveLength(1_000);
  });

  it('keeps no more of a problem and of recipients, either', () => {
    const forwardPaths = Array.from({ length: 1_000 }, (_, number) => `${number}@example.com`);
    desk.observe('warn', { event: 'x', problem: problem('INTERNAL', 'z'.repeat(1_000_000)), forwardPaths }, 'y'.repeat(1_000_000));
    expect(JSON.stringify(desk.lines('info', 1)).length).toBeLessThan(5_000);
  });

  it('takes a secret that is a word of its own documents out of texts alone', () => {
    scrubber.add('message');
    desk.observe('info', { event: 'x', reply: 'a message' }, 'the message');
    expect(desk.lines('info', 10)).toMatchObject([{ number: 1, message: 'the [secret]', fields: { reply: 'a [secret]' } }]);
  });

  it('shows no secret, whenever it was learned of', () => {
    desk.observe('info', { event: 'x', reply: 'canary-secret-1' }, 'canary-secret-1');
    scrubber.add('canary-secret-1');
    expect(JSON.stringify(desk.lines('info', 10))).not.toContain('canary-secret-1');
  });
});
