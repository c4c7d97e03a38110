/** What the tests of this folder share: the room put together on a memory spool and a scripted upstream, and applications. */
import { afterEach } from 'vitest';
import type { Account } from '../../../src/core/account.ts';
import { days, hours, seconds } from '../../../src/core/clock.ts';
import type { ForwardPath, MailParameters } from '../../../src/core/envelope.ts';
import { type QueueId, sessionId } from '../../../src/core/ids.ts';
import type { Spool } from '../../../src/core/ports/spool.ts';
import type { Content, SubmissionStart, SubmissionTransaction } from '../../../src/core/ports/submission.ts';
import { describeReply, type Reply } from '../../../src/core/reply.ts';
import type { SpoolEntry } from '../../../src/core/spool-entry.ts';
import { Delivery, type DeliveryOptions } from '../../../src/delivery/delivery.ts';
import { classifyReply } from '../../../src/upstream/reply-table.ts';
import { testAccount, testClient } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryPaceStore } from '../../support/memory-pace-store.ts';
import { MemorySpool } from '../../support/memory-spool.ts';
import { seededRandom } from '../../support/open-spool.ts';
import { RecordedAlerts } from '../../support/recorded-alerts.ts';
import { ScriptedUpstream } from '../../support/scripted-upstream.ts';
import { START } from '../../support/spool-messages.ts';

export { START };

const BUDGET = seconds(15);
const PLAIN: MailParameters = { isSmtpUtf8: false, isRequireTls: false };

export const DEFAULTS: DeliveryOptions = { budget: BUDGET, giveUpAfter: days(5), warnAfter: hours(4), dsn: 'sender' };

export interface LabOptions {
  readonly accounts?: readonly Account[];
  readonly delivery?: Account['delivery'];
  readonly options?: Partial<DeliveryOptions>;
  readonly clock?: FakeClock;
  readonly spool?: Spool;
  readonly upstream?: ScriptedUpstream;
  readonly paceStore?: MemoryPaceStore;
  /** Delivers nothing that is in the spool until {@link Delivery.start}. */
  readonly isIdle?: boolean;
}

/** A message as an application submits it. */
export interface Submitted {
  readonly to?: readonly (string | ForwardPath)[];
  readonly from?: string;
  readonly account?: string;
  readonly content?: string;
  readonly parameters?: Partial<MailParameters>;
  readonly queueId?: QueueId;
}

const labs: Lab[] = [];
afterEach(async () => {
  for (const lab of labs.splice(0)) {
    lab.delivery.wind();
    await lab.clock.advance(seconds(1));
  }
});

let count = 0;

export class Lab {
  readonly clock: FakeClock;
  readonly spool: Spool;
  readonly upstream: ScriptedUpstream;
  readonly log = new MemoryLog();
  readonly alerts = new RecordedAlerts();
  readonly paceStore: MemoryPaceStore;
  delivery!: Delivery;

  private constructor(options: LabOptions) {
    this.clock = options.clock ?? new FakeClock(START);
    this.spool = options.spool ?? new MemorySpool(this.clock);
    this.upstream = options.upstream ?? new ScriptedUpstream();
    this.paceStore = options.paceStore ?? new MemoryPaceStore();
  }

  static async open(options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(options);
    const accounts = options.accounts ?? [testAccount({ delivery: options.delivery ?? 'auto' })];
    lab.delivery = await Delivery.open({
      accounts,
      spool: lab.spool,
      upstream: lab.upstream,
      classify: classifyReply,
      paceStore: lab.paceStore,
      clock: lab.clock,
      random: seededRandom(7),
      log: lab.log,
      alerts: lab.alerts,
      hostname: 'relay.postern.test',
      options: { ...DEFAULTS, ...options.options },
    });
    labs.push(lab);
    if (options.isIdle !== true) await lab.delivery.start();
    return lab;
  }

  /** MAIL, as far as the delivery has a say. */
  async begin(message: Submitted = {}): Promise<{ readonly start: SubmissionStart; readonly transaction: SubmissionTransaction }> {
    const { from = 'billing@postern.test', account = 'billing', parameters = {} } = message;
    count += 1;
    const start: SubmissionStart = {
      queueId: message.queueId ?? (`Q${String(count).padStart(15, '0')}` as QueueId),
      origin: { sessionId: sessionId(START, new Uint8Array(7)), client: testClient({ account }), peer: '127.0.0.1' },
      reversePath: from,
      parameters: { ...PLAIN, ...parameters },
    };
    const { transaction, reply } = await this.delivery.submission.begin(start);
    if (transaction === undefined) throw new Error(`MAIL was answered with ${describeReply(reply)}`);
    return { start, transaction };
  }

  /** A whole submission. What is answered to end-of-data, or before it if that is a refusal. */
  async submit(message: Submitted = {}): Promise<Reply> {
    const { start, transaction } = await this.begin(message);
    for (const path of message.to ?? ['anna@example.test']) {
      const answer = await transaction.addForwardPath(typeof path === 'string' ? { address: path } : path);
      if (answer.code >= 300) return answer;
    }
    return (await transaction.prepareContent()) ?? transaction.submitContent(contentOf(message.content ?? textOf(start.queueId)));
  }

  /** As {@link submit}, with the clock moved on until there is an answer. */
  async submitted(message: Submitted = {}): Promise<string> {
    let answer: Reply | undefined;
    const submitting = this.submit(message).then((said) => {
      answer = said;
    });
    for (let turns = 0; answer === undefined && turns < 1_000; turns += 1) await this.clock.advance(seconds(turns < 20 ? 0.05 : 1));
    await submitting;
    return describeReply(answer as unknown as Reply);
  }

  async entries(): Promise<SpoolEntry[]> {
    const found: SpoolEntry[] = [];
    for await (const entry of this.spool.entries()) found.push(entry);
    return found;
  }

  /** Addresses that have got something, in order. */
  get recipients(): string[] {
    return this.upstream.delivered.map(({ address }) => address);
  }
}

export function textOf(name: string): string {
  return `From: billing@postern.test\r\nSubject: ${name}\r\n\r\nbody\r\n`;
}

export function contentOf(text: string, end?: Error): Content {
  return {
    messageId: '<m@postern.test>',
    chunks: (async function* () {
      yield await Promise.resolve(Buffer.from(text));
      if (end !== undefined) throw end;
    })(),
  };
}
