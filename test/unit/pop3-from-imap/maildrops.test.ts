/** Which way POP3 is served for an account, what makes it change, and what is remembered. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Account } from '../../../src/core/account.ts';
import { MailboxError, type MailboxProtocol, type MailboxRequest, type OpenMailbox } from '../../../src/core/ports/mailbox.ts';
import { ProblemError, problem } from '../../../src/core/problem.ts';
import { Maildrops } from '../../../src/pop3-from-imap/maildrops.ts';
import { WayMemory } from '../../../src/pop3-from-imap/way-memory.ts';
import { classifyRefusal } from '../../../src/policy/mailbox-answers.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { MemoryTokenSource } from '../../support/memory-token-source.ts';
import { mailbox, ScriptedImap } from '../../support/scripted-imap.ts';

const SERVERS = testProvider({
  imap: { host: 'imap.lab.test', port: 993, tls: 'implicit' },
  pop3: { host: 'pop.lab.test', port: 995, tls: 'implicit' },
});
const { pop3: _pop3, ...WITHOUT_POP3 } = SERVERS;
const { imap: _imap, ...WITHOUT_IMAP } = SERVERS;

/** What a server says at its sign-in, as it comes to be known. */
function saying(line: string): MailboxError {
  const { problem: what, row } = classifyRefusal('auth', 'pop.lab.test:995', line);
  return new MailboxError(what, { row });
}

const TOO_LONG = saying('-ERR Protocol error. Connection is closed. 10');
const SWITCHED_OFF = saying('-ERR POP3 access is disabled');
const WITHOUT_XOAUTH2 = new MailboxError(problem('UPSTREAM_XOAUTH2_MISSING', 'offers PLAIN'));
const WRONG = saying('-ERR Authentication failure: unknown user name or bad password.');
const AWAY = new MailboxError(problem('UPSTREAM_UNREACHABLE', 'pop.lab.test:995: refused'));

let folder: string;
let server: Server;
let imap: ScriptedImap;
let log: MemoryLog;
let tokens: MemoryTokenSource;
/** What stands in the way at the provider. */
let refusals: Partial<Record<MailboxProtocol, MailboxError>>;
let asked: MailboxProtocol[];
const opened: OpenMailbox[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-maildrops-'));
  imap = new ScriptedImap(mailbox(new Map([[5, 'Subject: one\r\n\r\n1\r\n']])));
  server = createServer((socket) => imap.serve(socket));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  log = new MemoryLog();
  tokens = new MemoryTokenSource();
  refusals = {};
  asked = [];
});
afterEach(async () => {
  for (const one of opened.splice(0)) one.close();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

async function openMailbox({ protocol, signal }: MailboxRequest): Promise<OpenMailbox> {
  asked.push(protocol);
  const refusal = refusals[protocol];
  if (refusal !== undefined) throw refusal;
  if (signal?.aborted === true) throw new MailboxError(problem('UPSTREAM_LOST', 'called off'));
  const address = server.address();
  const socket = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
  await new Promise<void>((resolve) => void socket.once('connect', resolve));
  socket.on('error', () => undefined).pause();
  return {
    protocol,
    upstream: `${protocol}.lab.test`,
    user: 'billing@postern.test',
    socket,
    rest: Buffer.alloc(0),
    capabilities: ['IMAP4rev1', 'UIDPLUS'],
    close: () => void socket.destroy(),
  };
}

/** As after a start: what is remembered is on disk. */
function start(account: Account): { readonly maildrops: Maildrops; readonly open: (signal?: AbortSignal) => Promise<string> } {
  const memory = new WayMemory(join(folder, 'state', 'pop3.json'), log);
  const maildrops = new Maildrops({ accounts: [account], mailboxes: { open: openMailbox }, tokens, memory, clock: new FakeClock(), log });
  return {
    maildrops,
    open: async (signal) => {
      // A maildrop is for one session at a time.
      for (const one of opened.splice(0)) one.close();
      await noConnection();
      try {
        const one = await maildrops.open({ protocol: 'pop3', account: 'billing', ...(signal === undefined ? {} : { signal }) });
        opened.push(one);
        expect(one.protocol).toBe('pop3');
        return asked.at(-1) === 'imap' ? 'served' : 'proxied';
      } catch (error) {
        if (!(error instanceof MailboxError)) throw error;
        return error.problem.code;
      }
    },
  };
}

const auto = (changes: Partial<Account> = {}): Account => testAccount({ provider: SERVERS, ...changes });

describe('the way of POP3', () => {
  it.each([
    ['proxy', SERVERS, 'proxied', ['pop3']],
    ['imap', SERVERS, 'served', ['imap']],
    ['auto', SERVERS, 'proxied', ['pop3']],
    ['auto', WITHOUT_POP3, 'served', ['imap']],
    ['auto', WITHOUT_IMAP, 'proxied', ['pop3']],
  ] as const)('pop3: %s', async (pop3, provider, way, tried) => {
    expect(await start(testAccount({ pop3, provider })).open()).toBe(way);
    expect(asked).toEqual(tried);
  });

  it.each([
    ['the provider takes no such token', TOO_LONG],
    ['POP3 is switched off', SWITCHED_OFF],
    ['the server has no XOAUTH2', WITHOUT_XOAUTH2],
  ])('auto goes over to IMAP where %s, and stays there over a restart', async (_why, refusal) => {
    refusals.pop3 = refusal;
    const first = start(auto());
    expect(await first.open()).toBe('served');
    expect(await first.open()).toBe('served');
    refusals = {};
    expect(await start(auto()).open()).toBe('served');
    expect(asked).toEqual(['pop3', 'imap', 'imap', 'imap']);
    expect(log.of('pop3-from-imap')).toMatchObject([{ level: 'info', account: 'billing' }]);
  });

  it('auto does not show a token at POP3 that is too long for it', async () => {
    tokens = new MemoryTokenSource('x'.repeat(4097));
    expect(await start(auto()).open()).toBe('served');
    expect(asked).toEqual(['imap']);
    tokens = new MemoryTokenSource('x'.repeat(4096));
    expect(await start(auto({ name: 'billing', mailbox: 'other@postern.test' })).open()).toBe('proxied');
  });

  it.each([
    ['out of reach', AWAY],
    ['slowing the mailbox down', saying('-ERR Request is throttled. Suggested Backoff Time: 299883 milliseconds')],
    ['used by another session', saying('-ERR [IN-USE] locked')],
    ['of a mailbox that does not open', saying('-ERR User is authenticated but not connected.')],
    ['refusing the token', WRONG],
  ])('auto does not leave a POP3 server that is %s', async (_what, refusal) => {
    refusals.pop3 = refusal;
    expect(await start(auto()).open()).toBe(refusal.problem.code);
    expect(asked).toEqual(['pop3']);
  });

  it('where POP3 has worked a long token alone changes nothing, and POP3 that is switched off does, with a warning', async () => {
    expect(await start(auto()).open()).toBe('proxied');
    tokens = new MemoryTokenSource('x'.repeat(4097));
    expect(await start(auto()).open()).toBe('proxied');
    refusals.pop3 = SWITCHED_OFF;
    expect(await start(auto()).open()).toBe('served');
    expect(log.of('pop3-from-imap')).toMatchObject([{ level: 'warn' }]);
    expect(log.of('pop3-from-imap')[0]?.message).toContain('take every message for new');
  });

  it('a provider without IMAP is no reason to hide what POP3 said, nor a long token to leave it', async () => {
    tokens = new MemoryTokenSource('x'.repeat(4097));
    refusals = { pop3: TOO_LONG, imap: new MailboxError(problem('UPSTREAM_MISCONFIGURED', 'provider lab has no IMAP server')) };
    expect(await start(testAccount({ provider: WITHOUT_IMAP })).open()).toBe('UPSTREAM_PROTOCOL');
    expect(asked).toEqual(['pop3', 'imap']);
  });

  it('IMAP is left alone', async () => {
    const mailbox = await start(auto({ pop3: 'imap' })).maildrops.open({ protocol: 'imap', account: 'billing' });
    opened.push(mailbox);
    expect(mailbox.protocol).toBe('imap');
  });

  it('where both refuse the reason of POP3 is told, and nothing is remembered', async () => {
    refusals = { pop3: SWITCHED_OFF, imap: WRONG };
    expect(await start(auto()).open()).toBe('UPSTREAM_MAILBOX_CLOSED');
    refusals.imap = AWAY;
    expect(await start(auto()).open()).toBe('UPSTREAM_UNREACHABLE');
    refusals = {};
    expect(await start(auto()).open()).toBe('proxied');
  });

  it('what is remembered is of one mailbox at one provider, and forgotten where the account says otherwise', async () => {
    refusals.pop3 = SWITCHED_OFF;
    expect(await start(auto()).open()).toBe('served');
    refusals = {};
    expect(await start(auto({ mailbox: 'new@postern.test' })).open()).toBe('proxied');
    refusals.pop3 = SWITCHED_OFF;
    expect(await start(auto()).open()).toBe('served');
    refusals = {};
    expect(await start(auto({ pop3: 'proxy' })).open()).toBe('proxied');
    expect(await start(auto()).open()).toBe('proxied');
  });

  it('a changed configuration counts from the next session on', async () => {
    const { maildrops, open } = start(auto());
    expect(await open()).toBe('proxied');
    maildrops.update([auto({ pop3: 'imap' })]);
    expect(await open()).toBe('served');
  });

  it('an account without a token says so', async () => {
    tokens.failure = new ProblemError(problem('TOKEN_MISSING'));
    expect(await start(auto()).open()).toBe('TOKEN_MISSING');
    expect(asked).toEqual([]);
  });

  it('says what keeps INBOX from being opened, in the words of the same table, and leaves no connection', async () => {
    imap = new ScriptedImap((command) =>
      command.startsWith('SELECT') ? '%TAG% BAD User is authenticated but not connected.\r\n' : '%TAG% OK\r\n',
    );
    const { maildrops } = start(auto({ pop3: 'imap' }));
    await expect(maildrops.open({ protocol: 'pop3', account: 'billing' })).rejects.toMatchObject({
      name: 'MailboxError',
      problem: { code: 'UPSTREAM_MAILBOX_CLOSED', cause: expect.stringContaining('authenticated but not connected') },
    });
    await noConnection();
  });

  it('an application that is gone keeps no session open', async () => {
    const leaving = new AbortController();
    imap = new ScriptedImap((command) => {
      if (command.startsWith('SELECT')) leaving.abort();
      return '';
    });
    expect(await start(auto({ pop3: 'imap' })).open(leaving.signal)).toBe('UPSTREAM_LOST');
    await noConnection();
  });
});

describe('a maildrop from IMAP', () => {
  async function served(): Promise<OpenMailbox> {
    const one = await start(auto({ pop3: 'imap' })).maildrops.open({ protocol: 'pop3', account: 'billing' });
    opened.push(one);
    expect(one).toMatchObject({ protocol: 'pop3', upstream: 'imap.lab.test', user: 'billing@postern.test' });
    return one;
  }

  it('answers at the connection that is given back, and leaves none at the provider', async () => {
    const { socket } = await served();
    let said = '';
    socket.on('data', (octets: Buffer) => (said += octets.toString('latin1'))).resume();
    const ended = new Promise((resolve) => socket.once('end', resolve));
    socket.write('STAT\r\nUIDL 1\r\nDELE 1\r\nQUIT\r\n');
    await ended;
    expect(said).toBe('+OK 1 19\r\n+OK 1 77.5\r\n+OK Marked as deleted\r\n+OK Postern says goodbye\r\n');
    expect(imap.commands).toContain('UID EXPUNGE 5');
    expect(log.of('maildrop-closed')).toMatchObject([{ level: 'debug' }]);
    await noConnection();
  });

  it('P03 that is cut deletes nothing', async () => {
    const maildrop = await served();
    const answered = new Promise((resolve) => maildrop.socket.once('data', resolve).resume());
    maildrop.socket.write('DELE 1\r\n');
    await answered;
    maildrop.close();
    await noConnection();
    expect(imap.commands.filter((command) => /STORE|EXPUNGE/.test(command))).toEqual([]);
  });

  it('tells the operator what went wrong', async () => {
    const script = mailbox(new Map([[5, 'Subject: one\r\n\r\n1\r\n']]), (command) =>
      command.includes('STORE') ? '%TAG% NO [LIMIT] over quota\r\n' : undefined,
    );
    imap = new ScriptedImap(script);
    const { socket } = await served();
    const ended = new Promise((resolve) => socket.once('end', resolve).resume());
    socket.write('DELE 1\r\nQUIT\r\n');
    await ended;
    while (log.of('maildrop-closed').length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(log.of('maildrop-closed')).toMatchObject([{ level: 'warn', problem: { cause: expect.stringContaining('over quota') } }]);
  });
});

describe('the memory of ways', () => {
  it('is damaged: it says so, finds out anew and mends it', async () => {
    refusals.pop3 = SWITCHED_OFF;
    await start(auto()).open();
    const file = join(folder, 'state', 'pop3.json');
    expect(readFileSync(file, 'utf8')).not.toContain('access-token');
    for (const damaged of [
      '',
      '{"version":2,"accounts":[]}',
      '{"version":1,"accounts":[{"name":"billing","of":"x","way":"smtp"}]}',
      '[]',
    ]) {
      writeFileSync(file, damaged);
      expect(await start(auto()).open()).toBe('served');
    }
    expect(log.of('pop3-state-failed').map((line) => line.problem?.code)).toEqual(Array(4).fill('POP3_STATE_FAILED'));
    refusals = {};
    expect(await start(auto()).open()).toBe('served');
  });

  it('cannot be written: the log says so, and applications read their mail', async () => {
    writeFileSync(join(folder, 'state'), 'in the way');
    refusals.pop3 = SWITCHED_OFF;
    const { open } = start(auto());
    expect(await open()).toBe('served');
    expect(await open()).toBe('served');
    expect(asked).toEqual(['pop3', 'imap', 'imap']);
    expect(log.of('pop3-state-failed').length).toBeGreaterThan(0);
  });
});

/** The server's view; the test's own time limit ends a wait that has no end. */
async function noConnection(): Promise<void> {
  const count = (): Promise<number> =>
    new Promise((resolve, reject) => server.getConnections((error, n) => (error ? reject(error) : resolve(n))));
  while ((await count()) > 0) await new Promise((resolve) => setImmediate(resolve));
  expect(await count()).toBe(0);
}
