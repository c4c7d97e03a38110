import { describe, expect, it } from 'vitest';
import { hours, milliseconds, minutes, plus, seconds } from '../../../src/core/clock.ts';
import type { SinkOutcome } from '../../../src/core/ports/message-sink.ts';
import { MailboxError } from '../../../src/core/ports/mailbox.ts';
import { ProblemError, problem } from '../../../src/core/problem.ts';
import { AT_SERVER, FetchLab } from '../../support/fetch-lab.ts';

const LOST = new ProblemError(problem('UPSTREAM_LOST', 'imap.test:993: connection lost'));
const UNREADABLE = new ProblemError(problem('FETCH_MESSAGE_UNREADABLE', 'message 2: it does not come'));
const later: SinkOutcome = { kind: 'later', problem: problem('FETCH_SINK_FAILED', '/mail: ENOSPC') };
const refused: SinkOutcome = { kind: 'refused', problem: problem('FETCH_SINK_FAILED', '550 no') };

describe('where a rule begins', () => {
  it.each([
    ['now', 'now' as const, ['c']],
    ['all', 'all' as const, ['a', 'b', 'c']],
    ['a day', plus(new FetchLab().clock.now(), milliseconds(-3_600_000)), ['b', 'c']],
  ])('%s', async (_name, start, expected) => {
    const lab = new FetchLab({ start });
    lab.arrive('a', plus(lab.clock.now(), hours(-2)));
    lab.arrive('b', plus(lab.clock.now(), minutes(-30)));
    await lab.start();
    lab.arrive('c');
    await lab.pass(seconds(1));
    expect(lab.ids).toEqual(expected);
  });

  it('is in an empty mailbox, too, and only what is new comes after a restart', async () => {
    const lab = new FetchLab();
    await lab.start();
    lab.arrive('a');
    await lab.pass(seconds(1));
    lab.arrive('b');
    await lab.restart();
    expect(lab.ids).toEqual(['a', 'b']);
  });

  it('is anew where the rule reads another mailbox, whatever its UIDVALIDITY', async () => {
    const lab = new FetchLab();
    lab.arrive('a');
    await lab.start();
    const other = new FetchLab({ mailbox: 'Archive' });
    other.arrive('b');
    for (const [name, cursor] of lab.saved) other.saved.set(name, cursor);
    await other.start();
    expect(other.ids).toEqual(['b']);
  });
});

describe('news', () => {
  it('come at once by IDLE, which is renewed within 29 minutes', async () => {
    const lab = new FetchLab();
    await lab.start();
    let waits = 0;
    lab.hook = (step) => {
      if (step === 'wait') waits += 1;
      return undefined;
    };
    await lab.pass(hours(24));
    expect(waits).toBeGreaterThanOrEqual((24 * 60) / 29);
    expect(lab.mailbox.sessions).toBe(1);
    lab.arrive('a');
    await lab.pass(milliseconds(0));
    expect(lab.ids).toEqual(['a']);
  });

  it('are asked for in each interval where the server has no IDLE', async () => {
    const lab = new FetchLab();
    lab.mailbox.canIdle = false;
    await lab.start();
    lab.mailbox.onNews(() => {});
    lab.arrive('a');
    lab.mailbox.onNews(() => {});
    await lab.pass(minutes(1));
    expect(lab.ids).toEqual(['a']);
  });

  it('are asked for with a session each time in mode poll', async () => {
    const lab = new FetchLab({ mode: 'poll', interval: minutes(5) });
    await lab.start();
    lab.arrive('a');
    await lab.pass(minutes(4));
    expect(lab.ids).toEqual([]);
    await lab.pass(minutes(1));
    expect(lab.ids).toEqual(['a']);
    expect(lab.mailbox.sessions).toBe(2);
  });

  it('all come in 24 hours of tokens that end, goodbyes and throttles', async () => {
    const lab = new FetchLab({ after: { kind: 'seen' } });
    lab.mailbox.tokenLife = hours(1);
    await lab.start();
    const expected: string[] = [];
    let steps = 0;
    lab.hook = async (step) => {
      if (!AT_SERVER.has(step)) return;
      steps += 1;
      if (steps % 17 === 0) throw LOST;
      if (steps % 101 === 0) {
        throw new MailboxError(problem('UPSTREAM_BUSY', 'throttled'), { row: 'throttled', retryAfter: minutes(5) });
      }
    };
    for (let hour = 0; hour < 24; hour += 1) {
      for (let one = 0; one < 6; one += 1) {
        const id = `h${hour}-${one}`;
        expected.push(id);
        lab.arrive(id);
        await lab.pass(minutes(10));
      }
    }
    lab.hook = () => undefined;
    await lab.pass(hours(2));
    expect([...new Set(lab.ids)].toSorted()).toEqual(expected.toSorted());
    expect(lab.ids.length).toBe(expected.length);
    expect([...lab.mailbox.messages.values()].every(({ flags }) => flags.has('\\Seen'))).toBe(true);
  });

  it('are read in another session before the token ends', async () => {
    const lab = new FetchLab();
    lab.mailbox.tokenLife = hours(1);
    await lab.start();
    await lab.pass(minutes(57));
    expect(lab.mailbox.sessions).toBe(1);
    await lab.pass(minutes(1));
    expect(lab.mailbox.sessions).toBe(2);
  });
});

describe('a server that asks for patience', () => {
  it('is left alone for so long', async () => {
    const lab = new FetchLab();
    let opened = 0;
    lab.hook = async (step) => {
      if (step !== 'open') return;
      opened += 1;
      if (opened === 1) throw new MailboxError(problem('UPSTREAM_BUSY'), { row: 'throttled', retryAfter: minutes(30) });
    };
    await lab.start();
    expect(lab.fetcher.view).toMatchObject({ state: 'backing-off', problem: { code: 'UPSTREAM_BUSY' } });
    await lab.pass(minutes(29));
    expect(opened).toBe(1);
    await lab.pass(minutes(1));
    expect(opened).toBe(2);
    expect(lab.fetcher.view.problem).toBeUndefined();
  });
});

describe('a sink that cannot take a message now', () => {
  it('holds this one in its mailbox, untouched, while others go on; it comes later', async () => {
    const lab = new FetchLab({ after: { kind: 'delete' } });
    let isFull = true;
    lab.answer = (_message, content) => (isFull && content.includes('<b>') ? later : { kind: 'stored', detail: '' });
    for (const id of ['a', 'b', 'c']) lab.arrive(id);
    await lab.start();
    expect(lab.ids).toEqual(['a', 'c']);
    expect([...lab.mailbox.messages.keys()]).toEqual([2]);
    expect(lab.fetcher.view).toMatchObject({ held: 1, problem: { code: 'FETCH_SINK_FAILED' } });
    isFull = false;
    await lab.pass(minutes(1));
    expect(lab.ids).toEqual(['a', 'c', 'b']);
    expect(lab.mailbox.messages.size).toBe(0);
    expect(lab.fetcher.view.problem).toBeUndefined();
  });

  it('is left alone after three in a row, and nothing is set aside however long that lasts', async () => {
    const lab = new FetchLab();
    let offers = 0;
    lab.answer = () => {
      offers += 1;
      return later;
    };
    for (let index = 0; index < 50; index += 1) lab.arrive(`m${index}`);
    await lab.start();
    expect(offers).toBe(3);
    await lab.pass(hours(5));
    expect(offers).toBeLessThan(200);
    expect(lab.cursor.aside.size).toBe(0);
    lab.answer = () => ({ kind: 'stored', detail: '' });
    await lab.pass(minutes(30));
    expect(new Set(lab.ids).size).toBe(50);
    expect(lab.ids.length).toBe(50);
  });

  it('is asked again when it said', async () => {
    const lab = new FetchLab();
    lab.answer = () => ({ ...later, afterMs: 3_600_000 });
    lab.arrive('a');
    await lab.start();
    lab.answer = () => ({ kind: 'stored', detail: '' });
    await lab.pass(minutes(59));
    expect(lab.ids).toEqual([]);
    await lab.pass(minutes(1));
    expect(lab.ids).toEqual(['a']);
  });
});

describe('a message that cannot be handed on', () => {
  const cases: [string, (lab: FetchLab) => void][] = [
    ['is refused', (lab) => (lab.answer = (_m, content) => (content.includes('<b>') ? refused : { kind: 'stored', detail: '' }))],
    [
      'cannot be read',
      (lab) =>
        (lab.hook = async (step, uid) => {
          if (step === 'content' && uid === 2) throw UNREADABLE;
        }),
    ],
    [
      'cannot be described',
      (lab) =>
        (lab.hook = async (step, uid) => {
          if (step === 'describe' && uid === 2) throw UNREADABLE;
        }),
    ],
    [
      'ends the session each time',
      (lab) =>
        (lab.hook = async (step, uid) => {
          if (step === 'content' && uid === 2) throw LOST;
        }),
    ],
  ];
  it.each(cases)('and %s is set aside after three tries; others go on, an operator has it tried again', async (_name, arrange) => {
    const lab = new FetchLab();
    arrange(lab);
    for (const id of ['a', 'b', 'c']) lab.arrive(id);
    await lab.start();
    await lab.pass(seconds(30));
    expect(lab.ids).toEqual(['a', 'c']);
    await lab.pass(hours(1));
    expect([...lab.cursor.aside.keys()]).toEqual([2]);
    expect(lab.aside.at(-1)).toBe(1);
    expect(lab.log.of('fetch-set-aside')).toHaveLength(1);
    lab.answer = () => ({ kind: 'stored', detail: '' });
    lab.hook = () => undefined;
    await lab.fetcher.look(true);
    await lab.pass(seconds(1));
    expect(lab.ids).toEqual(['a', 'c', 'b']);
    expect(lab.aside.at(-1)).toBe(0);
  });

  it('is not blamed for a provider that throttles, or refuses the token, whenever it is read', async () => {
    const lab = new FetchLab();
    const codes = ['UPSTREAM_BUSY', 'UPSTREAM_AUTH_REFUSED', 'TOKEN_MISSING'] as const;
    let count = 0;
    lab.hook = async (step, uid) => {
      if (!(['describe', 'content'] as string[]).includes(step) || uid !== 1) return;
      count += 1;
      throw new MailboxError(problem(codes[count % 3] ?? 'UPSTREAM_BUSY', 'not now'), { row: 'throttled', retryAfter: seconds(1) });
    };
    lab.arrive('a');
    await lab.start();
    await lab.pass(hours(1));
    expect(count).toBeGreaterThan(3);
    expect([lab.cursor.aside.size, lab.cursor.held.size]).toEqual([0, 0]);
    lab.hook = () => undefined;
    await lab.pass(hours(1));
    expect(lab.ids).toEqual(['a']);
  });

  it('is no reason to forget tries at a restart', async () => {
    const lab = new FetchLab();
    lab.answer = () => refused;
    lab.arrive('a');
    await lab.start();
    await lab.restart();
    await lab.restart();
    expect([...lab.cursor.aside.keys()]).toEqual([1]);
  });
});

describe('a mailbox that changes meanwhile', () => {
  it('loses a message between search and fetch: it is passed over, the next one comes', async () => {
    const lab = new FetchLab();
    lab.arrive('a');
    lab.arrive('b');
    lab.hook = (step, uid) => {
      if (step === 'describe' && uid === 1) lab.mailbox.messages.delete(1);
      return undefined;
    };
    await lab.start();
    expect(lab.ids).toEqual(['b']);
    expect(lab.fetcher.view).toMatchObject({ held: 0, asideCount: 0, lastUid: 2 });
  });

  it.each([
    ['another UIDVALIDITY', 2n, 1],
    ['another UIDVALIDITY and higher UIDs', 2n, 500],
    ['the same UIDVALIDITY and UIDs that are used again', 1n, 1],
  ])('has %s: what was fetched does not come again, what was not comes', async (_name, uidValidity, from) => {
    const lab = new FetchLab();
    for (const id of ['a', 'b', 'c']) lab.arrive(id);
    lab.answer = (_message, content) => (content.includes('<b>') ? later : { kind: 'stored', detail: '' });
    await lab.start();
    lab.hook = async () => {
      throw LOST;
    };
    lab.mailbox.messages.delete(3);
    lab.mailbox.renumber(uidValidity, from);
    await lab.pass(minutes(21));
    lab.answer = () => ({ kind: 'stored', detail: '' });
    lab.hook = () => undefined;
    await lab.pass(minutes(21));
    lab.arrive('d');
    await lab.pass(minutes(1));
    expect(lab.ids).toEqual(['a', 'c', 'b', 'd']);
  });

  it('is renumbered twice before it has been gone through', async () => {
    const lab = new FetchLab();
    for (const id of ['a', 'b', 'c', 'd']) lab.arrive(id);
    await lab.start();
    lab.mailbox.renumber(2n);
    lab.hook = (step, uid) => (step === 'describe' && uid === 3 ? new Promise(() => {}) : undefined);
    lab.fetcher.pause(true);
    await lab.pass(seconds(1));
    lab.fetcher.pause(false);
    await lab.pass(seconds(1));
    lab.mailbox.renumber(3n);
    await lab.restart();
    lab.arrive('e');
    await lab.pass(seconds(1));
    expect(lab.ids).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('is renumbered under a rule that began now: what was there before stays there', async () => {
    const lab = new FetchLab({ start: 'now' });
    lab.arrive('old', plus(lab.clock.now(), hours(-5)));
    await lab.start();
    await lab.pass(hours(1));
    lab.arrive('a');
    await lab.pass(seconds(1));
    lab.mailbox.renumber(2n);
    await lab.restart();
    expect(lab.ids).toEqual(['a']);
  });

  it('has two messages with the same fields, and both come, also over a renumbering', async () => {
    const lab = new FetchLab();
    lab.mailbox.append('Message-ID: <x>\r\n\r\none', new Date());
    await lab.start();
    lab.mailbox.append('Message-ID: <x>\r\n\r\nsame', new Date());
    lab.mailbox.append('Message-ID: <x>\r\n\r\nsame', new Date());
    lab.mailbox.renumber(2n);
    await lab.restart();
    expect(lab.taken).toHaveLength(3);
    expect(new Set(lab.taken.map(({ key }) => key)).size).toBe(3);
  });
});

describe('a rule that an operator handles', () => {
  it('rests while it is paused, and goes on', async () => {
    const lab = new FetchLab();
    await lab.start();
    lab.fetcher.pause(true);
    await lab.pass(seconds(1));
    expect(lab.fetcher.view.state).toBe('paused');
    lab.arrive('a');
    await lab.pass(hours(1));
    expect(lab.ids).toEqual([]);
    lab.fetcher.pause(false);
    await lab.pass(seconds(1));
    expect(lab.ids).toEqual(['a']);
  });

  it.each([false, true])('begins anew when it is reset (paused: %s)', async (isPaused) => {
    const lab = new FetchLab();
    lab.arrive('a');
    await lab.start();
    lab.fetcher.pause(isPaused);
    const reset = lab.fetcher.reset();
    await lab.pass(seconds(1));
    await reset;
    lab.fetcher.pause(false);
    await lab.pass(seconds(1));
    expect(lab.ids).toEqual(['a', 'a']);
    expect(lab.taken[0]?.key).toBe(lab.taken[1]?.key);
  });

  it('answers each of several resets, and one that comes too late', async () => {
    const lab = new FetchLab();
    lab.arrive('a');
    await lab.start();
    const resets = [lab.fetcher.reset(), lab.fetcher.reset()];
    await lab.pass(seconds(1));
    await Promise.all(resets);
    expect(lab.ids).toEqual(['a', 'a']);
    const late = lab.fetcher.reset().catch(String);
    await lab.fetcher.stop();
    expect(await late).toContain('is stopped');
    await expect(lab.fetcher.reset()).rejects.toThrow('is stopped');
  });

  it('breaks off when it is stopped, and the message comes after the next start', async () => {
    const lab = new FetchLab();
    await lab.start();
    await lab.fetcher.stop();
    expect(lab.fetcher.view.state).toBe('stopped');
    lab.arrive('a');
    await lab.restart();
    expect(lab.ids).toEqual(['a']);
  });
});

describe('a cursor that cannot be written', () => {
  it('stops the rule; the message is not delivered again once it can', async () => {
    const lab = new FetchLab();
    await lab.start();
    let isBroken = true;
    lab.hook = async (step) => {
      if (step === 'save' && isBroken) throw new ProblemError(problem('FETCH_CURSOR_FAILED', 'ENOSPC'));
    };
    lab.arrive('a');
    await lab.pass(minutes(5));
    expect(lab.fetcher.view).toMatchObject({ state: 'backing-off', problem: { code: 'FETCH_CURSOR_FAILED' } });
    isBroken = false;
    await lab.pass(minutes(30));
    expect(lab.ids).toEqual(['a']);
    expect(lab.cursor.lastUid).toBe(1);
  });
});

describe('a mailbox that cannot be told', () => {
  it('is told later; nothing is handed on again', async () => {
    const lab = new FetchLab({ after: { kind: 'move', mailbox: 'Done' } });
    let isBroken = true;
    lab.hook = async (step) => {
      if (step === 'change' && isBroken) throw new ProblemError(problem('FETCH_CHANGE_FAILED', 'no such mailbox'));
    };
    lab.arrive('a');
    lab.arrive('b');
    await lab.start();
    expect(lab.ids).toEqual(['a', 'b']);
    expect(lab.fetcher.view).toMatchObject({ owed: 2, problem: { code: 'FETCH_CHANGE_FAILED' } });
    isBroken = false;
    await lab.restart();
    expect(lab.ids).toEqual(['a', 'b']);
    expect(lab.mailbox.messages.size).toBe(0);
    expect(lab.cursor.owed.size).toBe(0);
  });
});
