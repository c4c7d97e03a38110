/**
 * From the configuration of SMTP2Graph (YAML) to ours.
 *
 * SMTP2Graph sends with Graph as the application; Postern submits with SMTP as the application, which needs another permission. That is said first.
 *
 * Source: the sample configuration and the JSON Schema of SMTP2Graph/SMTP2Graph.
 *
 * @packageDocumentation
 */
import { resolve } from 'node:path';
import { type Commented, type ImportedConfig, type Leftover, literal, type NamedEntry, Names } from './imported.ts';

/** The old file. */
export interface GraphFile {
  readonly document: Readonly<Record<string, unknown>>;
  /** Absolute; paths in the file start here. */
  readonly folder: string;
  /** Where the file names none: the mailbox that sends. */
  readonly mailbox?: string;
  readonly hashPassword: (password: string) => Promise<string>;
  /** The certificate with this SHA-1 thumbprint beside the key, if it is there: the old file does not name it. */
  readonly findCertificate: (thumbprint: string, keyFile: string) => Promise<string | undefined>;
}

type Fields = Readonly<Record<string, unknown>>;

const PERMISSION =
  'Postern submits with SMTP, not with Graph: give the application the permission SMTP.SendAsApp (Office 365 Exchange Online), and its service principal the mailbox (New-ServicePrincipal, Add-MailboxPermission).';
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  '': ['mode', 'send', 'receive'],
  'send.': ['appReg', 'forceMailbox'],
  'send.appReg.': ['tenant', 'id', 'secret', 'certificate'],
  'receive.': [
    'port',
    'listenAddress',
    'secure',
    'tlsKeyPath',
    'tlsCertPath',
    'maxSize',
    'ipWhitelist',
    'allowedFrom',
    'allowInsecureAuth',
    'requireAuth',
    'users',
  ],
};
const REASONS: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  'send.retryLimit': ['messages are tried until they are too old, not a number of times', 'Set delivery.giveUpAfter (5d unless told).'],
  'send.retryInterval': ['waits grow by themselves', 'Nothing.'],
  'receive.banner': ['the greeting cannot be changed', 'Nothing.'],
  'receive.allowedRcpt': ['recipients are not restricted here', 'Restrict them with a rule of the provider.'],
  'receive.rateLimit': ['a client has a limit of messages a minute, not of connections', 'Set clients[].rate.messagesPerMinute.'],
  'receive.authLimit': ['failed logins are slowed down by built-in rules', 'Nothing.'],
};

export async function importGraph(file: GraphFile): Promise<ImportedConfig> {
  return new GraphImport(file).run();
}

class GraphImport {
  readonly #file: GraphFile;
  readonly #leftovers: Leftover[] = [];
  readonly #names = new Names();

  constructor(file: GraphFile) {
    this.#file = file;
  }

  async run(): Promise<ImportedConfig> {
    const { document } = this.#file;
    const [send, receive] = [fieldsOf(document['send']), fieldsOf(document['receive'])];
    this.#unknown(document, send, receive);
    if (document['mode'] !== undefined && document['mode'] !== 'full') this.#left('mode', 'Postern always receives and sends', 'Nothing.');
    const account = await this.#account(fieldsOf(send['appReg']), send, receive);
    const clients = account === undefined ? [] : await this.#clients(receive, account.value.name);
    return {
      origin: 'SMTP2Graph',
      smtp: [this.#listener(receive)],
      imap: [],
      pop3: [],
      providers: new Map(),
      accounts: account === undefined ? [] : [account],
      clients,
      leftovers: this.#leftovers,
    };
  }

  #left(where: string, reason: string, remedy: string): void {
    this.#leftovers.push({ where, reason, remedy });
  }

  #unknown(document: Fields, send: Fields, receive: Fields): void {
    const parts: readonly [string, Fields][] = [
      ['', document],
      ['send.', send],
      ['send.appReg.', fieldsOf(send['appReg'])],
      ['receive.', receive],
    ];
    for (const [prefix, fields] of parts) {
      for (const key of Object.keys(fields).filter((each) => KNOWN[prefix]?.includes(each) !== true)) {
        const [reason, remedy] = REASONS[`${prefix}${key}`] ?? ['it has no counterpart', 'Look at docs/config.md.'];
        this.#left(`${prefix}${printable(key)}`, reason, remedy);
      }
    }
  }

  async #account(app: Fields, send: Fields, receive: Fields): Promise<Commented<NamedEntry> | undefined> {
    const mailbox = this.#file.mailbox ?? textOf(send['forceMailbox']) ?? addressesOf(receive['allowedFrom'])[0];
    const [tenant, id] = [textOf(app['tenant']), textOf(app['id'])];
    if (mailbox === undefined) {
      this.#left(
        'send',
        'the mailbox is not named: SMTP2Graph sends as whoever the message says',
        'Name it: postern import FILE --mailbox ADDRESS.',
      );
      return undefined;
    }
    if (tenant === undefined || id === undefined) {
      this.#left('send.appReg', 'tenant or id is missing', 'Complete it and import again.');
      return undefined;
    }
    this.#left('send.appReg', 'the permission Mail.Send is of no use to SMTP', PERMISSION);
    const proof = await this.#proof(app);
    // What comes before .onmicrosoft.com, unless it is a domain or an id.
    const domain = /[.]|^[0-9a-f-]{36}$/i.test(tenant) ? tenant : `${tenant}.onmicrosoft.com`;
    const auth = { grant: 'client_credentials', tenant: literal(domain), clientId: literal(id), ...proof };
    return {
      value: { name: this.#names.of(mailbox), provider: 'microsoft365', mailbox: literal(mailbox), auth },
      comment: 'send.appReg',
    };
  }

  async #proof(app: Fields): Promise<object> {
    const secret = textOf(app['secret']);
    if (secret !== undefined) return { clientSecret: literal(secret) };
    const certificate = fieldsOf(app['certificate']);
    const key = resolve(this.#file.folder, textOf(certificate['privateKeyPath']) ?? 'client.key');
    const found = await this.#file.findCertificate(textOf(certificate['thumbprint']) ?? '', key);
    const cert = found ?? resolve(this.#file.folder, 'client.crt');
    if (found === undefined)
      this.#left(
        'send.appReg.certificate',
        'it names a thumbprint, and no certificate with that is beside the key',
        `Put the certificate (PEM) at ${cert}.`,
      );
    return { certificate: { cert: literal(cert), key: literal(key) } };
  }

  #listener(receive: Fields): Commented<object> {
    const [cert, key] = [textOf(receive['tlsCertPath']), textOf(receive['tlsKeyPath'])];
    const isSecure = receive['secure'] === true;
    const files =
      cert === undefined || key === undefined
        ? undefined
        : { cert: literal(resolve(this.#file.folder, cert)), key: literal(resolve(this.#file.folder, key)) };
    if (isSecure && files === undefined)
      this.#left('receive.secure', 'TLS needs a certificate and its key', 'Add tls, cert and key to the listener.');
    const size = /^(\d{1,9})([mk])$/i.exec(textOf(receive['maxSize']) ?? '');
    const port = Number(receive['port'] ?? 25);
    return {
      value: {
        host: textOf(receive['listenAddress']) ?? '::',
        port: Number.isInteger(port) && port > 0 && port < 65_536 ? port : 25,
        ...(files === undefined ? {} : { tls: isSecure ? 'implicit' : 'starttls', ...files }),
        ...(files !== undefined && !isSecure && receive['allowInsecureAuth'] !== true && receive['requireAuth'] === true
          ? { requireTls: true }
          : {}),
        ...(receive['requireAuth'] === true ? { requireAuth: true } : {}),
        ...(size === null ? {} : { maxSize: `${size[1]}${String(size[2]).toUpperCase()}B` }),
      },
      comment: 'receive',
    };
  }

  async #clients(receive: Fields, account: string): Promise<Commented<NamedEntry>[]> {
    const everybody = addressesOf(receive['allowedFrom']);
    const clients: Commented<NamedEntry>[] = [];
    for (const [index, user] of listOf(receive['users']).map(fieldsOf).entries()) {
      const [username, password] = [textOf(user['username']), textOf(user['password'])];
      if (username === undefined || password === undefined) {
        this.#left(`receive.users[${index}]`, 'username or password is missing', 'Add a client by hand.');
        continue;
      }
      const own = addressesOf(user['allowedFrom']);
      const value = {
        username: literal(username),
        passwordHash: await this.#file.hashPassword(password),
        account,
        ...sendersOf(own.length > 0 ? own : everybody),
      };
      clients.push({
        value: { name: this.#names.of(`client-${username}`), ...value },
        comment: `receive.users[${index}]; the password is the old one, as a hash`,
      });
    }
    const networks = listOf(receive['ipWhitelist'])
      .map(textOf)
      .filter((text) => text !== undefined);
    if (receive['requireAuth'] === true) {
      if (networks.length > 0)
        this.#left(
          'receive.ipWhitelist',
          'networks stand in for a password here, and the old file asks for both',
          'Restrict the port with a firewall.',
        );
      return clients;
    }
    if (networks.length === 0)
      this.#left(
        'receive.requireAuth',
        'everybody could submit without a password; the new file lets this machine alone',
        'Name the networks of your devices: clients[].networks.',
      );
    const value = {
      networks: networks.length === 0 ? ['127.0.0.0/8', '::1/128'] : networks.map((text) => networkOf(text)),
      account,
      ...sendersOf(everybody),
    };
    return [...clients, { value: { name: this.#names.of('devices'), ...value }, comment: 'receive.ipWhitelist' }];
  }
}

const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? String(value) : undefined;
const addressesOf = (value: unknown): string[] =>
  listOf(value)
    .map(textOf)
    .filter((text) => text !== undefined);
const sendersOf = (senders: readonly string[]): object => (senders.length === 0 ? {} : { senders: senders.map(literal) });
const networkOf = (text: string): string => literal(text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`);
const printable = (text: string): string => text.replaceAll(/[^\u0020-\u007e]/g, '?').slice(0, 64);
