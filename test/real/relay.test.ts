/**
 * The relay between tools that people use and servers that nobody here wrote: every message arrives once, octet for octet.
 *
 * @packageDocumentation
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { arrived, KINDS, type SampleMessage, sampleMessage } from '../support/real/messages.ts';
import { APP_ADDRESS, BILLING, configureRelay, LOGIN, PRINTER_ADDRESS, PRINTERS, type Relay, startRelay } from '../support/real/postern.ts';
import { type ClientTls, type SubmissionOrder, type SubmissionOutcome, submit, type Tool } from '../support/real/submit.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

const TOOLS: readonly Tool[] = ['swaks', 'curl', 'smtplib'];
const WAYS: readonly ClientTls[] = ['off', 'starttls', 'implicit'];
const MEGA = 1024 * 1024;

/** 17 kinds of message, six ways each: 102 messages per tool. */
const COMBINATIONS = TOOLS.flatMap((tool) =>
  WAYS.flatMap((tls) => [
    { tool, tls, hasLogin: true, peer: 'a client with a password' },
    { tool, tls, hasLogin: false, peer: 'a client known by its network' },
  ]),
);

describe.skipIf(notRun !== undefined)(`relay to Postfix and Dovecot${whyNotRun}`, () => {
  let servers: RealServers;
  let relay: Relay;

  beforeAll(async () => {
    servers = await startRealServers();
    relay = await startRelay(await configureRelay(servers, { name: 'bulk' }));
  });
  afterAll(async () => {
    await relay?.stop();
    await servers?.stop();
  });

  const submitAll = (tool: Tool, orders: readonly SubmissionOrder[], together: number): Promise<SubmissionOutcome[]> =>
    submit(tool, orders, { folder: servers.folder.path, caFile: servers.caFile, together });

  /** Codes other than 250, with what was said. */
  const failures = (outcomes: readonly SubmissionOutcome[]): string[] =>
    outcomes.flatMap(({ code, text }) => (code === 250 ? [] : [`${code} ${text.slice(-500)}`]));

  for (const { tool, tls, hasLogin, peer } of COMBINATIONS) {
    it(`${tool}, TLS ${tls}, ${peer}: all arrive once and unchanged`, async () => {
      const from = hasLogin ? BILLING : PRINTERS;
      const to = `${tool}-${tls}-${hasLogin ? 'login' : 'network'}@postern.test`;
      const who = hasLogin ? { login: LOGIN, source: APP_ADDRESS } : { source: PRINTER_ADDRESS };
      const messages = KINDS.map((kind) => sampleMessage(kind, from, to));

      const orders = messages.map((message) => ({ port: relay.ports[tls], tls, ...who, from, to: [to], message }));
      expect(failures(await submitAll(tool, orders, 4))).toEqual([]);

      const inbox = (await servers.readMailbox(to)).map(arrived);
      expect(inbox.map(({ id }) => id).sort()).toEqual(messages.map(({ id }) => id).sort());
      const digests = new Map(inbox.map(({ id, digest }) => [id, digest]));
      const changed = messages.filter(({ id, digest }) => digests.get(id) !== digest);
      expect(changed.map(({ kind }) => kind)).toEqual([]);
      // Postfix names the mailbox whose access token opened the session.
      for (const { trace } of inbox) expect(trace).toContain(`(Authenticated sender: ${from})`);
    }, 120_000);
  }

  it('logs one line for each message, with client, account and the upstream reply', async () => {
    const lines = relay.log().filter((line) => line['event'] === 'message-relayed');
    expect(lines.length).toBe(COMBINATIONS.length * KINDS.length);
    const clients = lines.map((line) => `${String(line['client'])} as ${String(line['account'])}`);
    expect(new Set(clients)).toEqual(new Set(['erp as billing', 'printers as printers']));
    for (const line of lines) expect(line['reply']).toMatch(/^250 2\.0\.0 .*queued as/);
  });

  it('asked the token endpoint once for each account', () => {
    const asked = servers.authorization.tokenRequests.map(({ mailbox, status }) => `${mailbox} ${status}`);
    expect(asked.filter((request) => request === `${BILLING} 200`)).toHaveLength(1);
    expect(asked.filter((request) => request === `${PRINTERS} 200`)).toHaveLength(1);
    expect(new Set(asked).size).toBe(asked.length);
  });

  it('grows by less than 64 MB while ten messages of 20 MB pass at once', async () => {
    const fresh = await startRelay(await configureRelay(servers, { name: 'memory' }));
    try {
      const to = 'memory@postern.test';
      const order = (message: SampleMessage, index: number): SubmissionOrder => {
        const tls = WAYS[index % WAYS.length] ?? 'off';
        return { port: fresh.ports[tls], tls, login: LOGIN, source: APP_ADDRESS, from: BILLING, to: [to], message };
      };
      const small = Array.from({ length: 20 }, () => sampleMessage('a kilobyte of text', BILLING, to));
      expect(failures(await submitAll('smtplib', small.map(order), 10))).toEqual([]);
      const large = Array.from({ length: 10 }, () => sampleMessage('twenty megabytes', BILLING, to));
      const before = fresh.residentMemory();
      fresh.forgetPeakMemory();
      expect(failures(await submitAll('smtplib', large.map(order), 10))).toEqual([]);
      const growth = (fresh.peakMemory() - before) / MEGA;
      process.stderr.write(`relay: ${(before / MEGA).toFixed(0)} MB resident, grown by ${growth.toFixed(1)} MB at most under 10 × 20 MB\n`);
      expect(growth).toBeLessThan(64);
      const digests = (await servers.readMailbox(to)).map((stored) => arrived(stored).digest);
      expect(digests.sort()).toEqual([...small, ...large].map(({ digest }) => digest).sort());
    } finally {
      await fresh.stop();
    }
  }, 120_000);
});
