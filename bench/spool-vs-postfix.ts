/**
 * Durable accepts per second beside Debian's Postfix: the same load on both, in turns, on the same file system, with nothing delivered by either.
 *
 * Both answer 250 after the message would survive a power cut: Postern after its group commit (fdatasync of the log), Postfix after cleanup(8) has called
 * fsync for the queue file. Postfix is tuned as its TUNING_README says for a machine that only accepts: no name look-ups, no limits per client, 200
 * processes; its messages are put on hold, so that neither qmgr nor delivery takes processor time. Postern's account has no refresh token yet, so its
 * mail waits as well. Every acknowledged message has to be in the queue afterwards.
 *
 *     npm run build && sudo node --import tsx bench/spool-vs-postfix.ts [--connections 50] [--octets 4096] [--rounds 5] [--seconds 4]
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { stringify } from 'yaml';
import { freePort } from '../test/support/free-port.ts';
import { postern, type RunningProcess } from '../test/support/process.ts';
import { createWorkFolder, type Daemon, startDaemon, type WorkFolder, waitForPort } from '../test/support/real/daemon.ts';
import { ensurePackages } from '../test/support/real/packages.ts';
import { type LoadOutcome, runLoad } from './smtp-load.ts';

const run = promisify(execFile);
const MAILBOX = 'billing@bench.test';

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '50' },
    octets: { type: 'string', default: '4096' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
  },
});
const connections = Number(values.connections);
const octets = Number(values.octets);
const rounds = Number(values.rounds);
const milliseconds = Number(values.seconds) * 1000;

/** What is measured. */
interface Server {
  readonly name: string;
  readonly port: number;
  /** Messages in its queue. */
  queued(): Promise<number>;
  stop(): Promise<void>;
}

async function startPostern(): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  const [port, adminPort] = [await freePort(), await freePort()];
  const file = join(folder, 'postern.yaml');
  const auth = { grant: 'refresh_token', tenant: 'bench', clientId: '11111111-2222-3333-4444-555555555555' };
  writeFileSync(
    file,
    stringify({
      listeners: { smtp: [{ host: '127.0.0.1', port }] },
      admin: { host: '127.0.0.1', port: adminPort },
      state: { dir: './var' },
      delivery: { mode: 'queue' },
      accounts: [{ name: 'billing', provider: 'microsoft365', mailbox: MAILBOX, delivery: 'queue', auth }],
      clients: [{ name: 'local', networks: ['127.0.0.0/8'], account: 'billing' }],
      log: { level: 'info', format: 'json' },
    }),
  );
  const process = postern(['serve', '--config', file]);
  await process.until(/"event":"ready"/);
  return {
    name: 'postern',
    port,
    queued: async () => {
      const response = await fetch(`http://127.0.0.1:${adminPort}/api/v1/status`);
      return ((await response.json()) as { queue: { messages: number } }).queue.messages;
    },
    stop: async () => {
      await endOf(process);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function endOf(process: RunningProcess): Promise<void> {
  const { code, stderr } = await process.end('SIGTERM');
  if (code !== 0) throw new Error(`postern ended with ${code}: ${stderr.slice(-1000)}`);
}

async function startTunedPostfix(): Promise<Server> {
  const folder = createWorkFolder();
  const port = await freePort();
  const config = join(folder.path, 'config');
  folder.write('config/main.cf', mainConfiguration(folder));
  folder.write('config/master.cf', masterConfiguration(port));
  mkdirSync(folder.file('queue'), { recursive: true });
  await run('install', ['-d', '-o', 'postfix', folder.file('data')]);
  await run('/usr/sbin/postfix', ['-c', config, 'check']);
  const daemon: Daemon = startDaemon(folder, '/usr/lib/postfix/sbin/master', ['-c', config, '-d'], 'master.log');
  await waitForPort(port, daemon, () => folder.read('postfix.log'));
  return {
    name: 'postfix',
    port,
    queued: () => Promise.resolve(filesIn(folder.file('queue/hold'))),
    stop: async () => {
      await daemon.stop();
      folder.remove();
    },
  };
}

const filesIn = (directory: string): number =>
  readdirSync(directory, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile()).length;

const mainConfiguration = (folder: WorkFolder): string => `compatibility_level = 3.6
queue_directory = ${folder.path}/queue
data_directory = ${folder.path}/data
maillog_file = ${folder.path}/postfix.log
maillog_file_prefixes = ${folder.path}
myhostname = bench.test
mydestination =
relay_domains = bench.test
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_event_limit_exceptions = 127.0.0.0/8
default_process_limit = 200
in_flow_delay = 0
smtpd_client_restrictions = static:HOLD
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = static:HOLD
hash_queue_names = deferred, defer, hold
`;

const masterConfiguration = (port: number): string => `127.0.0.1:${port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`;

const median = (numbers: readonly number[]): number => numbers.toSorted((one, other) => one - other)[numbers.length >> 1] ?? Number.NaN;

/** One round on a fresh server, after a short one that nobody counts. */
async function measure(start: () => Promise<Server>, keepsConnection: boolean): Promise<LoadOutcome & { readonly name: string }> {
  const server = await start();
  const load = { port: server.port, connections, octets, keepsConnection, from: MAILBOX, to: 'someone@bench.test' };
  try {
    const warm = await runLoad({ ...load, milliseconds: 1_000 });
    const outcome = await runLoad({ ...load, milliseconds });
    const refusals = [...warm.refusals, ...outcome.refusals];
    if (refusals.length > 0) throw new Error(`${server.name}: ${refusals.length} messages were refused: ${refusals[0]}`);
    const queued = await server.queued();
    const acknowledged = warm.acknowledged + outcome.acknowledged;
    if (queued !== acknowledged) throw new Error(`${server.name} acknowledged ${acknowledged} messages and has ${queued} in its queue`);
    return { ...outcome, name: server.name };
  } finally {
    await server.stop();
  }
}

async function compare(keepsConnection: boolean): Promise<void> {
  const rates: Record<string, number[]> = { postern: [], postfix: [] };
  const waits: Record<string, number[]> = { postern: [], postfix: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const start of round % 2 === 0 ? [startPostern, startTunedPostfix] : [startTunedPostfix, startPostern]) {
      const { name, acknowledged, seconds, medianWait } = await measure(start, keepsConnection);
      rates[name]?.push(acknowledged / seconds);
      waits[name]?.push(medianWait);
    }
  }
  const ratios = (rates['postern'] ?? []).map((rate, round) => rate / (rates['postfix']?.[round] ?? Number.NaN));
  console.log(`\n${keepsConnection ? 'many messages per connection' : 'a connection for each message'}`);
  for (const [name, found] of Object.entries(rates)) {
    const [least, most] = [Math.min(...found), Math.max(...found)].map(Math.round);
    console.log(
      `  ${name.padEnd(8)} ${Math.round(median(found))} messages/s (${least} to ${most}), median wait ${median(waits[name] ?? []).toFixed(1)} ms`,
    );
  }
  console.log(
    `  ratio    ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}), median of ${rounds} rounds`,
  );
}

const reason = await ensurePackages();
if (reason === undefined) {
  const [cpu] = cpus();
  const version = execFileSync('/usr/sbin/postconf', ['-d', '-h', 'mail_version'], { encoding: 'utf8' }).trim();
  const { version: own } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  console.log(`${cpus().length} × ${cpu?.model.trim()}, Linux ${release()}, Node ${process.version}, Postern ${own}, Postfix ${version}`);
  console.log(`${connections} connections, ${octets} octets, ${rounds} rounds of ${milliseconds / 1000} s each, in turns`);
  await compare(false);
  await compare(true);
} else {
  console.log(`not measured: ${reason}`);
}
