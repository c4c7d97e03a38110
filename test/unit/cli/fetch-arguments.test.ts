import { describe, expect, it } from 'vitest';
import { fetchText, readFetchRequest } from '../../../src/cli/fetch-arguments.ts';
import type { FetchView } from '../../../src/core/ports/fetch-control.ts';

describe('the arguments of postern fetch', () => {
  it.each([
    [['list'], {}, { kind: 'list' }],
    [['run', 'a'], {}, { kind: 'run', rule: 'a', isAside: false }],
    [['run', 'a'], { aside: true }, { kind: 'run', rule: 'a', isAside: true }],
    [['pause', 'a'], {}, { kind: 'pause', rule: 'a' }],
    [['resume', 'a'], {}, { kind: 'resume', rule: 'a' }],
    [['reset', 'a'], { yes: true }, { kind: 'reset', rule: 'a' }],
  ])('%j %j', (positionals, options, expected) => {
    expect(readFetchRequest({ positionals, options })).toEqual(expected);
  });

  it.each([
    [['toString'], {}, /there is list/],
    [['list', 'a'], {}, /takes no name/],
    [['run'], {}, /the name of one rule/],
    [['run', 'a', 'b'], {}, /the name of one rule/],
    [['run', 'a'], { yes: true }, /no option --yes/],
    [['reset', 'a'], {}, /add --yes/],
  ])('%j %j is a mistake', (positionals, options, what) => {
    expect(readFetchRequest({ positionals, options })).toEqual({
      kind: 'mistake',
      what: expect.stringMatching(what),
    });
  });
});

describe('the list', () => {
  const view: FetchView = {
    name: 'a',
    account: 'billing',
    mailbox: 'INBOX',
    sink: 'maildir /mail',
    state: 'waiting',
    isPaused: false,
    fetched: 3,
    held: 1,
    owed: 0,
    aside: [{ uid: 7, at: '2026-11-27T00:00:00.000Z', code: 'FETCH_MESSAGE_UNREADABLE', cause: 'it does\u001b[2J not come' }],
    asideCount: 2,
  };

  it('is short without rules', () => {
    expect(fetchText([])).toBe('There are no fetch rules.\n');
  });

  it('shows what was set aside and what is in the way, and no control characters of others', () => {
    const problem = { code: 'UPSTREAM_LOST', cause: 'cut', heals: 'by-itself' as const, remedy: 'Nothing.' };
    const text = fetchText([{ ...view, problem }]);
    expect(text).toMatch(/^RULE .*\na +billing INBOX +waiting +- +3 +1 +2 +maildir \/mail/);
    expect(text).toContain('a: cut [UPSTREAM_LOST]\nNothing.\n');
    expect(text).toContain('UID 7 since 2026-11-27T00:00:00.000Z');
    expect(text).toContain('and 1 more');
    expect(text).not.toContain('\u001b');
  });
});
