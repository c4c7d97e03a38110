/**
 * Mail programs that know nothing of OAuth read a mailbox of a server that knows nothing else, and read it octet for octet.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appendMessages } from '../support/real/mailbox.ts';
import { changesIn, KINDS, READERS, type ReadingOrder, startIdling, whyMissing } from '../support/real/mail-readers.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { type SampleMessage, sampleMessage } from '../support/real/messages.ts';
import { BILLING, configureRelay, LOGIN, type MailboxPorts, PRINTERS, type Relay, startRelay } from '../support/real/postern.ts';
import { type RecordingHop, startRecordingHop } from '../support/real/recording-hop.ts';
import { secretsIn } from '../support/real/secrets.ts';
import { installReaders } from '../support/real/packages.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

await installReaders([...new Set(READERS.map((reader) => reader.package))]);

describe.skipIf(notRun !== undefined)(`mail programs in front of Dovecot${whyNotRun}`, () => {
  let servers: RealServers;
  let hops: Readonly<Record<'imap' | 'pop3', RecordingHop>>;
  let relay: Relay;
  let messages: SampleMessage[];

  const put = async (mailbox: string, contents: readonly Buffer[]): Promise<void> =>
    appendMessages(
      { port: servers.imapPort, caPem: servers.caPem },
      mailbox,
      await servers.authorization.mintAccessToken(mailbox),
      contents,
    );

  beforeAll(async () => {
    servers = await startRealServers();
    const { certFile, keyFile, caPem } = servers;
    hops = {
      imap: await startRecordingHop({ serverPort: servers.imapPort, certFile, keyFile, caPem }),
      pop3: await startRecordingHop({ serverPort: servers.pop3Port, certFile, keyFile, caPem }),
    };
    const upstreamPorts = { imap: hops.imap.port, pop3: hops.pop3.port };
    relay = await startRelay(await configureRelay(servers, { name: 'readers', upstreamPorts }));
    messages = KINDS.map((kind) => sampleMessage(kind, PRINTERS, BILLING));
    await put(
      BILLING,
      messages.map(({ content }) => content),
    );
  });
  afterAll(async () => {
    await relay?.stop();
    await Promise.all(Object.values(hops ?? {}).map((hop) => hop.stop()));
    await servers?.stop();
  });

  const order = ({ protocol, tls }: Pick<ReadingOrder, 'protocol' | 'tls'>): ReadingOrder => ({
    protocol,
    tls,
    port: relay.mailboxPorts[protocol][tls satisfies keyof MailboxPorts['imap']],
    caFile: servers.caFile,
    ...LOGIN,
    folder: mkdtempSync(join(servers.folder.path, 'reader-')),
    count: messages.length,
  });

  for (const reader of READERS) {
    const missing = whyMissing(reader);
    if (notRun === undefined && missing !== undefined) process.stderr.write(`Not tried: ${missing}.\n`);
    for (const way of reader.ways) {
      it.skipIf(missing !== undefined)(
        `${reader.name}, ${way.protocol.toUpperCase()}, TLS ${way.tls}: reads every message as it is${missing === undefined ? '' : ` (${missing})`}`,
        async () => {
          const read = await reader.read(order(way));
          expect(read.length).toBe(messages.length);
          expect(changesIn(reader, messages, read)).toEqual([]);
        },
        300_000,
      );
    }
  }

  it('gives the very octets that the server gives, the last line without an end included', async () => {
    const imaplib = READERS.find(({ file }) => file === '/usr/bin/python3');
    const read = (await imaplib?.read(order({ protocol: 'imap', tls: 'implicit' }))) ?? [];
    const sorted = (contents: readonly Buffer[]): string[] => contents.map((content) => content.toString('latin1')).sort();
    const digests = (contents: readonly Buffer[]): string[] =>
      sorted(contents).map((content) => createHash('sha256').update(content, 'latin1').digest('hex'));
    expect(digests(read)).toEqual(digests(messages.map(({ content }) => content)));
  }, 300_000);

  for (const tls of ['off', 'implicit'] as const) {
    it(`tells a reader that waits in IDLE of new mail, TLS ${tls}`, async () => {
      const waiting = await startIdling({ ...order({ protocol: 'imap', tls }), username: 'printers-reader' });
      const began = performance.now();
      await put(PRINTERS, [sampleMessage('a kilobyte of text', BILLING, PRINTERS).content]);
      expect(await waiting.notice()).toMatch(/^\* \d+ (?:EXISTS|RECENT)$/);
      process.stderr.write(`IDLE, TLS ${tls}: told ${(performance.now() - began).toFixed(0)} ms after APPEND was begun\n`);
    }, 300_000);
  }

  /** What was said upstream up to the sign-in, and the verbs of what came behind it. */
  function dialogue(octets: Buffer, protocol: 'imap' | 'pop3'): { signIn: string[]; verbs: string[] } {
    const lines = octets.toString('latin1').split('\r\n').slice(0, -1);
    const at = lines.findIndex((line) => (protocol === 'imap' ? /AUTHENTICATE XOAUTH2/ : /^AUTH XOAUTH2$/).test(line));
    // With the token in a line of its own where it was not in the command.
    const behind = /XOAUTH2 \S/.test(lines[at] ?? '') ? at + 1 : at + 2;
    const verb = (line: string): string => line.split(' ')[protocol === 'imap' ? 1 : 0]?.toUpperCase() ?? '';
    return { signIn: lines.slice(0, behind), verbs: lines.slice(behind).map(verb) };
  }

  for (const protocol of ['imap', 'pop3'] as const) {
    it(`said nothing of the local dialogue upstream: ${protocol.toUpperCase()}`, () => {
      const sessions = hops[protocol].toServer();
      expect(sessions.length).toBeGreaterThan(10);
      for (const octets of sessions) {
        // Nothing was written in base64 or otherwise that holds the password.
        expect(secretsIn(octets.toString('latin1'), [LOGIN.password])).toEqual([]);
        const { signIn, verbs } = dialogue(octets, protocol);
        const ours = protocol === 'imap' ? /^p\d+ (?:CAPABILITY|AUTHENTICATE XOAUTH2(?: [A-Za-z0-9+/=]+)?)$/ : /^(?:CAPA|AUTH XOAUTH2)$/;
        const sasl = signIn.filter((line) => !ours.test(line));
        for (const line of sasl) expect(Buffer.from(line, 'base64').toString('latin1')).toMatch(/^user=[^\x01]+\x01auth=Bearer /);
        expect(sasl.length).toBeLessThanOrEqual(1);
        for (const verb of verbs) expect(verb).not.toMatch(/^(?:LOGIN|AUTHENTICATE|AUTH|USER|PASS|STARTTLS|STLS)$/);
      }
    });
  }

  it('kept the local password and the access tokens out of its own output', () => {
    expect(secretsIn(relay.output(), [LOGIN.password])).toEqual([]);
  });
});
