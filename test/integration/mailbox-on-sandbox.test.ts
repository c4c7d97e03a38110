/** Reading mail through the whole relay with the sandbox as provider: tokens end, sessions do not. */
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { submit } from '../support/submit.ts';

const LOGIN = { user: 'erp', pass: 'local-pässword 1' };
const MAILBOX = 'billing@sandbox.test';

let relay: RelayOnSandbox | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await relay?.close();
  relay = undefined;
});

/** An application that reads mail. */
class Reader {
  heard = '';
  readonly #socket: Socket;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    sockets.push(this.#socket);
    this.#socket.on('data', (octets: Buffer) => (this.heard += octets.toString('latin1')));
    this.#socket.on('error', () => undefined); // The end is looked for in what was heard.
  }

  say(text: string): void {
    this.#socket.write(text);
  }

  async hear(expected: RegExp): Promise<void> {
    await expect.poll(() => this.heard, { timeout: 40_000, interval: 20 }).toMatch(expected);
  }

  async login(): Promise<void> {
    await this.hear(/^\* OK/);
    const password = Buffer.from(LOGIN.pass);
    this.say(`a1 LOGIN erp {${password.length}+}\r\n`);
    this.#socket.write(password);
    this.say('\r\n');
    await this.hear(/^a1 OK/m);
    this.say('a2 SELECT INBOX\r\n');
    await this.hear(/^a2 OK/m);
  }
}

async function start(
  changes: { readonly tokenSeconds?: number } = {},
): Promise<{ readonly here: RelayOnSandbox; readonly reader: Reader }> {
  const imapPort = await freePort();
  relay = await startRelayOnSandbox({ imapPort, ...changes });
  return { here: relay, reader: new Reader(imapPort) };
}

const events = (name: string): number => relay?.log.lines.filter(({ event }) => event === name).length ?? 0;

const deliver = async ({ port }: RelayOnSandbox, subject: string): Promise<void> => {
  const content = `From: <${MAILBOX}>\r\nTo: <${MAILBOX}>\r\nSubject: ${subject}\r\n\r\nbody\r\n`;
  expect((await submit({ port, login: LOGIN, from: MAILBOX, to: MAILBOX, content })).code).toBe(250);
};

describe('POP3 that a provider refuses since the token is too long', () => {
  it('is served from IMAP, and the message is the same', async () => {
    const pop3Port = await freePort();
    relay = await startRelayOnSandbox({ pop3Port });
    relay.sandbox.faults.mailbox.longestPop3Token = 100;
    await deliver(relay, 'by POP3');
    const reader = new Reader(pop3Port);
    await reader.hear(/^\+OK/);
    reader.say(`USER erp\r\nPASS ${LOGIN.pass}\r\n`);
    await reader.hear(/^\+OK Signed in/m);
    reader.heard = '';
    reader.say('RETR 1\r\n');
    await reader.hear(/\r\n\.\r\n$/);
    expect(reader.heard).toMatch(/Subject: by POP3\r\n/);
    expect(events('pop3-from-imap')).toBe(1);
    reader.say('QUIT\r\n');
    await reader.hear(/^\+OK[^\n]*\r\n$/m);
  }, 60_000);
});

describe('a session that reads mail', () => {
  it('keeps IDLE when its token ends, and gets the next notice', async () => {
    const { here, reader } = await start({ tokenSeconds: 15 });
    await deliver(here, 'first');
    await reader.login();
    await reader.hear(/^\* 1 EXISTS/m);
    reader.say('a3 IDLE\r\n');
    await reader.hear(/^\+/m);
    await expect.poll(() => events('mailbox-continued'), { timeout: 40_000 }).toBeGreaterThan(0);
    await deliver(here, 'second');
    await reader.hear(/^\* 2 EXISTS/m);
    expect(reader.heard).not.toMatch(/BYE/);
    reader.say('DONE\r\n');
    await reader.hear(/^a3 OK/m);
    reader.say('a4 FETCH 2 BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\n');
    await reader.hear(/Subject: second\r\n/);
  }, 120_000);

  it('hears the provider where a command was under way, since nobody knows what became of it', async () => {
    const { here, reader } = await start();
    await reader.login();
    here.sandbox.faults.mailbox.next = [{ stage: 'command', protocol: 'imap', command: 'NOOP', kind: 'expired', times: 1 }];
    reader.say('a3 NOOP\r\n');
    await reader.hear(/^\* BYE .*AccessTokenExpired/m);
    expect(reader.heard).not.toMatch(/^a3 OK/m);
  }, 60_000);

  it('is told what the provider says of a user who has no mailbox, and the token is left alone', async () => {
    const { here, reader } = await start();
    here.sandbox.faults.mailbox.next = [{ stage: 'auth', kind: 'not-connected', times: 9 }];
    await reader.hear(/^\* OK/);
    await expect.poll(() => events('token-obtained'), { timeout: 20_000 }).toBe(1);
    const password = Buffer.from(LOGIN.pass);
    reader.say(`a1 LOGIN erp {${password.length}+}\r\n`);
    reader.say(`${LOGIN.pass}\r\n`);
    await reader.hear(/^a1 NO .*authenticated but not connected|^a1 NO \[/m);
    expect(events('token-obtained')).toBe(1);
  }, 60_000);
});
