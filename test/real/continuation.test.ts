/**
 * A reader in IDLE at a real Dovecot, whose access token is revoked and whose connection is cut: it keeps its session, and hears of the next message.
 *
 * @packageDocumentation
 */
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from '../support/fault-proxy.ts';
import { eventually } from '../support/real/daemon.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { sampleMessage } from '../support/real/messages.ts';
import { APP_ADDRESS, BILLING, configureRelay, LOGIN, type Relay, startRelay } from '../support/real/postern.ts';
import { submit } from '../support/real/submit.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

class Reader {
  readonly socket: Socket;
  text = '';
  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (octets: Buffer) => (this.text += octets.toString('latin1'))).on('error', () => undefined);
  }

  /** @returns What was heard since, up to what is expected. */
  async say(command: string, expected: RegExp): Promise<string> {
    this.text = '';
    this.socket.write(`${command}\r\n`);
    await this.hear(expected);
    return this.text;
  }

  async hear(expected: RegExp): Promise<void> {
    const isThere = await eventually(() => expected.test(this.text), 30_000);
    expect(isThere, `${expected} is not in ${JSON.stringify(this.text)}`).toBe(true);
  }
}

describe.skipIf(notRun !== undefined)(`a session that outlives its connection to Dovecot${whyNotRun}`, () => {
  let servers: RealServers;
  let proxy: FaultProxy;
  let relay: Relay;
  let reader: Reader;
  let imapPort: number;

  beforeAll(async () => {
    servers = await startRealServers();
    proxy = await FaultProxy.open(servers.imapPort);
    relay = await startRelay(
      await configureRelay(servers, { name: 'continuation', upstreamPorts: { imap: proxy.port, pop3: servers.pop3Port } }),
    );
    imapPort = relay.mailboxPorts.imap.off;
    await deliver();
  });
  afterAll(async () => {
    await relay?.stop();
    proxy?.close();
    await servers?.stop();
  });
  beforeEach(async () => {
    reader = new Reader(imapPort);
    await reader.hear(/^\* OK/);
    await reader.say(`a LOGIN ${LOGIN.username} ${LOGIN.password}`, /^a OK/m);
  });
  afterEach(() => void reader.socket.destroy());

  /** A message arrives in the mailbox that is read. */
  async function deliver(): Promise<void> {
    const before = await servers.countMessages(BILLING);
    const message = sampleMessage('a kilobyte of text', BILLING, BILLING);
    const order = { port: relay.ports.off, tls: 'off', login: LOGIN, source: APP_ADDRESS, from: BILLING, to: [BILLING], message } as const;
    const [outcome] = await submit('smtplib', [order], { folder: servers.folder.path, caFile: servers.caFile, together: 1 });
    expect(outcome?.code).toBe(250);
    expect(await eventually(async () => (await servers.countMessages(BILLING)) > before, 30_000)).toBe(true);
  }

  const continued = (): number => relay.log().filter((line) => line['event'] === 'mailbox-continued').length;

  async function loseToken(): Promise<void> {
    const before = continued();
    await servers.authorization.revokeAccessTokens(BILLING);
    proxy.dropAll();
    expect(await eventually(() => continued() > before, 30_000), relay.output().slice(-3000)).toBe(true);
  }

  it('inside IDLE: the application hears nothing of it, and then of the next message', async () => {
    const selected = await reader.say('b SELECT INBOX', /^b OK/m);
    const count = Number(/^\* (\d+) EXISTS/m.exec(selected)?.[1]);
    await reader.say('c FETCH 1:* (UID FLAGS)', /^c OK/m);
    await reader.say('d IDLE', /^\+/m);
    reader.text = '';
    const requests = servers.authorization.tokenRequests.length;
    await loseToken();
    expect(reader.text).toBe('');
    expect(servers.authorization.tokenRequests.length - requests).toBe(1);
    await deliver();
    await reader.hear(new RegExp(`^\\* ${count + 1} EXISTS\r\n`));
    const done = await reader.say('DONE', /^d OK/m);
    expect(done).not.toMatch(/BYE|EXPUNGE|BAD/);
    const fetched = await reader.say(`e FETCH ${count + 1} (UID BODY.PEEK[])`, /^e OK/m);
    expect(fetched).toMatch(new RegExp(`^\\* ${count + 1} FETCH \\(UID \\d+ BODY\\[\\] \\{\\d+\\}`));
  }, 120_000);

  it('many at once cost one request for a token', async () => {
    const others = Array.from({ length: 9 }, () => new Reader(imapPort));
    for (const one of [reader, ...others]) {
      if (one !== reader) await one.say(`a LOGIN ${LOGIN.username} ${LOGIN.password}`, /^a OK/m);
      await one.say('b SELECT INBOX', /^b OK/m);
      await one.say('c IDLE', /^\+/m);
    }
    const [before, requests] = [continued(), servers.authorization.tokenRequests.length];
    await servers.authorization.revokeAccessTokens(BILLING);
    proxy.dropAll();
    expect(await eventually(() => continued() === before + 10, 30_000), relay.output().slice(-3000)).toBe(true);
    expect(servers.authorization.tokenRequests.length - requests).toBe(1);
    for (const one of [reader, ...others]) {
      expect(await one.say('DONE', /^c OK/m)).not.toMatch(/BYE/);
      one.socket.destroy();
    }
  }, 120_000);

  it('between commands, with a message that arrived meanwhile', async () => {
    const selected = await reader.say('b SELECT INBOX', /^b OK/m);
    const count = Number(/^\* (\d+) EXISTS/m.exec(selected)?.[1]);
    await loseToken();
    await deliver();
    expect(await reader.say('c NOOP', /^c OK/m)).toMatch(new RegExp(`^\\* ${count + 1} EXISTS`, 'm'));
  }, 120_000);

  it('changed flags are told', async () => {
    await reader.say('b SELECT INBOX', /^b OK/m);
    await reader.say('c STORE 1 -FLAGS (\\Flagged)', /^c OK/m);
    await reader.say('d FETCH 1:* (FLAGS)', /^d OK/m);
    const other = new Reader(imapPort);
    await other.say(`a LOGIN ${LOGIN.username} ${LOGIN.password}`, /^a OK/m);
    await other.say('b SELECT INBOX', /^b OK/m);
    reader.text = '';
    // The reader is not in IDLE: Dovecot tells it nothing, and the next session has to.
    await other.say('c STORE 1 +FLAGS (\\Flagged)', /^c OK/m);
    await loseToken();
    await reader.hear(/^\* 1 FETCH \(FLAGS \([^)]*\\Flagged[^)]*\)\)\r\n/m);
    other.socket.destroy();
  }, 120_000);

  it('a message that is gone ends the session with the reason', async () => {
    await reader.say('b SELECT INBOX', /^b OK/m);
    const other = new Reader(imapPort);
    await other.say(`a LOGIN ${LOGIN.username} ${LOGIN.password}`, /^a OK/m);
    await other.say('b SELECT INBOX', /^b OK/m);
    await other.say('c STORE 1 +FLAGS (\\Deleted)', /^c OK/m);
    reader.text = '';
    await other.say('d EXPUNGE', /^d OK/m);
    other.socket.destroy();
    await servers.authorization.revokeAccessTokens(BILLING);
    proxy.dropAll();
    await reader.hear(/^\* BYE .*: messages have been removed meanwhile \(UPSTREAM_LOST\)\r\n/m);
  }, 120_000);
});
