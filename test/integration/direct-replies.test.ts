/** Direct delivery over a real session: the application reads the class and enhanced code that the upstream gave, at each step. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EpochMs, seconds } from '../../src/core/clock.ts';
import { queueId, sessionId } from '../../src/core/ids.ts';
import type { SubmissionStart } from '../../src/core/ports/submission.ts';
import { formatReply, type Reply } from '../../src/core/reply.ts';
import { Calendar } from '../../src/delivery/calendar.ts';
import { DirectDelivery } from '../../src/delivery/direct.ts';
import { Pacer } from '../../src/delivery/pacer.ts';
import { Pauses } from '../../src/delivery/pauses.ts';
import { systemClock as clock } from '../../src/platform/system-clock.ts';
import { explainReply } from '../../src/upstream/reply-table.ts';
import { SessionPool } from '../../src/upstream/session-pool.ts';
import { testAccount, testClient, testProvider } from '../support/accounts.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryPaceStore } from '../support/memory-pace-store.ts';
import { MemoryTokenSource } from '../support/memory-token-source.ts';
import { ScriptedSmtpServer } from '../support/scripted-smtp-server.ts';
import { createTestAuthority } from '../support/test-ca.ts';
import { UPSTREAM_REPLIES as REPLIES } from '../support/upstream-replies.ts';

const authority = createTestAuthority();

describe('the replies of an upstream', () => {
  let server: ScriptedSmtpServer;
  let pool: SessionPool;
  let direct: DirectDelivery;

  beforeAll(async () => {
    server = await ScriptedSmtpServer.start({ certificate: authority.issue({ hosts: ['localhost'] }) });
    const provider = testProvider({
      ca: authority.caPem,
      smtp: { host: 'localhost', port: server.port, tls: 'starttls' },
      limits: { ...testProvider().limits, messagesPerMinute: 100_000, recipientsPerDay: 1_000_000 },
    });
    const account = testAccount({ provider });
    const log = new MemoryLog();
    pool = new SessionPool({ tokens: new MemoryTokenSource(), clock, log, hostname: 'relay.test', options: { reduced: seconds(0) } });
    direct = new DirectDelivery({
      accounts: new Map([[account.name, account]]),
      upstream: pool,
      clock,
      log,
      explain: explainReply,
      pauses: new Pauses(clock),
      pacer: await Pacer.open({ store: new MemoryPaceStore(), clock, calendar: new Calendar(clock), log }),
    });
  });
  afterAll(async () => {
    await pool.close(seconds(1));
    await server.close();
  });

  const start: SubmissionStart = {
    queueId: queueId(1_700_000_000_000 as EpochMs, new Uint8Array(7)),
    origin: { sessionId: sessionId(1_700_000_000_000 as EpochMs, new Uint8Array(7)), client: testClient(), peer: '127.0.0.1' },
    reversePath: 'billing@postern.test',
    parameters: { isSmtpUtf8: false, isRequireTls: false },
  };

  /** What the application reads at the step that is scripted, if it gets there. */
  async function answerAt(step: 'mail' | 'rcpt' | 'data' | 'content'): Promise<Reply | undefined> {
    const { reply: mail, transaction } = await direct.begin(start);
    if (step === 'mail' || transaction === undefined) {
      transaction?.abandon();
      return mail;
    }
    const rcpt = await transaction.addForwardPath({ address: 'a@x.test' });
    if (step === 'rcpt') {
      transaction.abandon();
      return rcpt;
    }
    const data = await transaction.prepareContent();
    if (step === 'data') return data;
    const chunks = (async function* () {
      yield await Promise.resolve(Buffer.from('x\r\n'));
    })();
    return transaction.submitContent({ messageId: '<m>', chunks });
  }

  it('are sixty or more', () => {
    expect(new Set(REPLIES).size).toBeGreaterThanOrEqual(60);
  });

  it.each(['mail', 'rcpt', 'data', 'content'] as const)(
    'to %s reach the application with their class, code and enhanced code',
    async (step) => {
      const changed: string[] = [];
      for (const line of REPLIES) {
        // 2yz is no answer to DATA.
        if (step === 'data' && line.startsWith('2')) continue;
        server.script[step] = line;
        const answer = await answerAt(step);
        delete server.script[step];
        const [first = ''] = answer === undefined ? [] : formatReply(answer);
        const [code = '', enhanced = ''] = line.split(' ');
        // 421 would announce the end of our own connection (RFC 5321 §3.8).
        const expected = `${code === '421' ? '451' : code} ${enhanced} `;
        if (!first.startsWith(expected)) changed.push(`${line} became ${first}`);
      }
      expect(changed).toEqual([]);
    },
  );

  it('to three recipients are three replies', async () => {
    const lines: Record<string, string> = { a: '250 2.1.5 OK', b: '550 5.1.1 Unknown', c: '452 4.2.2 Full' };
    server.script.rcpt = (line) => lines[/<(\w)@/.exec(line)?.[1] ?? ''] ?? '500 5.5.2 What?';
    const { transaction } = await direct.begin(start);
    const codes: unknown[] = [];
    for (const address of ['a@x.test', 'b@x.test', 'c@x.test']) codes.push((await transaction?.addForwardPath({ address }))?.code);
    transaction?.abandon();
    delete server.script.rcpt;
    expect(codes).toEqual([250, 550, 452]);
  });
});
