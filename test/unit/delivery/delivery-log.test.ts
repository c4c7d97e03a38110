/** The lines about an attempt: one for each kind of outcome, and in each what is known. */
import { beforeEach, describe, expect, it } from 'vitest';
import { milliseconds } from '../../../src/core/clock.ts';
import type { QueueId, SessionId } from '../../../src/core/ids.ts';
import { UpstreamError } from '../../../src/core/ports/upstream.ts';
import { problem } from '../../../src/core/problem.ts';
import { reply } from '../../../src/core/reply.ts';
import { DeliveryLog, type LoggedAttempt, type LoggedMessage } from '../../../src/delivery/delivery-log.ts';
import type { Judgement, RecipientOutcome } from '../../../src/delivery/outcome.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const MESSAGE: LoggedMessage = {
  queueId: 'Q1' as QueueId,
  account: 'billing',
  client: 'erp',
  messageId: '<m@x.test>',
  reversePath: 'a@x.test',
  size: 7,
  forwardPaths: ['one@y.test', 'two@y.test', 'three@y.test', 'four@y.test'],
};
const ABOUT = { queueId: 'Q1', account: 'billing', client: 'erp', messageId: '<m@x.test>', reversePath: 'a@x.test', size: 7 };
const LATER = problem('UPSTREAM_DEFERRED', 'later');
const NEVER = problem('UPSTREAM_REFUSED', 'never');
const DELIVERED: RecipientOutcome = { kind: 'delivered', reply: reply(250, '2.0.0', 'OK') };
const REFUSED: RecipientOutcome = { kind: 'refused', stage: 'rcpt', reply: reply(550, '5.1.1', 'No'), problem: NEVER };

let log: MemoryLog;
let told: string[];
let lines: DeliveryLog;

beforeEach(() => {
  log = new MemoryLog();
  told = [];
  lines = new DeliveryLog(log, {
    relayed: (account) => void told.push(`${account} relayed`),
    failed: (account, { code }) => void told.push(`${account} ${code}`),
  });
});

function attempt(recipients: readonly RecipientOutcome[], more: Partial<LoggedAttempt['result']> = {}, isAmbiguous = false): LoggedAttempt {
  const judgement: Judgement = { recipients, account: { kind: 'works' }, isAmbiguous };
  return { result: { answers: [], isDsnPassedOn: false, ...more }, judgement, attempt: 2, duration: milliseconds(5) };
}

describe('an attempt', () => {
  it('has a line for those who have the message, each who never will, and those who wait', () => {
    const retry: RecipientOutcome = { kind: 'retry', problem: LATER, reply: reply(451, undefined, 'Later') };
    const result = { upstream: 'smtp.test:587', user: 'billing@x.test' };
    lines.attempted(MESSAGE, attempt([DELIVERED, REFUSED, retry, { kind: 'waits', problem: LATER }], result));
    const known = { ...ABOUT, ...result, attempt: 2, durationMs: 5 };
    expect(log.lines).toStrictEqual([
      {
        ...known,
        event: 'message-relayed',
        forwardPaths: ['one@y.test'],
        reply: '250 2.0.0 OK',
        level: 'info',
        message: 'message relayed',
      },
      {
        ...known,
        event: 'message-refused',
        forwardPaths: ['two@y.test'],
        stage: 'rcpt',
        reply: '550 5.1.1 No',
        problem: NEVER,
        level: 'warn',
        message: 'upstream refused the message at rcpt',
      },
      {
        ...known,
        event: 'message-deferred',
        forwardPaths: ['three@y.test', 'four@y.test'],
        reply: '451 Later',
        problem: LATER,
        level: 'warn',
        message: 'message deferred',
      },
    ]);
    expect(told).toEqual(['billing UPSTREAM_REFUSED', 'billing relayed']);
  });

  it('names its session and trace where there are such, and where it failed', () => {
    const failure = new UpstreamError('connect', LATER, reply(451, '4.4.1', 'No route'));
    const message = { ...MESSAGE, traceParent: '00-1-2-01', origin: { sessionId: 'S1' as SessionId, peer: '10.0.0.7' } };
    lines.attempted(message, attempt([{ kind: 'waits', problem: LATER }], { failure }, true));
    expect(log.lines).toStrictEqual([
      {
        ...ABOUT,
        event: 'message-deferred',
        traceParent: '00-1-2-01',
        sessionId: 'S1',
        peer: '10.0.0.7',
        forwardPaths: ['one@y.test'],
        attempt: 2,
        durationMs: 5,
        stage: 'connect',
        problem: LATER,
        level: 'warn',
        message: 'message <m@x.test> may have been delivered, and may be delivered twice',
      },
    ]);
    expect(told).toEqual([]);
  });
});

it('a queued message has a problem only where there is one', () => {
  lines.queued(MESSAGE, 'busy');
  lines.queued(MESSAGE, 'busy', LATER);
  const line = { ...ABOUT, event: 'message-queued', forwardPaths: MESSAGE.forwardPaths, level: 'info', message: 'message queued: busy' };
  expect(log.lines).toStrictEqual([line, { ...line, problem: LATER }]);
});
