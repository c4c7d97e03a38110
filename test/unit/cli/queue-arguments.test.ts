import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../../src/cli/arguments.ts';
import { QUEUE_OPTIONS, type QueueRequest, readQueueRequest } from '../../../src/cli/queue-arguments.ts';

const COMMANDS = { queue: { usage: 'queue VERB', maxPositionals: 100, options: QUEUE_OPTIONS } };

function request(line: string): QueueRequest {
  const parsed = parseArguments(['queue', ...line.split(' ').filter((word) => word !== '')], COMMANDS);
  return parsed.kind === 'command' ? readQueueRequest(parsed.invocation) : { kind: 'mistake', what: parsed.kind };
}

const ID = '1M83T4CM00000000';

describe('postern queue', () => {
  it.each<[string, QueueRequest]>([
    ['list', { kind: 'list', filter: {}, limit: 100 }],
    [
      'list --account billing --held --code UPSTREAM_BLOCKED --older-than 4h --limit 5',
      { kind: 'list', filter: { account: 'billing', isHeld: true, code: 'UPSTREAM_BLOCKED', olderThan: 14_400_000 as never }, limit: 5 },
    ],
    ['list --code 4.7.500', { kind: 'list', filter: { code: '4.7.500' }, limit: 100 }],
    [`show ${ID.toLowerCase()}`, { kind: 'show', queueId: ID }],
    [`retry ${ID} ${ID}`, { kind: 'change', verb: 'retry', selection: { ids: [ID, ID] } }],
    ['hold --account billing', { kind: 'change', verb: 'hold', selection: { filter: { account: 'billing' } } }],
    ['release --code upstream_blocked', { kind: 'change', verb: 'release', selection: { filter: { code: 'UPSTREAM_BLOCKED' } } }],
    [`drop --yes ${ID}`, { kind: 'change', verb: 'drop', selection: { ids: [ID] } }],
    ['drop --older-than 30d --yes', { kind: 'change', verb: 'drop', selection: { filter: { olderThan: 2_592_000_000 as never } } }],
    [`export ${ID}`, { kind: 'export', queueId: ID }],
    [`export ${ID} -`, { kind: 'export', queueId: ID }],
    [`export ${ID} out.eml`, { kind: 'export', queueId: ID, file: 'out.eml' }],
  ])('%s', (line, expected) => {
    expect(request(line)).toEqual(expected);
  });

  it.each([
    ['purge', /there is list, show/],
    ['__proto__', /there is list, show/],
    [`list ${ID}`, /takes no ID/],
    ['list --limit 0', /a number from 1 to 10000/],
    ['list --limit 10001', /a number from 1 to 10000/],
    ['list --limit many', /a number from 1 to 10000/],
    ['list --older-than 4', /a duration is wanted/],
    ['list --code a;b', /a code is wanted/],
    ['list --yes', /no option --yes/],
    ['show', /takes one ID/],
    [`show ${ID} ${ID}`, /takes one ID/],
    [`show ${ID} --held`, /no option --held/],
    ['retry', /which messages/],
    [`retry ${ID} --account billing`, /not both/],
    [`retry ${ID} --limit 3`, /no option --limit/],
    [`drop ${ID}`, /add --yes/],
    ['drop --account billing', /add --yes/],
    ['export', /takes one ID/],
    [`export ${ID} a b`, /takes one ID/],
  ])('%s is a mistake', (line, what) => {
    const found = request(line);
    expect(found.kind).toBe('mistake');
    expect(found.kind === 'mistake' ? found.what : '').toMatch(what);
  });
});
