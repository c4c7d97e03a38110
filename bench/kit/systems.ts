/**
 * What is measured, and what stands beside it: each a process or several of their own, on loopback, with the same upstream behind.
 */
import { execFile, fork, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { createWorkFolder, startDaemon, waitForPort, type WorkFolder } from '../../test/support/real/daemon.ts';
import { lowPort } from '../../test/support/real/ports.ts';
import type { LoadOptions } from './load.ts';
import type { BenchUpstream } from './upstream.ts';

const run = promisify(execFile);
export const MAILBOX = 'bench@bench.test';
export const POSTERN_PROGRAM = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** One thing to put a load on. */
export interface System {
  readonly name: string;
  readonly port: number;
  /** The topmost process; 0 where there is none. */
  readonly pid: number;
  /** See {@link LoadOptions}: what the application has to do itself here. */
  readonly signsIn?: NonNullable<LoadOptions['signsIn']>;
  /** It says 250 before the upstream has the message. */
  readonly isQueueing?: boolean;
  stop(): Promise<void>;
}

export interface PosternSettings {
  readonly name?: string;
  readonly upstream: BenchUpstream;
  /** Of the upstream; `starttls` unless told. */
  readonly upstreamPort?: number;
  readonly delivery: 'auto' | 'direct' | 'queue';
  /** Upstream connections, as `limits.connections`. */
  readonly connections: number;
  /** As `delivery.budget`. */
  readonly budget?: string;
  readonly maxSize?: string;
  /** More of the configuration. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Options of Node, as `--cpu-prof`. */
  readonly nodeOptions?: string;
  /** Beside the configuration: names and texts. */
  readonly files?: Readonly<Record<string, string>>;
  /** Where it can be seen that it has started, in place of a port that is chosen. */
  readonly listensOn?: number;
}

/** The configuration of `postern serve` for a benchmark: everything on as by default, but for the pace of the provider. */
export function posternConfiguration(folder: WorkFolder, port: number, settings: PosternSettings): string {
  const { upstream, delivery, connections, budget, maxSize = '35MB' } = settings;
  const caFile = folder.write('ca.pem', upstream.caPem);
  return folder.write(
    'postern.yaml',
    stringify({
      listeners: { smtp: [{ host: '127.0.0.1', port }] },
      state: { dir: './var' },
      providers: {
        bench: {
          extends: 'microsoft365',
          tokenUrl: upstream.tokenUrl,
          smtp: { host: 'localhost', port: settings.upstreamPort ?? upstream.ports.starttls, tls: 'starttls' },
          caFile,
          limits: { connections, messagesPerMinute: 1_000_000, recipientsPerDay: 1_000_000_000, maxSize },
        },
      },
      delivery: { mode: delivery, ...(budget === undefined ? {} : { budget }) },
      accounts: [
        {
          name: 'bench',
          provider: 'bench',
          mailbox: MAILBOX,
          auth: { grant: 'client_credentials', tenant: 'bench.test', clientId: 'bench', clientSecret: '${env:BENCH_SECRET}' },
        },
      ],
      clients: [{ name: 'bench', networks: ['127.0.0.0/8'], account: 'bench' }],
      log: { level: 'info', format: 'json' },
      ...settings.more,
    }),
    0o600,
  );
}

/** Its log goes into a file, as it would in production. */
export async function startPostern(settings: PosternSettings): Promise<System & { readonly folder: WorkFolder }> {
  const folder = createWorkFolder();
  const port = settings.listensOn ?? (await lowPort());
  for (const [name, text] of Object.entries(settings.files ?? {})) folder.write(name, text);
  const file = posternConfiguration(folder, port, settings);
  const command = [
    '-c',
    `exec "$0" "$@" >>'${folder.file('postern.log')}'`,
    process.execPath,
    ...nodeArguments(settings),
    'serve',
    '--config',
    file,
  ];
  const child = spawn('/bin/sh', command, {
    stdio: ['ignore', 'ignore', 'inherit'],
    cwd: folder.path,
    env: { ...process.env, BENCH_SECRET: 'bench-secret-of-the-lab' },
  });
  const { pid = 0 } = child;
  const release = folder.guard(pid);
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const output = (): string => folder.read('postern.log');
  const state = {
    get isRunning() {
      return child.exitCode === null && child.signalCode === null;
    },
  };
  await waitForPort(port, state, output);
  return {
    name: settings.name ?? `postern ${settings.delivery}`,
    port,
    pid,
    folder,
    ...(settings.delivery === 'direct' ? {} : { isQueueing: true }),
    async stop() {
      child.kill('SIGTERM');
      const code = await ended;
      release();
      if (code !== 0) throw new Error(`postern ended with ${code}: ${output().slice(-2000)}`);
      folder.remove();
    },
  };
}

const nodeArguments = ({ nodeOptions }: PosternSettings): string[] => [
  ...(nodeOptions === undefined ? [] : nodeOptions.split(' ')),
  POSTERN_PROGRAM,
];

/** With NODE_EXTRA_CA_CERTS each Node reads that list before anything else, for 30 to 60 ms. */
export const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;

/** See bench/plain-relay.mjs. */
export const startPlainRelay = (upstream: BenchUpstream, connections: number, upstreamPort = upstream.ports.starttls): Promise<System> =>
  startScript('plain relay', '../plain-relay.mjs', upstream, connections, upstreamPort);

/** What Node itself costs. */
export const startBareRelay = (upstream: BenchUpstream, connections: number, upstreamPort = upstream.ports.starttls): Promise<System> =>
  startScript('bare relay', '../bare-relay.mjs', upstream, connections, upstreamPort);

async function startScript(
  name: string,
  script: string,
  upstream: BenchUpstream,
  connections: number,
  upstreamPort: number,
): Promise<System> {
  const folder = createWorkFolder();
  const caFile = folder.write('ca.pem', upstream.caPem);
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), [String(upstreamPort), String(connections), caFile], {
    execArgv: [],
    env: environment,
  });
  const { port } = await new Promise<{ port: number }>((resolve) => void child.once('message', resolve));
  return {
    name,
    port,
    pid: child.pid ?? 0,
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.disconnect();
      await ended;
      folder.remove();
    },
  };
}

/** No proxy: the application does it all itself. */
export const noProxy = (port: number): System => ({ name: 'no proxy', port, pid: 0, signsIn: 'starttls', stop: () => Promise.resolve() });

/** The load on the upstream itself, without TLS and sign-in: nothing can be faster. */
export const ceiling = ({ ports, pid }: BenchUpstream): System => ({
  name: 'ceiling of the load',
  port: ports.plain,
  pid,
  stop: () => Promise.resolve(),
});

/** haproxy in TCP mode, which brings TLS; the application signs in itself. */
export async function startHaproxy(upstreamPort: number, caPem: string, name = 'haproxy'): Promise<System> {
  const folder = createWorkFolder();
  const port = await lowPort();
  const ca = folder.write('ca.pem', caPem);
  const file = folder.write('haproxy.cfg', haproxyConfiguration(port, upstreamPort, ca));
  const daemon = startDaemon(folder, '/usr/sbin/haproxy', ['-db', '-f', file], 'haproxy.log');
  await waitForPort(port, daemon, () => folder.read('haproxy.log'));
  return {
    name,
    port,
    pid: daemon.pid,
    signsIn: 'as-it-is',
    async stop() {
      await daemon.stop();
      folder.remove();
    },
  };
}

const haproxyConfiguration = (port: number, upstreamPort: number, caFile: string): string => `global
  nbthread 1
  maxconn 8000
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen bench
  bind 127.0.0.1:${port}
  server upstream 127.0.0.1:${upstreamPort} ssl verify required ca-file ${caFile} sni str(localhost) verifyhost localhost
`;

export interface PostfixSettings {
  /** Undefined: it accepts only, and holds what it has. */
  readonly upstreamPort?: number;
  readonly caPem?: string;
  readonly connections?: number;
}

/**
 * Debian's Postfix, tuned as its TUNING_README says: no name look-ups, no limits per client, 200 processes. Where it relays, with SASL (PLAIN: Debian's has no
 * XOAUTH2), and TLS and connections are reused.
 */
export async function startPostfix(settings: PostfixSettings): Promise<System & { readonly folder: WorkFolder }> {
  const folder = createWorkFolder();
  const port = await lowPort();
  const config = join(folder.path, 'config');
  if (settings.caPem !== undefined) folder.write('ca.pem', settings.caPem);
  folder.write('config/main.cf', postfixMain(folder, settings));
  folder.write('config/master.cf', postfixMaster(port));
  folder.write('config/password', `[localhost]:${settings.upstreamPort} bench:bench\n`);
  mkdirSync(folder.file('queue'), { recursive: true });
  await run('install', ['-d', '-o', 'postfix', folder.file('data')]);
  await run('/usr/sbin/postfix', ['-c', config, 'check']);
  const daemon = startDaemon(folder, '/usr/lib/postfix/sbin/master', ['-c', config, '-d'], 'master.log');
  await waitForPort(port, daemon, () => folder.read('postfix.log'));
  return {
    name: 'postfix',
    port,
    pid: daemon.pid,
    folder,
    isQueueing: true,
    async stop() {
      await daemon.stop();
      folder.remove();
    },
  };
}

const postfixMain = (folder: WorkFolder, settings: PostfixSettings): string => `compatibility_level = 3.6
queue_directory = ${folder.path}/queue
data_directory = ${folder.path}/data
maillog_file = ${folder.path}/postfix.log
maillog_file_prefixes = ${folder.path}
myhostname = relay.bench.test
mydestination =
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
message_size_limit = 157286400
smtpd_relay_restrictions = permit_mynetworks, reject
hash_queue_names = deferred, defer, hold
${settings.upstreamPort === undefined ? HOLD : relaying(folder, settings.upstreamPort, settings.connections ?? 20)}`;

const HOLD = `relay_domains = bench.test
smtpd_client_restrictions = static:HOLD
smtpd_recipient_restrictions = static:HOLD
`;

const relaying = (folder: WorkFolder, port: number, connections: number): string => `relayhost = [localhost]:${port}
smtp_host_lookup = native
smtp_tls_security_level = encrypt
smtp_tls_CAfile = ${folder.path}/ca.pem
smtp_tls_connection_reuse = yes
smtp_sasl_auth_enable = yes
smtp_sasl_mechanism_filter = plain
smtp_sasl_security_options = noanonymous
smtp_sasl_password_maps = texthash:${folder.path}/config/password
smtp_connection_cache_destinations = localhost
smtp_connection_reuse_count_limit = 0
smtp_destination_concurrency_limit = ${connections}
initial_destination_concurrency = ${connections}
`;

const postfixMaster = (port: number): string => `127.0.0.1:${port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
tlsproxy unix - - n - 0 tlsproxy
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`;
