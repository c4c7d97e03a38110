/** What the tests of this folder share: a certificate, a pool against a scripted server, content. */
import { afterEach } from 'vitest';
import type { Account, AuthSettings, Endpoint } from '../../../src/core/account.ts';
import { type DurationMs, seconds } from '../../../src/core/clock.ts';
import type { MailParameters } from '../../../src/core/envelope.ts';
import type { Clock } from '../../../src/core/ports/clock.ts';
import type { UpstreamTransaction } from '../../../src/core/ports/upstream.ts';
import { UpstreamError } from '../../../src/core/ports/upstream.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { SessionPool, type SessionPoolOptions } from '../../../src/upstream/session-pool.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryTokenSource } from '../../support/memory-token-source.ts';
import { ScriptedSmtpServer, type ScriptedServerOptions } from '../../support/scripted-smtp-server.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

export const authority = createTestAuthority();
export const certificate = authority.issue({ hosts: ['localhost', '127.0.0.1'] });

export const PLAIN: MailParameters = { isSmtpUtf8: false, isRequireTls: false };

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

export const onEnd = (cleanup: () => Promise<void>): void => void cleanups.push(cleanup);

export async function startServer(options: ScriptedServerOptions = {}): Promise<ScriptedSmtpServer> {
  const server = await ScriptedSmtpServer.start({ certificate, ...options });
  onEnd(() => server.close());
  return server;
}

export interface LabOptions extends ScriptedServerOptions {
  readonly clock?: Clock;
  readonly connections?: number;
  readonly endpoint?: Partial<Endpoint>;
  readonly mechanism?: 'XOAUTH2' | 'OAUTHBEARER';
  readonly smtpUser?: string;
  readonly auth?: AuthSettings;
  readonly ca?: string;
  readonly pool?: Partial<SessionPoolOptions>;
}

export interface Lab {
  readonly server: ScriptedSmtpServer;
  readonly pool: SessionPool;
  readonly account: Account;
  readonly tokens: MemoryTokenSource;
  readonly log: MemoryLog;
  begin(patience?: DurationMs): ReturnType<SessionPool['begin']>;
  /** A transaction whose MAIL was accepted. */
  open(): Promise<UpstreamTransaction>;
}

/** A pool with one account on a scripted server. */
export async function startLab(options: LabOptions = {}): Promise<Lab> {
  const { clock = systemClock, connections = 3, endpoint = {}, mechanism = 'XOAUTH2', smtpUser = 'billing@postern.test' } = options;
  const server = await startServer(options);
  const provider = testProvider({
    mechanism,
    ca: options.ca ?? authority.caPem,
    smtp: { host: 'localhost', port: server.port, tls: options.isImplicit === true ? 'implicit' : 'starttls', ...endpoint },
    limits: { ...testProvider().limits, connections },
  });
  const account = testAccount({ provider, smtpUser, ...(options.auth === undefined ? {} : { auth: options.auth }) });
  const tokens = new MemoryTokenSource();
  const log = new MemoryLog();
  const pool = new SessionPool({ tokens, clock, log, hostname: 'relay.postern.test', options: options.pool ?? {} });
  onEnd(() => (clock === systemClock ? pool.close(seconds(1)) : Promise.resolve()));
  const begin: Lab['begin'] = (patience = seconds(10)) => pool.begin(account, 'billing@postern.test', PLAIN, patience);
  const open = async (): Promise<UpstreamTransaction> => {
    const { transaction, reply } = await begin();
    if (transaction === undefined) throw new Error(`MAIL was refused with ${reply.code}`);
    return transaction;
  };
  return { server, pool, account, tokens, log, begin, open };
}

/** A whole message on a transaction, RCPT and DATA pipelined. */
export async function relay(transaction: UpstreamTransaction, ...chunks: string[]) {
  const rcpt = transaction.addForwardPath({ address: 'to@example.test' });
  const data = await transaction.startContent();
  await rcpt;
  if (data.code !== 354) return data;
  return transaction.submitContent(contentOf(...(chunks.length === 0 ? ['Subject: test\r\n\r\n', 'Hello.\r\n'] : chunks)));
}

export async function* contentOf(...chunks: string[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk));
}

/** The UpstreamError that a promise is rejected with. */
export async function failureOf(promise: Promise<unknown>): Promise<UpstreamError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof UpstreamError)) throw new Error(`expected an UpstreamError, got ${String(error)}`);
  return error;
}

/** Wait for something that no event of the server announces. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}
