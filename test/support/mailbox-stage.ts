/**
 * An IMAP or POP3 listener on a free port of this machine, in front of a mailbox server that is scripted and remembers every octet it was sent.
 *
 * @packageDocumentation
 */
import { connect, type Server, type Socket, createServer } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { MailboxListenerSettings } from '../../src/core/listener.ts';
import type { Client } from '../../src/core/client.ts';
import { type EpochMs, hours, minutes } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import { MailboxError, type MailboxUpstream } from '../../src/core/ports/mailbox.ts';
import { type Problem, problem } from '../../src/core/problem.ts';
import { PasswordCheck } from '../../src/platform/password-check.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { ClientDirectory } from '../../src/policy/client-directory.ts';
import type { PlaceLimits } from '../../src/policy/peer-places.ts';
import { FrontSession } from '../../src/proxy/front-session.ts';
import { Maildrops } from '../../src/pop3-from-imap/maildrops.ts';
import { WayMemory } from '../../src/pop3-from-imap/way-memory.ts';
import { MailboxListener, type MailboxListenerDependencies } from '../../src/proxy/mailbox-listener.ts';
import { testAccount, testClient } from './accounts.ts';
import { EagerClock } from './eager-clock.ts';
import { MemoryLog } from './memory-log.ts';
import { MemoryTokenSource } from './memory-token-source.ts';
import { mailbox, ScriptedImap } from './scripted-imap.ts';
import { stageCertificate } from './smtp-stage.ts';

/** What clients there are. */
export const MAILBOX_CLIENTS: readonly Client[] = [
  testClient({ login: { username: 'app', secret: { kind: 'password', password: 'local-password' } } }),
  testClient({ name: 'tricky', login: { username: 'tri"cky\\', secret: { kind: 'password', password: ' sp:ace"\\ü{3} ' } } }),
  testClient({
    name: 'single',
    login: { username: 'single', secret: { kind: 'password', password: 'local-password' } },
    mailboxSessions: 1,
  }),
  testClient({ name: 'down', account: 'down', login: { username: 'down', secret: { kind: 'password', password: 'local-password' } } }),
  testClient({
    name: 'closed',
    account: 'closed',
    login: { username: 'closed', secret: { kind: 'password', password: 'local-password' } },
  }),
  testClient({
    name: 'served',
    account: 'served',
    login: { username: 'served', secret: { kind: 'password', password: 'local-password' } },
  }),
];

/** The account whose POP3 is served from IMAP: two messages, by UID. */
const SERVED = testAccount({ name: 'served', pop3: 'imap' });
const SERVED_MESSAGES: ReadonlyMap<number, string> = new Map([
  [5, 'Subject: one\r\n\r\n.dot\r\n'],
  [12, 'Subject: two\r\n\r\n1\r\n2\r\n3\r\n'],
]);

const REFUSALS: Readonly<Record<string, Problem>> = {
  down: problem('UPSTREAM_UNREACHABLE', 'imap.lab.test:993: host name not resolved (ENOTFOUND)'),
  closed: problem('UPSTREAM_MAILBOX_CLOSED', 'The token is good, but the mailbox does not open for it'),
};

export interface MailboxStageOptions {
  readonly protocol: 'imap' | 'pop3';
  readonly settings?: Partial<MailboxListenerSettings>;
  readonly peer?: string;
  /** In place of {@link MAILBOX_CLIENTS}. */
  readonly clients?: readonly Client[];
  readonly clock?: Clock;
  /** What the server answers to each line, with line ends. */
  readonly answer?: (line: string) => string;
  /** Has the messages of the account `served`. */
  readonly imap?: ScriptedImap;
  /** In place of a server that answers line by line. */
  readonly serve?: (socket: Socket) => void;
  /** Port of something between the listener and a server of its own. */
  readonly upstreamPort?: number;
  /** That the server lists after the sign-in. */
  readonly capabilities?: readonly string[];
  /** What stands in the way of another session at this moment. */
  readonly refusal?: () => Problem | undefined | Promise<Problem | undefined>;
  /** Of the token of a session that begins now. */
  readonly tokenExpiresAt?: () => EpochMs;
  /** How many connections there may be; as in production unless told. */
  readonly places?: PlaceLimits;
}

export interface MailboxStage {
  readonly listener: MailboxListener;
  readonly port: number;
  readonly log: MemoryLog;
  /** Everything that the upstream was sent, over all sessions. */
  upstreamText(): string;
  /** The server's ends of the sessions, oldest first. */
  readonly upstreams: readonly Socket[];
  close(): Promise<void>;
}

/** IMAP: every command is fine; POP3: every command is fine, RETR gives a message. QUIT and LOGOUT end the session. */
function defaultAnswer(protocol: 'imap' | 'pop3'): (line: string) => string {
  if (protocol === 'pop3') {
    return (line) =>
      /^RETR/i.test(line) ? '+OK\r\nSubject: hello\r\n\r\n..\r\n.\r\n' : /^(?:USER|PASS|APOP|AUTH)/i.test(line) ? '-ERR no\r\n' : '+OK\r\n';
  }
  return (line) => {
    const [tag = '*', verb = ''] = line.split(' ');
    if (/^LOGOUT$/i.test(verb)) return `* BYE bye\r\n${tag} OK\r\n`;
    return /^(?:LOGIN|AUTHENTICATE)$/i.test(verb) ? `${tag} BAD no\r\n` : `${tag} OK ${verb}\r\n`;
  };
}

export async function openMailboxStage(options: MailboxStageOptions): Promise<MailboxStage> {
  const { protocol, answer = defaultAnswer(protocol), clock = new EagerClock() } = options;
  const received: Buffer[] = [];
  const upstreams: Socket[] = [];
  const server = createServer((socket) => {
    if (options.serve === undefined) return serve(socket, answer, received, upstreams);
    upstreams.push(socket);
    options.serve(socket);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const log = new MemoryLog();
  const pem = options.settings?.tls === undefined || options.settings.tls === 'off' ? undefined : stageCertificate();
  const settings: MailboxListenerSettings = {
    protocol,
    name: '127.0.0.1:0',
    host: '127.0.0.1',
    port: 0,
    tls: 'off',
    minTls: 'TLSv1.2',
    loginTimeout: minutes(1),
    idleTimeout: hours(24),
    ...(pem === undefined ? {} : { cert: pem.certPem, key: pem.keyPem }),
    ...options.settings,
  };
  const imap = options.imap ?? new ScriptedImap(mailbox(SERVED_MESSAGES));
  const imapServer = createServer((socket) => {
    socket.on('data', (octets: Buffer) => received.push(octets));
    imap.serve(socket);
  });
  await new Promise<void>((resolve) => void imapServer.listen(0, '127.0.0.1', resolve));
  const others = Object.keys(REFUSALS).concat('billing');
  const accounts = [SERVED, ...others.map((name) => testAccount({ name, pop3: 'proxy' }))];
  const memory = new WayMemory('/nonexistent/pop3.json', log);
  const deps = {
    mailboxes: new Maildrops({
      accounts,
      mailboxes: mailboxesAt(server, options, imapServer),
      tokens: new MemoryTokenSource(),
      memory,
      clock,
      log,
    }),
    clients: new ClientDirectory(options.clients ?? MAILBOX_CLIENTS),
    passwords: new PasswordCheck({ clock, random: systemRandom }),
    clock,
    random: systemRandom,
    log,
    ...(options.places === undefined ? {} : { places: options.places }),
  };
  const listener = new MailboxListener(settings, deps);
  const opened = await listener.open();
  const far = options.peer === undefined ? undefined : await listenAsIfFrom(options.peer, settings, deps);
  return {
    listener,
    port: far === undefined ? opened.port : portOf(far),
    log,
    upstreams,
    upstreamText: () => Buffer.concat(received).toString('latin1'),
    async close() {
      for (const socket of upstreams) socket.destroy();
      await listener.close(minutes(0));
      if (far !== undefined) await new Promise((resolve) => far.close(resolve));
      await new Promise((resolve) => server.close(resolve));
      await new Promise((resolve) => imapServer.close(resolve));
    },
  };
}

function serve(socket: Socket, answer: (line: string) => string, received: Buffer[], upstreams: Socket[]): void {
  upstreams.push(socket);
  let text = '';
  socket.on('error', () => undefined);
  socket.on('data', (octets: Buffer) => {
    received.push(octets);
    text += octets.toString('latin1');
    for (let end = text.indexOf('\r\n'); end !== -1; end = text.indexOf('\r\n')) {
      const line = text.slice(0, end);
      text = text.slice(end + 2);
      socket.write(answer(line), 'latin1');
      if (/^(?:\S+ LOGOUT|QUIT)$/i.test(line)) socket.end();
    }
  });
}

/** Without TLS and sign-in, which have tests of their own. */
function mailboxesAt(server: Server, options: MailboxStageOptions, imapServer: Server): MailboxUpstream {
  return {
    async open({ protocol, account }) {
      const refusal = REFUSALS[account] ?? (await options.refusal?.());
      if (refusal !== undefined) throw new MailboxError(refusal);
      const isServed = account === SERVED.name;
      const socket = connect(options.upstreamPort ?? portOf(isServed ? imapServer : server), '127.0.0.1');
      await new Promise<void>((resolve) => void socket.once('connect', resolve));
      socket.on('error', () => undefined).pause();
      const usual = isServed
        ? ['IMAP4rev1', 'UIDPLUS']
        : protocol === 'imap'
          ? ['IMAP4rev1', 'AUTH=XOAUTH2', 'SASL-IR', 'IDLE', 'COMPRESS=DEFLATE', 'MOVE']
          : [];
      return {
        protocol,
        upstream: 'imap.lab.test:993',
        user: 'billing@postern.test',
        socket,
        rest: Buffer.alloc(0),
        capabilities: options.capabilities ?? usual,
        ...(options.tokenExpiresAt === undefined ? {} : { tokenExpiresAt: options.tokenExpiresAt() }),
        close: () => void socket.destroy(),
      };
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen');
  return address.port;
}

/** Sessions whose peer seems to be elsewhere. */
async function listenAsIfFrom(peer: string, settings: MailboxListenerSettings, deps: MailboxListenerDependencies): Promise<Server> {
  const secureContext = settings.cert === undefined ? undefined : createSecureContext({ cert: settings.cert, key: settings.key });
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    Object.defineProperty(socket, 'remoteAddress', { value: peer });
    void new FrontSession(socket, { ...deps, settings, secureContext }).run();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return server;
}
