/**
 * A program for test/hostile/dropped-packets.test.ts, run as root in a network of its own: it makes a second network with a mail server in it, and a cable between the
 * two, opens sessions of every kind to the server, and then takes the server's address away, so that every packet to it is dropped and nobody is told. Prints one
 * line of JSON for each session, with what became of it and after how many milliseconds.
 *
 * @packageDocumentation
 */
import { execFileSync, spawn } from 'node:child_process';
import { seconds } from '../../src/core/clock.ts';
import { UpstreamError } from '../../src/core/ports/upstream.ts';
import { Mailboxes } from '../../src/mailbox/mailboxes.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { SessionPool } from '../../src/upstream/session-pool.ts';
import { testAccount, testProvider } from './accounts.ts';
import { MemoryLog } from './memory-log.ts';
import { MemoryTokenSource } from './memory-token-source.ts';
import { projectRoot } from './process.ts';

const NEAR = '10.11.12.1';
const FAR = '10.11.12.2';
const PLAIN = { isSmtpUtf8: false, isRequireTls: false } as const;

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

/** The far network is that of a process that does nothing until the cable is there. */
const holder = spawn('unshare', ['-n', 'sleep', '120'], { stdio: 'ignore' });
process.once('exit', () => void holder.kill('SIGKILL'));
const inFar = ['-t', String(holder.pid), '-n'];
const far = (...args: string[]): string => execFileSync('nsenter', [...inFar, 'ip', ...args], { encoding: 'utf8' });

// The process is there before its network is.
for (const own = execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' }); ; await pause(20)) {
  if (execFileSync('readlink', [`/proc/${holder.pid}/ns/net`], { encoding: 'utf8' }) !== own) break;
}
ip('link', 'set', 'lo', 'up');
ip('link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far', 'netns', String(holder.pid));
ip('addr', 'add', `${NEAR}/24`, 'dev', 'near');
ip('link', 'set', 'near', 'up');
far('link', 'set', 'lo', 'up');
far('addr', 'add', `${FAR}/24`, 'dev', 'far');
far('link', 'set', 'far', 'up');
// Else the kernel would ask who has the address, and hear from nobody.
const [, hardware = ''] = /ether (\S+)/.exec(far('-o', 'link', 'show', 'far')) ?? [];
ip('neigh', 'replace', FAR, 'lladdr', hardware, 'dev', 'near', 'nud', 'permanent');

const server = spawn('nsenter', [...inFar, process.execPath, '--import', 'tsx', `${projectRoot}test/support/vanishing-server.ts`, FAR], {
  cwd: projectRoot,
  stdio: ['ignore', 'pipe', 'inherit'],
});
process.once('exit', () => void server.kill('SIGKILL'));
const { smtpPort, imapPort, caPem } = await new Promise<{ smtpPort: number; imapPort: number; caPem: string }>((resolve, reject) => {
  let output = '';
  server.once('exit', () => reject(new Error('the far end did not start')));
  server.stdout.on('data', (text: Buffer) => {
    output += text.toString();
    const [, facts] = /^READY (.*)\n/.exec(output) ?? [];
    if (facts !== undefined) resolve(JSON.parse(facts) as { smtpPort: number; imapPort: number; caPem: string });
  });
});

const base = { clock: systemClock, log: new MemoryLog(), tokens: new MemoryTokenSource() };
const provider = testProvider({
  ca: caPem,
  smtp: { host: FAR, port: smtpPort, tls: 'starttls' },
  imap: { host: FAR, port: imapPort, tls: 'implicit' },
});
const account = testAccount({ provider });
const pool = new SessionPool({ ...base, hostname: 'relay.test' });
const mailboxes = new Mailboxes({ ...base, accounts: [account] });

/** Ready, and then what becomes of it. */
interface Watched {
  readonly what: string;
  readonly ends: Promise<object>;
}

/** The message has been sent whole, and its reply is waited for, which may take ten minutes. */
async function finalReply(): Promise<Watched> {
  const { transaction } = await pool.begin(account, '', PLAIN, seconds(60));
  await transaction?.addForwardPath({ address: 'to@example.test' });
  await transaction?.startContent();
  const content = (async function* () {
    yield await Promise.resolve(Buffer.from('x\r\n'));
  })();
  const ends = described(transaction?.submitContent(content));
  await pause(300); // The dot is on its way.
  return { what: 'final reply', ends };
}

/** A transaction whose application is slow. */
async function waitingApplication(): Promise<Watched> {
  const { transaction } = await pool.begin(account, '', PLAIN, seconds(60));
  await transaction?.addForwardPath({ address: 'to@example.test' });
  await transaction?.startContent();
  const never = (async function* () {
    yield await Promise.resolve(Buffer.from('x\r\n'));
    await new Promise(() => undefined);
  })();
  const ends = described(transaction?.submitContent(never));
  await pause(300);
  return { what: 'content of a slow application', ends };
}

/** Signed in, nothing said: IDLE, say. */
async function idleMailbox(): Promise<Watched> {
  const { socket } = await mailboxes.open({ protocol: 'imap', account: account.name });
  socket.resume();
  const ends = new Promise<object>((resolve) => {
    socket.once('close', () => resolve({ sessions: mailboxes.sessionCount(account.name, 'imap') }));
  });
  return { what: 'idle mailbox', ends };
}

async function described(answer: Promise<unknown> | undefined): Promise<object> {
  const error: unknown = await answer?.catch((reason: unknown) => reason);
  if (!(error instanceof UpstreamError)) return { text: String(error) };
  return { stage: error.stage, problem: error.problem.code, code: error.reply.code, enhancedCode: error.reply.enhancedCode };
}

function tell(outcome: object): void {
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

const watched = await Promise.all([finalReply(), waitingApplication(), idleMailbox()]);
far('addr', 'del', `${FAR}/24`, 'dev', 'far');
const began = performance.now();
/** SYN packets are dropped from the first on. */
const connecting: Watched = { what: 'connection', ends: described(pool.begin(account, '', PLAIN, seconds(60))) };
await Promise.all(
  [...watched, connecting].map(async ({ what, ends }) => {
    const outcome = await ends;
    tell({ what, tookMs: Math.round(performance.now() - began), ...outcome });
  }),
);
await pause(50);
tell({ what: 'left', connections: pool.connections(account.name), sessions: mailboxes.sessionCount(account.name, 'imap') });
process.exit(0);
