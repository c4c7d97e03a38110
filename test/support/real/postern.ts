/**
 * Postern in front of the real servers, started as users start it: `postern serve --config FILE`, in a process of its own.
 *
 * @packageDocumentation
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { postern, type RunningProcess } from '../process.ts';
import { waitForPort, type WorkFolder } from './daemon.ts';
import type { RealServers } from './mail-servers.ts';
import { lowPort } from './ports.ts';
import { MAIL_DOMAIN } from './postfix.ts';

/** The client with a password. */
export const LOGIN = { username: 'erp', password: 'erp-Passw0rd.of-the-lab' };
/** Peers that need no password: printers. Others come from 127.0.0.1. */
export const PRINTER_ADDRESS = '127.0.0.2';
export const APP_ADDRESS = '127.0.0.1';
export const BILLING = `billing@${MAIL_DOMAIN}`;
export const PRINTERS = `printers@${MAIL_DOMAIN}`;
export const SHARED = `shared@${MAIL_DOMAIN}`;
export const DELEGATE = `delegate@${MAIL_DOMAIN}`;

/** Upstream sessions that Postern may have for one mailbox. */
export const CONNECTIONS = 10;

export interface RelaySettings {
  /** Name of its folder; a relay started again with the same name finds its state. */
  readonly name: string;
  readonly logLevel?: 'info' | 'trace';
  /** Of all accounts; `direct` unless told. */
  readonly delivery?: 'auto' | 'direct' | 'queue';
  /** How POP3 is served, for all accounts. */
  readonly pop3?: 'auto' | 'proxy' | 'imap';
  /** Where IMAP and POP3 are spoken upstream; the servers themselves unless told. */
  readonly upstreamPorts?: { readonly imap: number; readonly pop3: number };
  /** Rules, as in the file. */
  readonly fetch?: readonly object[];
}

/** Where applications read mail. */
export type MailboxPorts = Readonly<Record<'imap' | 'pop3', Readonly<Record<'off' | 'starttls' | 'implicit', number>>>>;

/** One line of the log. */
export type LogLine = Readonly<Record<string, unknown>>;

export interface Relay {
  readonly ports: Readonly<Record<'off' | 'starttls' | 'implicit' | 'small', number>>;
  readonly mailboxPorts: MailboxPorts;
  /** Directory of its state. */
  readonly stateDir: string;
  /** Every line it has logged. */
  log(): LogLine[];
  /** All it has written, as it is. */
  output(): string;
  /** Lines, from the given one on, whose problem has the code. */
  problems(code: string, from?: number): LogLine[];
  /** Resident memory now, in octets. */
  residentMemory(): number;
  /** Highest resident memory since {@link forgetPeakMemory}, in octets, as the kernel counts it. */
  peakMemory(): number;
  forgetPeakMemory(): void;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  /** kill -9. */
  kill(): Promise<void>;
}

/** Seeds for the refresh tokens of the accounts, written as files beside the configuration. */
async function writeSecrets(servers: RealServers, folder: string): Promise<void> {
  const seeds = { billing: BILLING, printers: PRINTERS, shared: DELEGATE };
  for (const [account, owner] of Object.entries(seeds)) {
    const seed = await servers.authorization.mintRefreshToken(owner);
    servers.folder.write(`${folder}/${account}.refresh-token`, `${seed}\n`, 0o600);
  }
  servers.folder.write(`${folder}/client-secret`, servers.authorization.delegated.clientSecret, 0o600);
}

/** Write a configuration for the servers, with fresh seeds. Returns what {@link startRelay} takes. */
export async function configureRelay(servers: RealServers, settings: RelaySettings): Promise<ConfiguredRelay> {
  const folder = `relay-${settings.name}`;
  const { delivery = 'direct' } = settings;
  const pop3 = settings.pop3 === undefined ? {} : { pop3: settings.pop3 };
  await writeSecrets(servers, folder);
  const ports = { off: await lowPort(), starttls: await lowPort(), implicit: await lowPort(), small: await lowPort() };
  const mailboxPorts = { imap: await threePorts(), pop3: await threePorts() };
  const listener = (port: number) => ({ host: '127.0.0.1', port });
  const tls = { cert: servers.certFile, key: servers.keyFile };
  const mailboxListeners = (of: MailboxPorts['imap']) => [
    listener(of.off),
    { ...listener(of.starttls), tls: 'starttls', ...tls },
    { ...listener(of.implicit), tls: 'implicit', ...tls },
  ];
  const upstream = settings.upstreamPorts ?? { imap: servers.imapPort, pop3: servers.pop3Port };
  const delegated = (account: string) => ({
    grant: 'refresh_token',
    tenant: servers.authorization.tenant,
    clientId: servers.authorization.delegated.clientId,
    clientSecret: '${file:client-secret}',
    refreshToken: `\${file:${account}.refresh-token}`,
  });
  const config = {
    listeners: {
      smtp: [
        listener(ports.off),
        { ...listener(ports.starttls), tls: 'starttls', ...tls },
        { ...listener(ports.implicit), tls: 'implicit', ...tls },
        { ...listener(ports.small), maxSize: '100KB' },
      ],
      imap: mailboxListeners(mailboxPorts.imap),
      pop3: mailboxListeners(mailboxPorts.pop3),
    },
    state: { dir: './state' },
    providers: {
      lab: {
        extends: 'microsoft365',
        authorizeUrl: servers.authorization.authorizeUrl,
        tokenUrl: servers.authorization.tokenUrl,
        deviceUrl: servers.authorization.deviceUrl,
        smtp: { host: servers.host, port: servers.smtpPort, tls: 'starttls' },
        imap: { host: servers.host, port: upstream.imap, tls: 'implicit' },
        pop3: { host: servers.host, port: upstream.pop3, tls: 'implicit' },
        caFile: servers.caFile,
        limits: { connections: CONNECTIONS, messagesPerMinute: 100_000, recipientsPerDay: 1_000_000, maxSize: '35MB' },
      },
    },
    accounts: [
      { name: 'billing', provider: 'lab', mailbox: BILLING, auth: delegated('billing'), delivery, ...pop3 },
      { name: 'printers', provider: 'lab', mailbox: PRINTERS, auth: delegated('printers'), delivery, ...pop3 },
      { name: 'shared', provider: 'lab', mailbox: SHARED, smtpUser: DELEGATE, auth: delegated('shared'), delivery, ...pop3 },
      {
        name: 'application',
        provider: 'lab',
        mailbox: servers.authorization.applicationMailbox,
        auth: {
          grant: 'client_credentials',
          tenant: servers.authorization.tenant,
          clientId: servers.authorization.application.clientId,
          clientSecret: '${env:POSTERN_TEST_APPLICATION_SECRET}',
        },
        delivery,
        ...pop3,
      },
    ],
    clients: [
      { name: 'erp', ...LOGIN, account: 'billing' },
      { name: 'printers', networks: [`${PRINTER_ADDRESS}/32`], account: 'printers' },
      { name: 'reader', username: 'printers-reader', password: LOGIN.password, account: 'printers' },
      { name: 'shared', username: 'shared', password: LOGIN.password, account: 'shared', senders: [SHARED] },
      { name: 'batch', username: 'batch', password: LOGIN.password, account: 'application' },
      { name: 'anybody', username: 'anybody', password: LOGIN.password, account: 'billing', senders: [`*@${MAIL_DOMAIN}`] },
    ],
    ...(settings.fetch === undefined ? {} : { fetch: settings.fetch }),
    delivery: { mode: 'direct', budget: '60s' },
    log: { level: settings.logLevel ?? 'info', format: 'json' },
  };
  // JSON is YAML.
  const file = servers.folder.write(`${folder}/postern.yaml`, `${JSON.stringify(config, undefined, 2)}\n`, 0o600);
  return {
    folder: servers.folder,
    file,
    ports,
    mailboxPorts,
    stateDir: servers.folder.file(`${folder}/state`),
    applicationSecret: servers.authorization.application.clientSecret,
  };
}

export interface ConfiguredRelay {
  readonly folder: WorkFolder;
  readonly file: string;
  readonly ports: Relay['ports'];
  readonly mailboxPorts: MailboxPorts;
  readonly stateDir: string;
  readonly applicationSecret: string;
}

/** Resolves once every listener accepts connections. */
export async function startRelay({ folder, file, ports, mailboxPorts, stateDir, applicationSecret }: ConfiguredRelay): Promise<Relay> {
  const running = postern(['serve', '--config', file], { env: { POSTERN_TEST_APPLICATION_SECRET: applicationSecret } });
  const release = folder.guard(running.child.pid ?? 0);
  await waitUntilListening(running, [...Object.values(ports), ...Object.values(mailboxPorts).flatMap((of) => Object.values(of))]);
  const status = (): string => readFileSync(`/proc/${running.child.pid}/status`, 'utf8');
  const memory = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status())?.[1]) * 1024;
  const log = (): LogLine[] => running.stdout.split('\n').flatMap(parseLine);
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    const { code } = await running.end(signal);
    release();
    return code;
  };
  return {
    ports,
    mailboxPorts,
    stateDir,
    log,
    output: () => running.stdout + running.stderr,
    problems: (code, from = 0) =>
      log()
        .slice(from)
        .filter((line) => line['problem'] === code),
    residentMemory: () => memory('VmRSS'),
    peakMemory: () => memory('VmHWM'),
    // proc(5): 5 sets the high-water mark back to the present size.
    forgetPeakMemory: () => writeFileSync(`/proc/${running.child.pid}/clear_refs`, '5'),
    stop: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL')),
  };
}

async function threePorts(): Promise<MailboxPorts['imap']> {
  return { off: await lowPort(), starttls: await lowPort(), implicit: await lowPort() };
}

async function waitUntilListening(running: RunningProcess, ports: readonly number[]): Promise<void> {
  const process = {
    get isRunning() {
      return running.child.exitCode === null && running.child.signalCode === null;
    },
  };
  for (const port of ports) await waitForPort(port, process, () => running.stdout + running.stderr);
}

/** Lines before the log is set up, and notes of Node itself, are not JSON. */
function parseLine(text: string): LogLine[] {
  return text.startsWith('{') ? [JSON.parse(text) as LogLine] : [];
}
