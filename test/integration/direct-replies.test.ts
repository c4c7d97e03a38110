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

/** What Exchange Online, Gmail and others are known to say, and some that nobody has said yet. */
const REPLIES = [
  '250 2.0.0 OK',
  '250 2.6.0 <1@x> [InternalId=1, Hostname=x] Queued mail for delivery',
  '251 2.1.5 User not local; will forward',
  '252 2.1.5 Cannot verify',
  '421 4.3.2 Service not active',
  '421 4.4.2 Message submission rate for this client has exceeded the configured limit',
  '421 4.7.66 TLS 1.0 and 1.1 are not supported',
  '430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed',
  '432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending',
  '432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded',
  '450 4.2.1 The user is receiving mail too quickly',
  '450 4.7.0 Try again later',
  '450 4.7.1 Greylisted',
  '451 4.3.0 Internal server error',
  '451 4.3.111 Temporary server error. Please try again later. MRH1',
  '451 4.4.3 Temporary server error. Please try again later. ATTR1',
  '451 4.4.22 Connection error',
  '451 4.4.62 Mail sent to the wrong Office 365 region. ATTR35',
  '451 4.7.0 Temporary server error. Please try again later. PRX4',
  '451 4.7.500 Server busy. Please try again later',
  '451 4.7.651 The mail server has been temporarily rate limited due to IP reputation',
  '451 4.7.850 Access denied, please try again later',
  '452 4.2.2 The recipient is out of storage space',
  '452 4.3.1 Insufficient system resources',
  '452 4.5.3 Too many recipients',
  '454 4.7.0 Temporary authentication failure',
  '455 4.5.4 Server unable to accommodate parameters',
  '500 5.3.3 Unrecognized command',
  '501 5.1.3 Invalid address',
  '501 5.5.4 Invalid arguments',
  '502 5.5.1 Command not implemented',
  '503 5.5.2 Bad sequence of commands',
  '504 5.5.4 Parameter not implemented',
  '521 5.3.2 Host does not accept mail',
  '550 5.1.1 The email account that you tried to reach does not exist',
  '550 5.1.8 Access denied, bad outbound sender',
  '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup',
  '550 5.1.90 Your message can not be sent because you have reached your daily limit',
  '550 5.2.121 Recipient exceeded receiving rate',
  '550 5.4.1 Recipient address rejected: Access denied',
  '550 5.4.5 Daily user sending limit exceeded',
  '550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients',
  '550 5.5.105 External recipients are not supported',
  '550 5.6.11 SMTPSEND.BareLinefeedsAreIllegal',
  '550 5.7.1 Delivery not authorized, message refused',
  '550 5.7.30 Basic authentication is not supported for Client Submission',
  '550 5.7.60 SMTP; Client does not have permissions to send as this sender',
  '550 5.7.64 TenantAttribution; Relay Access Denied',
  '550 5.7.68 TenantInboundAttribution; Direct Send not allowed',
  '550 5.7.232 Your message could not be sent because your trial tenant has exceeded its limit',
  '550 5.7.509 Access denied, sending domain does not pass DMARC verification',
  '550 5.7.708 Access denied, traffic not accepted from this IP',
  '550 5.7.750 Service unavailable. Client blocked from sending from unregistered domains',
  '551 5.1.6 User has moved',
  '552 5.2.2 Mailbox full',
  '552 5.3.4 Message size exceeds fixed maximum message size',
  '553 5.1.2 The recipient address is not a valid RFC 5321 address',
  '554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException',
  '554 5.2.252 SendAsDenied; a@x not allowed to send as b@x',
  '554 5.7.1 Message rejected as spam',
  '555 5.5.4 MAIL FROM/RCPT TO parameters not recognized or not implemented',
  '571 5.7.1 Delivery not authorized',
];

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
