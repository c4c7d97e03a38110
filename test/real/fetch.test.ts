/**
 * Fetching from Dovecot: octet for octet, told by IDLE, and the mailbox changed as the rule says; also while the process is killed.
 *
 * @packageDocumentation
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DurationMs, seconds } from '../../src/core/clock.ts';
import type { FetchRule } from '../../src/core/fetch-rule.ts';
import { FetchRules } from '../../src/fetch/fetch-rules.ts';
import { ImapMailboxSource } from '../../src/fetch/imap-source.ts';
import { Mailboxes } from '../../src/mailbox/mailboxes.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { peakOfWorker } from '../campaign/fetch-kill.ts';
import { behindTrace } from '../campaign/fetch-places.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { fetchRule } from '../support/fetch-rule.ts';
import { MemoryCursorStore } from '../support/memory-cursor-store.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryTokenSource } from '../support/memory-token-source.ts';
import { appendMessages, readMailbox } from '../support/real/mailbox.ts';
import { killAtRealServers } from '../support/real/fetch-places.ts';
import { KINDS } from '../support/real/mail-readers.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { sampleMessage } from '../support/real/messages.ts';
import { BILLING, DELEGATE, PRINTERS } from '../support/real/postern.ts';
import { MAIL_DOMAIN } from '../support/real/postfix.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

describe.skipIf(notRun !== undefined)(`fetching from Dovecot${whyNotRun}`, () => {
  let servers: RealServers;
  const running: FetchRules[] = [];

  beforeAll(async () => {
    servers = await startRealServers();
  });
  afterAll(async () => {
    for (const rules of running) await rules.stop();
    await servers?.stop();
  });

  const put = async (mailbox: string, contents: readonly Buffer[]): Promise<void> =>
    appendMessages(
      { port: servers.imapPort, caPem: servers.caPem },
      mailbox,
      await servers.authorization.mintAccessToken(mailbox),
      contents,
    );
  const left = async (mailbox: string): Promise<Buffer[]> =>
    readMailbox({ port: servers.imapPort, caPem: servers.caPem }, mailbox, await servers.authorization.mintAccessToken(mailbox));

  async function fetchFrom(mailbox: string, changes: Partial<FetchRule>): Promise<{ readonly log: MemoryLog; readonly taken: Buffer[] }> {
    const log = new MemoryLog();
    const taken: Buffer[] = [];
    const imap = { host: 'localhost', port: servers.imapPort, tls: 'implicit' } as const;
    const accounts = [testAccount({ mailbox, provider: testProvider({ imap, ca: servers.caPem }) })];
    const tokens = new MemoryTokenSource(await servers.authorization.mintAccessToken(mailbox));
    const mailboxes = new Mailboxes({ accounts, tokens, clock: systemClock, log });
    const rules = new FetchRules({
      source: new ImapMailboxSource(mailboxes, systemClock),
      store: new MemoryCursorStore(),
      openSink: () => ({
        description: 'memory',
        deliver: async (message, signal) => {
          const parts: Buffer[] = [];
          for await (const part of message.content(signal)) parts.push(part);
          taken.push(behindTrace(Buffer.concat(parts)).rest);
          return { kind: 'stored', detail: 'kept' };
        },
        close: async () => {},
      }),
      alerts: { raise: () => {}, clear: () => {} },
      clock: systemClock,
      random: systemRandom,
      log,
      hostname: 'relay.test',
    });
    running.push(rules);
    await rules.update([fetchRule(changes)]);
    return { log, taken };
  }
  const until = (what: () => unknown, expected: unknown, timeout: DurationMs = seconds(30)): Promise<void> =>
    expect.poll(what, { timeout, interval: 20 }).toEqual(expected);
  const at = (local: string): string => `${local}@${MAIL_DOMAIN}`;
  const texts = (contents: readonly Buffer[]): string[] => contents.map((content) => content.toString('latin1')).toSorted();

  it('brings every kind of message as it is, one of several megabytes among them, and what arrives in IDLE; then deletes', async () => {
    const large = Buffer.from(`Subject: large\r\n\r\n${`${'0123456789'.repeat(7)}\r\n`.repeat(70_000)}`);
    const contents = [...KINDS.map((kind) => sampleMessage(kind, PRINTERS, BILLING).content), large];
    await put(BILLING, contents);
    const { log, taken } = await fetchFrom(BILLING, { after: { kind: 'delete' } });
    await until(() => taken.length, contents.length);
    expect(texts(taken)).toEqual(texts(contents));
    const late = Buffer.from('Subject: late\r\n\r\nby IDLE\r\n');
    await put(BILLING, [late]);
    await until(() => taken.length, contents.length + 1);
    expect(taken.at(-1)).toEqual(late);
    await until(async () => (await left(BILLING)).length, 0);
    expect(log.of('fetch-failed')).toEqual([]);
  });

  it('marks as seen, and passes over what has been read where only unread mail is wanted', async () => {
    await put(PRINTERS, [Buffer.from('Subject: one\r\n\r\n1\r\n'), Buffer.from('Subject: two\r\n\r\n2\r\n')]);
    const first = await fetchFrom(PRINTERS, { after: { kind: 'seen' }, filter: { isUnseen: true, subject: 'one' } });
    await until(() => first.taken.length, 1);
    await until(() => first.log.of('message-fetched').length, 1);
    await put(PRINTERS, [Buffer.from('Subject: one more\r\n\r\n3\r\n')]);
    await until(() => first.taken.length, 2);
    await running.pop()?.stop();
    const second = await fetchFrom(PRINTERS, { filter: { isUnseen: true } });
    await until(() => texts(second.taken), ['Subject: two\r\n\r\n2\r\n']);
  });

  it('says that a message cannot be moved to a mailbox that is not there, and does not hand it on again', async () => {
    await put(DELEGATE, [Buffer.from('Subject: stays\r\n\r\n1\r\n')]);
    const { log, taken } = await fetchFrom(DELEGATE, { after: { kind: 'move', mailbox: 'Nowhere' } });
    await until(() => log.of('fetch-change-failed').length, 1);
    expect(taken).toHaveLength(1);
    expect(await left(DELEGATE)).toHaveLength(1);
  });

  it('brings a message of 150 MB in bounded memory', async () => {
    const mailbox = at('large');
    const content = Buffer.from(`Subject: large\r\n\r\n${`${'0123456789'.repeat(7)}\r\n`.repeat(2_083_334)}`);
    expect(content.length).toBeGreaterThan(150_000_000);
    await put(mailbox, [content]);
    const directory = await mkdtemp(join(tmpdir(), 'postern-fetch-large-'));
    try {
      const accessToken = await servers.authorization.mintAccessToken(mailbox);
      const sink = { kind: 'maildir', path: join(directory, 'maildir') } as const;
      const imap = { host: servers.host, port: servers.imapPort, ca: servers.caPem };
      const peak = await peakOfWorker({ ...imap, mailbox, accessToken, directory, sink });
      const [name = ''] = await readdir(join(directory, 'maildir', 'new'));
      expect(behindTrace(await readFile(join(directory, 'maildir', 'new', name))).rest.equals(content)).toBe(true);
      expect(peak).toBeLessThan(200 * 1_048_576);
    } finally {
      await rm(directory, { recursive: true });
    }
  }, 120_000);

  it('I09 loses nothing over 18 kills, 3 at each kind of sink', async () => {
    const { broken } = await killAtRealServers(servers, { count: 3, seed: 11 });
    expect(broken).toEqual([]);
  }, 240_000);
});
