/**
 * POP3 with `pop3: auto` where the provider's POP3 server says what Exchange says to a token that is too long for it, and its IMAP server is a real Dovecot: readers
 * that keep lists of unique-ids take nothing twice, whatever happens in between.
 *
 * @packageDocumentation
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultProxy } from '../support/fault-proxy.ts';
import { RunningProcess } from '../support/process.ts';
import { eventually } from '../support/real/daemon.ts';
import { appendMessages, countMessages } from '../support/real/mailbox.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { sampleMessage } from '../support/real/messages.ts';
import { ensurePackages } from '../support/real/packages.ts';
import { BILLING, type ConfiguredRelay, configureRelay, LOGIN, PRINTERS, type Relay, startRelay } from '../support/real/postern.ts';
import { secretsIn } from '../support/real/secrets.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';
import { pop3Script, ScriptedLineServer } from '../support/scripted-line-server.ts';

if (notRun === undefined) await ensurePackages(['fetchmail', 'getmail6']);

const KINDS = ['leading dots', 'Latin-1', 'no body', 'a quarter of a megabyte', 'a kilobyte of text', 'UTF-8'];

/** A session by hand. */
class Talk {
  readonly closed: Promise<void>;
  readonly #socket;
  #said = '';

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.on('data', (octets: Buffer) => (this.#said += octets.toString('latin1'))).on('error', () => undefined);
    this.closed = new Promise((resolve) => void this.#socket.once('close', () => resolve()));
  }

  /** @returns What was said in answer. */
  async say(line: string, answer = /^(?:\+OK|-ERR)[^\n]*\r\n$/): Promise<string> {
    this.#said = '';
    this.#socket.write(`${line}\r\n`);
    return this.hear(answer);
  }

  async hear(answer: RegExp): Promise<string> {
    const isThere = await eventually(() => answer.test(this.#said), 30_000);
    expect(isThere, `${answer} is not in ${JSON.stringify(this.#said.slice(-300))}`).toBe(true);
    return this.#said;
  }

  /** Nobody waits for an answer. */
  sayAndLeave(lines: string): void {
    this.#socket.end(lines);
  }

  async login(): Promise<this> {
    await this.hear(/^\+OK/);
    await this.say(`USER ${LOGIN.username}`);
    expect(await this.say(`PASS ${LOGIN.password}`)).toMatch(/^\+OK/);
    return this;
  }
}

describe.skipIf(notRun !== undefined)(`pop3: auto in front of a POP3 server that refuses, and Dovecot's IMAP${whyNotRun}`, () => {
  let servers: RealServers;
  let hop: FaultProxy;
  let refusing: ScriptedLineServer;
  let refused = 0;
  let configured: ConfiguredRelay;
  let relay: Relay;

  beforeAll(async () => {
    servers = await startRealServers();
    hop = await FaultProxy.open(servers.imapPort);
    const certificate = { certPem: readFileSync(servers.certFile, 'utf8'), keyPem: readFileSync(servers.keyFile, 'utf8') };
    refusing = await ScriptedLineServer.start(() => {
      refused += 1;
      return pop3Script({ credentials: '-ERR Protocol error. Connection is closed. 10' });
    }, certificate);
    configured = await configureRelay(servers, { name: 'pop3-auto', pop3: 'auto', upstreamPorts: { imap: hop.port, pop3: refusing.port } });
    relay = await startRelay(configured);
    await put(KINDS);
  }, 120_000);
  afterAll(async () => {
    await relay?.stop();
    await refusing?.close();
    hop?.close();
    await servers?.stop();
  });

  const imap = () => ({ port: servers.imapPort, caPem: servers.caPem });
  const put = async (kinds: readonly string[]): Promise<void> =>
    appendMessages(
      imap(),
      BILLING,
      await servers.authorization.mintAccessToken(BILLING),
      kinds.map((kind) => sampleMessage(kind, PRINTERS, BILLING).content),
    );
  const left = async (): Promise<number> => countMessages(imap(), BILLING, await servers.authorization.mintAccessToken(BILLING));
  const talk = (): Promise<Talk> => new Talk(relay.mailboxPorts.pop3.off).login();

  async function uids(): Promise<string[]> {
    const talking = await talk();
    const answer = await talking.say('UIDL', /\r\n\.\r\n$/);
    await talking.say('QUIT');
    return answer.split('\r\n').flatMap((line) => /^\d+ (\S+)$/.exec(line)?.[1] ?? []);
  }

  /** @returns How many messages the program took for new. What it remembers stays in its folder. */
  async function fetchWith(program: 'fetchmail' | 'getmail'): Promise<number> {
    const home = join(servers.folder.path, program);
    mkdirSync(home, { recursive: true });
    const got = mkdtempSync(join(home, 'got-'));
    const save = join(home, 'save.sh');
    writeFileSync(save, `#!/bin/sh\ncat >/dev/null && mktemp '${got}/XXXXXXXX' >/dev/null\n`, { mode: 0o755 });
    const { off: port } = relay.mailboxPorts.pop3;
    const { username, password } = LOGIN;
    const isFetchmail = program === 'fetchmail';
    const settings = isFetchmail
      ? `set invisible\npoll 127.0.0.1 service ${port} protocol pop3 uidl username "${username}" password "${password}" sslproto '' keep no rewrite mda "${save}"\n`
      : [
          `[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = ${port}\nusername = ${username}\npassword = ${password}`,
          `[destination]\ntype = MDA_external\npath = ${save}\nallow_root_commands = true`,
          '[options]\nread_all = false\ndelete = false\n',
        ].join('\n');
    const file = join(home, 'rc');
    writeFileSync(file, settings, { mode: 0o600 });
    const args = isFetchmail
      ? ['--nodetach', '--nosyslog', '--fetchmailrc', file, '--idfile', join(home, 'ids')]
      : [`--getmaildir=${home}`, '--rcfile=rc'];
    const options = { env: { HOME: home, LANG: 'C' }, cwd: home };
    const { code, stdout, stderr } = await new RunningProcess('/usr/bin/timeout', ['60', `/usr/bin/${program}`, ...args], options).end();
    // fetchmail(1): 1 is "there was no mail".
    const isFine = code === 0 || (isFetchmail && code === 1);
    if (!isFine) throw new Error(`${program} ended with ${code}:\n${stdout.slice(-1500)}${stderr.slice(-1500)}`);
    return readdirSync(got).length;
  }

  async function restart(): Promise<void> {
    expect(await relay.stop()).toBe(0);
    relay = await startRelay(configured);
  }

  it('asks the server that refuses once, and readers take nothing twice over five sessions and two restarts', async () => {
    const first = await uids();
    expect(new Set(first).size).toBe(KINDS.length);
    expect([await fetchWith('fetchmail'), await fetchWith('getmail')]).toEqual([KINDS.length, KINDS.length]);
    for (let session = 0; session < 5; session += 1) {
      if (session === 1 || session === 3) await restart();
      expect(await uids()).toEqual(first);
      expect([await fetchWith('fetchmail'), await fetchWith('getmail')]).toEqual([0, 0]);
    }
    await put(['a kilobyte of text']);
    expect([await fetchWith('fetchmail'), await fetchWith('getmail')]).toEqual([1, 1]);
    expect(refused).toBe(1);
  }, 240_000);

  it('goes on where the connection to the provider is cut and its token revoked, and deletes at QUIT what was marked before', async () => {
    const before = await left();
    const talking = await talk();
    await talking.say('DELE 3');
    await servers.authorization.revokeAccessTokens(BILLING);
    hop.dropAll();
    await talking.say('RETR 1', /\r\n\.\r\n$/);
    expect(await talking.say('STAT')).toMatch(new RegExp(`^\\+OK ${before - 1} `));
    expect(await left()).toBe(before);
    expect(await talking.say('QUIT')).toMatch(/^\+OK/);
    expect(await left()).toBe(before - 1);
  }, 60_000);

  it('carries out the QUIT of an application that does not wait for the answer', async () => {
    const before = await left();
    const talking = await talk();
    talking.sayAndLeave('DELE 1\r\nQUIT\r\n');
    await talking.closed;
    expect(await eventually(async () => (await left()) === before - 1, 20_000)).toBe(true);
  }, 60_000);

  it('SIGTERM: a session that is open is told, nothing of it is deleted, and the process ends', async () => {
    const before = await left();
    const talking = await talk();
    await talking.say('DELE 1');
    const stopped = relay.stop();
    await talking.hear(/-ERR \[SYS\/TEMP\] Postern is stopping/);
    await talking.closed;
    expect(await stopped).toBe(0);
    expect(await left()).toBe(before);
    relay = await startRelay(configured);
  }, 60_000);

  it('keeps secrets to itself', async () => {
    const secrets = [LOGIN.password, await servers.authorization.mintAccessToken(BILLING)];
    expect(secretsIn(relay.output(), secrets)).toEqual([]);
    expect(secretsIn(readFileSync(join(configured.stateDir, 'pop3.json'), 'latin1'), secrets)).toEqual([]);
    expect(secretsIn(refusing.lines.join('\n'), [LOGIN.password])).toEqual([]);
  });
});
