/**
 * The whole way of a submission in this process, on one clock: listener, delivery with a spool, upstream sessions. Its provider is a scripted server behind a
 * proxy that breaks connections.
 *
 * @packageDocumentation
 */
import type { AddressInfo } from 'node:net';
import { days, hours, seconds } from '../../src/core/clock.ts';
import type { DeliveryMode } from '../../src/core/account.ts';
import type { SpoolEntry } from '../../src/core/spool-entry.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import { ListenerEngine } from '../../src/listener/listener-engine.ts';
import { PasswordCheck } from '../../src/platform/password-check.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { ClientDirectory } from '../../src/policy/client-directory.ts';
import { classifyReply } from '../../src/upstream/reply-table.ts';
import { SessionPool } from '../../src/upstream/session-pool.ts';
import { testAccount, testClient, testProvider } from './accounts.ts';
import { FaultProxy } from './fault-proxy.ts';
import { MemoryLog } from './memory-log.ts';
import { MemoryPaceStore } from './memory-pace-store.ts';
import { MemorySpool } from './memory-spool.ts';
import { MemoryTokenSource } from './memory-token-source.ts';
import { RecordedAlerts } from './recorded-alerts.ts';
import { ScaledClock } from './scaled-clock.ts';
import { ScriptedSmtpServer, type ScriptedServerOptions } from './scripted-smtp-server.ts';
import { stageSettings } from './smtp-stage.ts';
import { SmtpTalk } from './smtp-talk.ts';
import { createTestAuthority, type IssuedCertificate, type TestAuthority } from './test-ca.ts';
import { UnconfirmedAnswers } from '../../src/listener/unconfirmed-answers.ts';

let authority: TestAuthority | undefined;
let certificate: IssuedCertificate | undefined;

export interface SubmissionPathOptions extends ScriptedServerOptions {
  readonly clock: ScaledClock;
  readonly mode?: DeliveryMode;
  /** In place of the proxy in front of the scripted server. */
  readonly upstreamPort?: number;
  readonly upstreamHost?: string;
}

export class SubmissionPath {
  readonly clock: ScaledClock;
  readonly server: ScriptedSmtpServer;
  readonly proxy: FaultProxy;
  readonly log = new MemoryLog();
  readonly spool: MemorySpool;
  readonly engine: ListenerEngine;
  readonly pool: SessionPool;
  readonly #delivery: Delivery;

  private constructor(parts: Pick<SubmissionPath, 'clock' | 'server' | 'proxy' | 'spool' | 'engine' | 'pool' | 'log'>, delivery: Delivery) {
    this.clock = parts.clock;
    this.server = parts.server;
    this.proxy = parts.proxy;
    this.spool = parts.spool;
    this.engine = parts.engine;
    this.pool = parts.pool;
    this.log = parts.log;
    this.#delivery = delivery;
  }

  static async open(options: SubmissionPathOptions): Promise<SubmissionPath> {
    const { clock, mode = 'direct' } = options;
    authority ??= createTestAuthority();
    certificate ??= authority.issue({ hosts: ['localhost'] });
    const server = await ScriptedSmtpServer.start({ certificate, ...options });
    const proxy = await FaultProxy.open(server.port);
    const smtp = { host: options.upstreamHost ?? 'localhost', port: options.upstreamPort ?? proxy.port, tls: 'starttls' } as const;
    const provider = testProvider({ ca: authority.caPem, smtp, limits: { ...testProvider().limits, messagesPerMinute: 100_000 } });
    const accounts = [testAccount({ provider, delivery: mode })];
    const log = new MemoryLog();
    const base = { clock, random: systemRandom, log };
    const pool = new SessionPool({ ...base, tokens: new MemoryTokenSource(), hostname: 'relay.postern.test' });
    const spool = new MemorySpool(clock);
    const delivery = await Delivery.open({
      ...base,
      accounts,
      spool,
      upstream: pool,
      classify: classifyReply,
      paceStore: new MemoryPaceStore(),
      alerts: new RecordedAlerts(),
      hostname: 'relay.postern.test',
      options: { budget: seconds(15), giveUpAfter: days(5), warnAfter: hours(4), dsn: 'sender' },
    });
    await delivery.start();
    const engine = new ListenerEngine({
      ...base,
      settings: stageSettings(),
      submission: delivery.submission,
      clients: new ClientDirectory([testClient()]),
      passwords: new PasswordCheck(base),
      hostname: 'relay.postern.test',
      unconfirmed: new UnconfirmedAnswers(clock),
    });
    await new Promise<void>((resolve) => void engine.server.listen({ host: '127.0.0.1', port: 0 }, resolve));
    return new SubmissionPath({ clock, server, proxy, spool, engine, pool, log }, delivery);
  }

  /** Of the listener. */
  get port(): number {
    return (this.engine.server.address() as AddressInfo).port;
  }

  /** An application that has signed in. */
  async app(): Promise<SmtpTalk> {
    const talk = SmtpTalk.plain(this.port);
    await talk.reply();
    await talk.ask('EHLO app.test');
    const answer = await talk.ask(`AUTH PLAIN ${Buffer.from('\0erp\0local-password').toString('base64')}`);
    if (!answer.startsWith('235')) throw new Error(answer);
    return talk;
  }

  /**
   * Submit a message as one application.
   *
   * @param midway - Awaited after half of the content.
   * @returns The first refusal, or the answer to the final dot; `closed` where there was none.
   */
  async submit(midway: () => Promise<void> = () => Promise.resolve()): Promise<string> {
    const talk = await this.app();
    try {
      for (const command of ['MAIL FROM:<billing@postern.test>', 'RCPT TO:<to@example.test>', 'DATA']) {
        const answer = await talk.ask(command);
        if (!/^[23]/.test(answer)) return answer;
      }
      talk.send(`From: billing@postern.test\r\nSubject: x\r\nMessage-ID: <one@postern.test>\r\n\r\n${'An ordinary line.\r\n'.repeat(300)}`);
      await midway();
      talk.send('The end.\r\n.\r\n');
      return await talk.reply();
    } finally {
      talk.destroy();
    }
  }

  async queued(): Promise<SpoolEntry[]> {
    const found: SpoolEntry[] = [];
    for await (const entry of this.spool.entries()) found.push(entry);
    return found;
  }

  async close(): Promise<void> {
    for (const session of this.engine.sessions) session.socket.destroy();
    await new Promise<void>((resolve) => void this.engine.server.close(() => resolve()));
    this.#delivery.wind();
    const closed = this.pool.close(seconds(0));
    this.proxy.close();
    await Promise.all([closed, this.#delivery.stop()]);
    await this.server.close();
  }
}
