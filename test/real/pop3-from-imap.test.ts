/**
 * POP3 where the provider is only asked for IMAP: programs that speak POP3 read from Dovecot's IMAP, octet for octet, and delete what they mean to delete.
 *
 * @packageDocumentation
 */
import { connect, type Socket } from 'node:net';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/real/daemon.ts';
import { appendMessages, countMessages } from '../support/real/mailbox.ts';
import { changesIn, KINDS, READERS, whyMissing } from '../support/real/mail-readers.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { type SampleMessage, sampleMessage } from '../support/real/messages.ts';
import { installReaders } from '../support/real/packages.ts';
import { BILLING, type ConfiguredRelay, configureRelay, LOGIN, PRINTERS, type Relay, startRelay } from '../support/real/postern.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

const POP3_READERS = READERS.map((reader) => ({ ...reader, ways: reader.ways.filter(({ protocol }) => protocol === 'pop3') })).filter(
  ({ ways }) => ways.length > 0,
);
await installReaders([...new Set(POP3_READERS.map((reader) => reader.package))]);

/** Says POP3 line by line. */
class Talk {
  readonly socket: Socket;
  #heard = '';
  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (octets: Buffer) => (this.#heard += octets.toString('latin1'))).on('error', () => undefined);
  }

  /** @returns The answer, up to what ends it. */
  async say(command: string, end = /^(?:\+OK|-ERR)[^\n]*\r\n$/): Promise<string> {
    this.#heard = '';
    if (command !== '') this.socket.write(`${command}\r\n`);
    const isThere = await eventually(() => end.test(this.#heard), 30_000);
    expect(isThere, `${command}: ${JSON.stringify(this.#heard)}`).toBe(true);
    return this.#heard;
  }

  async login(username: string): Promise<this> {
    await this.say('');
    let answer = '-ERR [IN-USE]';
    // A session that has just been broken off holds its maildrop until that is noticed.
    for (let tries = 0; answer.startsWith('-ERR [IN-USE]') && tries < 15; tries += 1) {
      if (tries > 0) await new Promise((resolve) => setTimeout(resolve, 200));
      await this.say(`USER ${username}`);
      answer = await this.say(`PASS ${LOGIN.password}`);
    }
    expect(answer).toMatch(/^\+OK/);
    return this;
  }

  /** UIDs in their order. */
  async uids(): Promise<string[]> {
    const answer = await this.say('UIDL', /\r\n\.\r\n$/);
    return answer.split('\r\n').flatMap((line) => /^\d+ (\S+)$/.exec(line)?.[1] ?? []);
  }
}

describe.skipIf(notRun !== undefined)(`POP3 from Dovecot's IMAP${whyNotRun}`, () => {
  let servers: RealServers;
  let configured: ConfiguredRelay;
  let relay: Relay;
  let messages: SampleMessage[];
  const talks: Talk[] = [];

  const put = async (mailbox: string, contents: readonly Buffer[]): Promise<void> =>
    appendMessages(
      { port: servers.imapPort, caPem: servers.caPem },
      mailbox,
      await servers.authorization.mintAccessToken(mailbox),
      contents,
    );
  const left = async (mailbox: string): Promise<number> =>
    countMessages({ port: servers.imapPort, caPem: servers.caPem }, mailbox, await servers.authorization.mintAccessToken(mailbox));
  const talk = (username: string): Promise<Talk> => {
    const opened = new Talk(relay.mailboxPorts.pop3.off);
    talks.push(opened);
    return opened.login(username);
  };

  beforeAll(async () => {
    servers = await startRealServers();
    // Nobody listens there: whoever asked for POP3 upstream would be refused.
    const upstreamPorts = { imap: servers.imapPort, pop3: 1 };
    configured = await configureRelay(servers, { name: 'maildrops', upstreamPorts, pop3: 'imap' });
    relay = await startRelay(configured);
    messages = KINDS.map((kind) => sampleMessage(kind, PRINTERS, BILLING));
    await put(
      BILLING,
      messages.map(({ content }) => content),
    );
  });
  afterEach(() => {
    for (const { socket } of talks.splice(0)) socket.destroy();
  });
  afterAll(async () => {
    await relay?.stop();
    await servers?.stop();
  });

  for (const reader of POP3_READERS) {
    const missing = whyMissing(reader);
    if (notRun === undefined && missing !== undefined) process.stderr.write(`Not tried: ${missing}.\n`);
    for (const { protocol, tls } of reader.ways) {
      it.skipIf(missing !== undefined)(
        `${reader.name}, TLS ${tls}: reads every message as it is${missing === undefined ? '' : ` (${missing})`}`,
        async () => {
          const port = relay.mailboxPorts.pop3[tls];
          const folder = mkdtempSync(join(servers.folder.path, 'reader-'));
          const read = await reader.read({ protocol, tls, port, caFile: servers.caFile, ...LOGIN, folder, count: messages.length });
          expect(read.length).toBe(messages.length);
          expect(changesIn(reader, messages, read)).toEqual([]);
        },
        120_000,
      );
    }
  }

  it('keeps the names of messages over five sessions and a restart, and tells new ones apart', async () => {
    const listed = async (): Promise<string[]> => {
      const talking = await talk(LOGIN.username);
      const uids = await talking.uids();
      await talking.say('QUIT');
      return uids;
    };
    const first = await listed();
    expect(new Set(first).size).toBe(messages.length);
    for (let session = 0; session < 5; session += 1) expect(await listed()).toEqual(first);
    await relay.stop();
    relay = await startRelay(configured);
    const again = await talk(LOGIN.username);
    expect(await again.uids()).toEqual(first);
    await put(BILLING, [sampleMessage('a kilobyte of text', PRINTERS, BILLING).content]);
    expect(await again.uids(), 'a session sees what was there when it began').toEqual(first);
    await again.say('QUIT');
    expect((await listed()).slice(0, -1)).toEqual(first);
  }, 120_000);

  it('deletes at QUIT, and nothing where the connection breaks before', async () => {
    await put(
      PRINTERS,
      [1, 2, 3].map(() => sampleMessage('a kilobyte of text', BILLING, PRINTERS).content),
    );
    const before = await left(PRINTERS);
    const broken = await talk('printers-reader');
    expect(await broken.say('DELE 1')).toMatch(/^\+OK/);
    expect(await broken.say('NOOP')).toMatch(/^\+OK/);
    broken.socket.destroy();
    const halfClosed = await talk('printers-reader');
    expect(await halfClosed.say('DELE 2')).toMatch(/^\+OK/);
    halfClosed.socket.end();
    const reset = await talk('printers-reader');
    await reset.say('DELE 1');
    await reset.say('RSET');
    await reset.say('QUIT');
    expect(await left(PRINTERS)).toBe(before);
    const meant = await talk('printers-reader');
    const uids = await meant.uids();
    await meant.say('DELE 2');
    expect(await meant.say('STAT')).toMatch(new RegExp(`^\\+OK ${before - 1} `));
    expect(await meant.say('QUIT')).toMatch(/^\+OK/);
    expect(await eventually(async () => (await left(PRINTERS)) === before - 1, 20_000)).toBe(true);
    expect(await (await talk('printers-reader')).uids()).toEqual(uids.filter((_, index) => index !== 1));
  }, 120_000);
});
