import { describe, expect, it } from 'vitest';
import { changeText, itemText, listingText } from '../../../src/cli/queue-text.ts';
import { printable, table } from '../../../src/cli/table.ts';
import type { EpochMs } from '../../../src/core/clock.ts';
import type { QueueId } from '../../../src/core/ids.ts';
import type { QueueItem } from '../../../src/core/ports/queue-control.ts';

const NOW = Date.UTC(2026, 10, 23, 12) as EpochMs;

const item = (changes: Partial<QueueItem> = {}): QueueItem => ({
  queueId: '1M83T4CM00000000' as QueueId,
  account: 'billing',
  client: 'erp',
  acceptedAt: '2026-11-23T09:00:00.000Z',
  reversePath: 'erp@contoso.test',
  messageId: '<1@contoso.test>',
  size: 4096,
  recipients: [{ address: 'a@example.test', state: 'pending', reply: { code: 451, enhancedCode: '4.7.500', text: ['Server', 'busy'] } }],
  attempts: 3,
  nextAttemptAt: '2026-11-23T12:30:00.000Z',
  isAmbiguous: false,
  ...changes,
});

const held = (): QueueItem => {
  const { nextAttemptAt: _, ...rest } = item({
    queueId: '1M83T4CM00000001' as QueueId,
    account: 'scans-of-floor-2',
    acceptedAt: '2026-11-20T09:00:00.000Z',
    reversePath: '',
    size: 12_000_000,
    attempts: 12,
    isAmbiguous: true,
    recipients: [
      { address: 'done@example.test', state: 'delivered', at: '2026-11-20T09:00:00.000Z' },
      { address: 'b@example.test', state: 'pending' },
      { address: 'c@example.test', state: 'pending' },
    ],
  });
  return { ...rest, hold: { code: 'UPSTREAM_BLOCKED', since: '2026-11-20T10:00:00.000Z', cause: 'blocked', remedy: 'Unblock it.' } };
};

describe('a listing', () => {
  it('stands in columns', () => {
    expect(listingText({ matching: 2, items: [held(), item()] }, NOW, false)).toBe(
      [
        'ID                AGE  SIZE    ACCOUNT           TRIES  NEXT    FROM              TO                 LAST',
        '1M83T4CM00000001  3d   11.4MB  scans-of-floor-2  12!    held    <>                b@example.test +1  UPSTREAM_BLOCKED',
        '1M83T4CM00000000  3h   4KB     billing           3      in 30m  erp@contoso.test  a@example.test     451 4.7.500 busy',
        '',
      ].join('\n'),
    );
  });

  it('says how many more there are, and where there is none', () => {
    expect(listingText({ matching: 8, items: [item()] }, NOW, false)).toMatch(/\n… and 7 more: --limit N shows more of them\n$/);
    expect(listingText({ matching: 0, items: [] }, NOW, true)).toBe('No message in the queue matches.\n');
    expect(listingText({ matching: 0, items: [] }, NOW, false)).toBe('The queue is empty.\n');
  });
});

describe('one message', () => {
  it('is told whole, replies verbatim', () => {
    const headers = 'Subject: =?utf-8?Q?=C3=BC?=\r\nTo: a\r\n b\r\n\r\n';
    const text = itemText({ ...item({ warnedAt: '2026-11-23T11:00:00.000Z' }), headers, subject: 'ü' }, NOW);
    expect(text).toBe(
      [
        'Message       1M83T4CM00000000',
        'Account       billing',
        'Client        erp',
        'Accepted      2026-11-23 09:00Z (3 h ago)',
        'From          erp@contoso.test',
        'Subject       ü',
        'Message-ID    <1@contoso.test>',
        'Size          4096 octets',
        'Attempts      3',
        'Next attempt  2026-11-23 12:30Z (in 30 min)',
        'Delay told    2026-11-23 11:00Z (60 min ago)',
        '',
        'Recipients',
        '  a@example.test: waiting',
        '    451-4.7.500 Server',
        '    451 4.7.500 busy',
        '',
        'Header section',
        '  Subject: =?utf-8?Q?=C3=BC?=',
        '  To: a',
        '   b',
        '',
      ].join('\n'),
    );
  });

  it('that is held says why and what to do, and that it may have been delivered', () => {
    const text = itemText({ ...held(), headers: '' }, NOW);
    expect(text).toMatch(/^Held +2026-11-20 10:00Z \(3 days ago\): blocked \[UPSTREAM_BLOCKED\]\n +Unblock it\.\n/m);
    expect(text).toMatch(/^Ambiguous .*may have been delivered/m);
    expect(text).toMatch(/^From +<> \(a report\)$/m);
    expect(text).toMatch(/^ {2}done@example\.test: delivered 2026-11-20 09:00Z/m);
    expect(text).not.toContain('Next attempt');
  });

  it('gives the terminal no orders', () => {
    const evil = '\u001b]0;owned\u0007\u202egnp.exe\r\u009b31m';
    const text = itemText(
      {
        ...item({
          messageId: evil,
          reversePath: evil,
          client: evil,
          recipients: [{ address: evil, state: 'pending', reply: { code: 450, text: [evil] } }],
        }),
        headers: `Subject: ${evil}\r\n`,
        subject: evil,
      },
      NOW,
    );
    expect(text + listingText({ matching: 1, items: [item({ reversePath: evil })] }, NOW, false)).not.toMatch(
      /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/,
    );
  });
});

describe('a change', () => {
  const ids = ['1M83T4CM00000000', '1M83T4CM00000001'] as QueueId[];
  it.each([
    ['retry', ids.slice(0, 1), true, '1M83T4CM00000000: due now\n'],
    ['retry', ids, false, '2 messages: due now (once postern serve runs again)\n'],
    ['hold', ids, false, '2 messages: held\n'],
    ['release', [], true, '0 messages: released\n'],
    ['drop', ids, true, '2 messages: dropped\n'],
  ] as const)('%s', (verb, changed, isServed, expected) => {
    expect(changeText(verb, { changed: [...changed], unknown: [] }, isServed)).toBe(expected);
  });
});

describe('a table', () => {
  it('aligns all columns but the last', () => {
    expect(table([['a', 'bb', 'c'], ['aaa', '', 'cccc'], ['']])).toBe('a    bb  c\naaa      cccc\n\n');
  });

  it('keeps each cell on its line', () => {
    expect(printable('a\tb\nc\u2028d\ud800e')).toBe('a b?c?d?e');
  });
});
