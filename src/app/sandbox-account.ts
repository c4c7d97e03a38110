/**
 * What `postern serve` does where no account is configured: the sandbox, one account on it, and a line to paste.
 *
 * @packageDocumentation
 */
import { type Config, SANDBOX_ACCOUNT } from '../config/config.ts';
import { presetProvider } from '../config/providers.ts';
import type { Account, DeliveryMode } from '../core/account.ts';
import type { Client } from '../core/client.ts';
import type { ListenerSettings, SmtpListenerSettings } from '../core/listener.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { type Sandbox, startSandbox } from '../sandbox/sandbox.ts';
import type { Observation } from './compose.ts';

/** A running sandbox and what uses it. */
export interface SandboxAccount {
  readonly sandbox: Sandbox;
  /** The one account. */
  readonly accounts: readonly [Account];
  readonly clients: readonly Client[];
  /** For a person at the terminal: what runs where, and a command that sends a message. */
  readonly invitation: string;
}

/** @throws ProblemError `SANDBOX_FAILED` */
export async function openSandboxAccount(config: Config, { log, scrubber }: Observation): Promise<SandboxAccount> {
  const sandbox = await startAnywhere({ clock: systemClock, random: systemRandom, log, stateDir: config.state.dir });
  scrubber.add(sandbox.clientSecret);
  const account = accountOn(sandbox, config.delivery.mode);
  const clients = clientsOnSandbox(config, [account]);
  return { sandbox, accounts: [account], clients, invitation: invite(config, sandbox, account, clients) };
}

/** What logs in to read where no configured client has a password. Known to all, as what it opens is open to all who can reach the sandbox. */
const READER = { username: 'sandbox', password: 'sandbox' };

/** Those that are configured, or programs on this machine; and one to read mail with. */
export function clientsOnSandbox(config: Pick<Config, 'clients' | 'listeners'>, [account]: readonly [Account]): readonly Client[] {
  const configured = config.clients.map((client) => onSandbox(client, account.mailbox));
  const clients = configured.length > 0 ? configured : [localClient(account)];
  return needsReader(config) ? [...clients, reader(account)] : clients;
}

/** Reading asks for a login. On loopback only: a password that is known to all must not be heard elsewhere. */
function needsReader({ clients, listeners: { imap, pop3 } }: Pick<Config, 'clients' | 'listeners'>): boolean {
  const readers = [...imap, ...pop3];
  const isLocal = readers.every(({ host }) => /^(?:127\.|::1$|localhost$)/.test(host));
  return readers.length > 0 && isLocal && clients.every(({ login }) => login === undefined);
}

function reader(account: Account): Client {
  const { username, password } = READER;
  return {
    name: 'reader',
    account: account.name,
    login: { username, secret: { kind: 'password', password } },
    networks: [],
    senders: [account.mailbox],
    onOtherSender: 'refuse',
  };
}

/** A configured client, with what its account would have told. */
function onSandbox(client: Client, mailbox: string): Client {
  return {
    ...client,
    senders: client.senders.length > 0 ? client.senders : [mailbox],
    onOtherSender: client.onOtherSender === 'refuse' ? 'refuse' : { rewriteTo: mailbox },
  };
}

/** On its usual ports, or on any where those are taken: a second Postern on the machine can be tried, too. */
async function startAnywhere(options: Parameters<typeof startSandbox>[0]): Promise<Sandbox> {
  try {
    return await startSandbox(options);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    options.log.warn(
      { event: 'sandbox-ports-taken', problem: problem('SANDBOX_FAILED', error.problem.cause, { heals: 'by-itself', remedy: 'Nothing.' }) },
      'the usual ports of the sandbox cannot be used: trying others',
    );
    return startSandbox({ ...options, ports: { http: 0, smtp: 0 } });
  }
}

function accountOn(sandbox: Sandbox, delivery: DeliveryMode): Account {
  const [mailbox] = sandbox.mailboxes;
  const { authorizeUrl, tokenUrl, deviceUrl, smtp, imap, pop3, caPem } = sandbox;
  return {
    name: SANDBOX_ACCOUNT,
    provider: {
      ...presetProvider('sandbox', undefined, ['smtp', 'imap', 'pop3']),
      authorizeUrl,
      tokenUrl,
      deviceUrl,
      smtp: { ...smtp, tls: 'starttls' },
      imap: { ...imap, tls: 'implicit' },
      pop3: { ...pop3, tls: 'implicit' },
      ca: caPem,
    },
    mailbox,
    smtpUser: mailbox,
    auth: {
      grant: 'refresh_token',
      tenant: sandbox.tenant,
      clientId: sandbox.clientId,
      clientSecret: sandbox.clientSecret,
      refreshToken: sandbox.mint.refreshToken(mailbox),
    },
    delivery,
  };
}

/** With neither accounts nor clients configured, programs on this machine may submit. */
function localClient(account: Account): Client {
  return {
    name: 'local',
    account: account.name,
    networks: ['127.0.0.0/8', '::1/128'],
    senders: [account.mailbox],
    onOtherSender: 'refuse',
  };
}

function invite(config: Config, sandbox: Sandbox, account: Account, clients: readonly Client[]): string {
  const { smtp, imap, pop3 } = config.listeners;
  return `
No account is configured, so this is a sandbox: a local stand-in for Microsoft 365. Nothing leaves this machine.

  submit to        ${places(smtp)}
  as               ${account.mailbox}
  received mail    ${sandbox.httpUrl}/${readPlaces(imap, pop3)}

Paste this into another terminal to send a message:

  ${pasteLine(smtp, account.mailbox, clients)}
${readLines(imap, pop3, clients)}
To use a real mailbox, ${setUp(config)}put an account into ${config.source} (README.md, "Use it with Microsoft 365").

`;
}

const places = (listeners: readonly ListenerSettings[]): string =>
  listeners.map(({ host, port, tls }) => `${host}:${port}${tls === 'off' ? '' : ` (${tls})`}`).join(', ');

function readPlaces(imap: readonly ListenerSettings[], pop3: readonly ListenerSettings[]): string {
  return [['IMAP', imap] as const, ['POP3', pop3] as const]
    .filter(([, listeners]) => listeners.length > 0)
    .map(([name, listeners]) => `\n  read with ${name}   ${places(listeners)}`)
    .join('');
}

/** Nothing where there is no listener in clear text for it. */
function readLines(imap: readonly ListenerSettings[], pop3: readonly ListenerSettings[], clients: readonly Client[]): string {
  const isReader = clients.some(({ login }) => login?.username === READER.username);
  const login = isReader ? `${READER.username}:${READER.password}` : `${clients.find((client) => client.login)?.login?.username}:PASSWORD`;
  const line = (scheme: string, listeners: readonly ListenerSettings[], path: string): string[] =>
    listeners
      .filter(({ tls }) => tls === 'off')
      .slice(0, 1)
      .map(({ host, port }) => `  curl -sS '${scheme}://${host}:${port}/${path}' --user '${login}'`);
  const lines = [...line('imap', imap, 'INBOX;MAILINDEX=1'), ...line('pop3', pop3, '1')];
  return lines.length === 0 ? '' : `\nand one of these to read the first message of the mailbox:\n\n${lines.join('\n')}\n`;
}

/** One line for any shell with curl and printf. A client with a password gets a placeholder for it: secrets are not printed. */
function pasteLine(listeners: readonly SmtpListenerSettings[], mailbox: string, clients: readonly Client[]): string {
  const listener = listeners.find(({ tls }) => tls === 'off') ?? listeners[0];
  const url = `${listener?.tls === 'implicit' ? 'smtps' : 'smtp'}://${listener?.host ?? '127.0.0.1'}:${listener?.port ?? 2525}`;
  const login = clients.some(({ networks }) => networks.length > 0) ? undefined : clients[0]?.login?.username;
  const user = login === undefined ? '' : ` --user '${login}:PASSWORD'`;
  const message = `'From: ${mailbox}\\r\\nTo: ${mailbox}\\r\\nSubject: Hello from Postern\\r\\n\\r\\nIt works.\\r\\n'`;
  return `printf ${message} | curl -sS ${url}${user} --mail-from ${mailbox} --mail-rcpt ${mailbox} --upload-file -`;
}

/** Where the admin page is open to this machine. */
function setUp({ admin }: Config): string {
  if (admin === undefined) return '';
  return `open ${admin.tls === 'off' ? 'http' : 'https'}://${admin.name}/#/setup or `;
}
