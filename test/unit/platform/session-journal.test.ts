/** Each line of a session has the names that are known, and no others. */
import { expect, it } from 'vitest';
import type { QueueId, SessionId } from '../../../src/core/ids.ts';
import { problem } from '../../../src/core/problem.ts';
import { reply } from '../../../src/core/reply.ts';
import { SessionJournal } from '../../../src/platform/session-journal.ts';
import { testClient } from '../../support/accounts.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const FACTS = { sessionId: 'S1' as SessionId, listener: '127.0.0.1:2525', peer: '10.0.0.7' };

it('says what is known by then: no name is there without a value', () => {
  const log = new MemoryLog();
  const journal = new SessionJournal(log, FACTS);
  journal.info('a', 'm');
  journal.client = testClient({ name: 'erp', account: 'billing' });
  journal.debug('b', 'm');
  journal.queueId = 'Q1' as QueueId;
  journal.debug('c', 'm', { size: 7 });
  const known = { ...FACTS, client: 'erp', account: 'billing', message: 'm' };
  expect(log.lines).toStrictEqual([
    { ...FACTS, event: 'a', level: 'info', message: 'm' },
    { ...known, event: 'b', level: 'debug' },
    { ...known, event: 'c', level: 'debug', queueId: 'Q1', size: 7 },
  ]);
});

it('lets what is said of the line itself go before what is known, but for its event', () => {
  const log = new MemoryLog();
  const journal = new SessionJournal(log, FACTS);
  journal.queueId = 'Q1' as QueueId;
  const fields = { event: 'other', queueId: 'Q2' as QueueId, client: 'guest' };
  journal.debug('a', 'm', fields);
  expect(log.lines).toStrictEqual([{ ...FACTS, event: 'a', queueId: 'Q2', client: 'guest', level: 'debug', message: 'm' }]);
  expect(fields).toEqual({ event: 'other', queueId: 'Q2', client: 'guest' });
});

it('says a refusal with its answer, where there is one', () => {
  const log = new MemoryLog();
  const journal = new SessionJournal(log, FACTS);
  const what = problem('CLIENT_UNKNOWN', 'who?');
  journal.refused('a', what, reply(550, '5.7.1', 'No'));
  journal.refused('b', what, undefined);
  const line = { ...FACTS, problem: what, level: 'warn', message: 'who?' };
  expect(log.lines).toStrictEqual([
    { ...line, event: 'a', reply: '550 5.7.1 No' },
    { ...line, event: 'b' },
  ]);
});
