/**
 * From the configuration of email-oauth2-proxy (emailproxy.config, and its cache store where there is one) to ours.
 *
 * Pure but for what it is told of files. Nothing is dropped in silence: a key without a counterpart becomes a leftover with what to do.
 *
 * Source: the sample configuration of simonrob/email-oauth2-proxy and what it says about each key.
 *
 * @packageDocumentation
 */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { isFernetToken, MOST_ITERATIONS } from '../../platform/fernet.ts';
import type { Protocol } from '../presets.ts';
import { type Commented, type ImportedConfig, type Leftover, literal, type NamedEntry, Names } from './imported.ts';
import type { IniSection, IniValue } from './ini.ts';
import { findProvider, type ProxyServer } from './proxy-provider.ts';

/** The old file. */
export interface ProxyFile {
  readonly sections: readonly IniSection[];
  /** Of `--cache-store`: its tokens count instead of those in the file. */
  readonly cache?: readonly IniSection[];
  /** Absolute; paths in the file start here. */
  readonly folder: string;
}

/** Keys of `accounts[].auth`. */
interface OurAuth {
  readonly grant: string;
  readonly [key: string]: unknown;
}

const SERVER = /^(IMAP|POP|SMTP)-(\d{1,5})$/;
const PROTOCOLS: Readonly<Record<string, Protocol>> = { IMAP: 'imap', POP: 'pop3', SMTP: 'smtp' };
const CACHED = [
  'access_token',
  'access_token_expiry',
  'refresh_token',
  'token_salt',
  'token_iterations',
  'client_secret_encrypted',
  'last_activity',
];
/** Before October 2023 the number was not written down. */
const LEGACY_ITERATIONS = '100000';
const SERVER_KEYS = [
  'documentation',
  'local_address',
  'server_address',
  'server_port',
  'starttls',
  'server_starttls',
  'local_starttls',
  'local_certificate_path',
  'local_key_path',
];
const ACCOUNT_KEYS = [
  ...CACHED,
  'documentation',
  'permission_url',
  'token_url',
  'oauth2_scope',
  'oauth2_flow',
  'client_id',
  'client_secret',
  'use_pkce',
  'jwt_certificate_path',
  'jwt_key_path',
  'redirect_uri',
];
const GLOBALS: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  delete_account_token_on_password_error: ['a wrong password never costs a token here', 'Nothing.'],
  encrypt_client_secret_on_first_use: [
    'client secrets stay where the configuration has them',
    'Move them into files and name those: clientSecret: "${file:…}".',
  ],
  use_login_password_as_client_credentials_secret: [
    'the password of an application is never a client secret here',
    'Give accounts[].auth.clientSecret.',
  ],
  allow_catch_all_accounts: [
    'accounts are named one by one here; mailboxes that were in use are in the new file',
    'Add an account and a client for each further mailbox.',
  ],
};

export function importProxy(file: ProxyFile): ImportedConfig {
  return new ProxyImport(file).run();
}

class ProxyImport {
  readonly #sections: ReadonlyMap<string, IniSection>;
  readonly #file: ProxyFile;
  readonly #leftovers: Leftover[] = [];
  readonly #listeners: Record<Protocol, Commented<object>[]> = { smtp: [], imap: [], pop3: [] };
  readonly #servers: ProxyServer[] = [];
  readonly #providers = new Map<string, Commented<object>>();
  readonly #accounts: Commented<NamedEntry>[] = [];
  readonly #clients: Commented<NamedEntry>[] = [];
  readonly #names = new Names();
  readonly #hasCatchAll: boolean;

  constructor(file: ProxyFile) {
    this.#file = file;
    this.#sections = withCache(file);
    this.#hasCatchAll = isTrue(this.#sections.get('emailproxy')?.values.get('allow_catch_all_accounts'));
  }

  run(): ImportedConfig {
    const all = [...this.#sections.values()];
    for (const section of all) if (SERVER.test(section.name)) this.#server(section);
    for (const section of all) {
      if (section.name.includes('@')) this.#account(section);
      else if (section.name === 'emailproxy') this.#globals(section);
      else if (!SERVER.test(section.name)) this.#other(section);
    }
    const { smtp, imap, pop3 } = this.#listeners;
    return {
      origin: 'email-oauth2-proxy',
      smtp,
      imap,
      pop3,
      providers: this.#providers,
      accounts: this.#accounts,
      clients: this.#clients,
      leftovers: this.#leftovers,
    };
  }

  #left(section: IniSection, key: string, reason: string, remedy: string): void {
    const line = (key === '' ? undefined : section.values.get(key)?.line) ?? section.line;
    this.#leftovers.push({ where: `[${section.name}]${key === '' ? '' : ` ${key}`}`, ...(line > 0 ? { line } : {}), reason, remedy });
  }

  #server(section: IniSection): void {
    const [, type = '', localPort = ''] = SERVER.exec(section.name) ?? [];
    const protocol = PROTOCOLS[type] ?? 'smtp';
    this.#unknown(section, SERVER_KEYS);
    const get = (key: string): string | undefined => section.values.get(key)?.text || undefined;
    const host = get('server_address');
    const [port, local] = [portOf(get('server_port')), portOf(localPort)];
    if (host === undefined || port === undefined || local === undefined) {
      return this.#left(
        section,
        '',
        'its port or its server_address and server_port are missing or wrong',
        'Correct the old file and import again, or write the listener by hand.',
      );
    }
    const isStarttls = protocol === 'smtp' && isTrue(section.values.get('server_starttls') ?? section.values.get('starttls'));
    this.#servers.push({ section: section.name, protocol, host, port, tls: isStarttls ? 'starttls' : 'implicit' });
    if (protocol !== 'smtp' && isTrue(section.values.get('starttls')))
      this.#left(section, 'starttls', 'the old proxy ignores it here too', 'Nothing.');
    const [cert, key] = [get('local_certificate_path'), get('local_key_path')];
    if ((cert === undefined) !== (key === undefined))
      this.#left(section, '', 'a certificate without its key, or the other way round', 'Add tls, cert and key to the listener.');
    const isPlainStart = protocol === 'smtp' && isTrue(section.values.get('local_starttls'));
    const tls =
      cert === undefined || key === undefined
        ? {}
        : { tls: isPlainStart ? 'starttls' : 'implicit', cert: this.#path(cert), key: this.#path(key) };
    this.#listeners[protocol].push({ value: { host: this.#listenHost(section), port: local, ...tls }, comment: `[${section.name}]` });
  }

  #listenHost(section: IniSection): string {
    const address = section.values.get('local_address')?.text ?? '';
    if (address === '') {
      this.#left(
        section,
        'local_address',
        'without it the old proxy may have listened on every address; the new file says 127.0.0.1',
        "Set host: '::' of the listener if applications on other machines use it.",
      );
      return '127.0.0.1';
    }
    if (address === 'localhost') return '127.0.0.1';
    return isIP(address) === 0 ? literal(address) : address;
  }

  #account(section: IniSection): void {
    const { name: address } = section;
    if (address.startsWith('@')) {
      return this.#left(
        section,
        '',
        this.#hasCatchAll ? 'a catch-all: accounts are named one by one here' : 'a catch-all, which was switched off',
        'Nothing for the mailboxes that were in use: they are in the new file with what this section says. Add an account and a client for each further one.',
      );
    }
    const get = (key: string): string | undefined => this.#value(address, key)?.text || undefined;
    this.#unknown(section, ACCOUNT_KEYS);
    const tokenUrl = get('token_url');
    const clientId = get('client_id');
    if (tokenUrl === undefined || clientId === undefined)
      return this.#left(section, '', 'it has no token_url or no client_id', 'Complete it and import again.');
    if (!/^[^\s@<>"\u0000-\u001f\u007f]{1,64}@[^\s@<>"\u0000-\u001f\u007f]{1,255}$/.test(address))
      return this.#left(section, '', 'it is not the address of a mailbox', 'Write accounts[].mailbox and smtpUser by hand.');
    if ([tokenUrl, clientId, get('client_secret') ?? ''].some((text) => text.includes('*** your')))
      return this.#left(section, '', 'it holds the example values of the sample file', 'Nothing, if it was never used.');
    const auth = this.#auth(section, get, clientId);
    if (auth === undefined) return;
    const isDevice = get('oauth2_flow') === 'device';
    const permissionUrl = get('permission_url');
    const found = findProvider({ tokenUrl, isDevice, ...(permissionUrl === undefined ? {} : { permissionUrl }) }, this.#servers);
    if (found.kind === 'own' && !found.hasSmtp)
      return this.#left(
        section,
        '',
        `no [SMTP-…] section has a server for ${hostOf(tokenUrl)}`,
        'Add one and import again, or write providers by hand.',
      );
    const provider = found.kind === 'preset' ? found.name : this.#ownProvider(section, found.fields, found.choices);
    const tenant = found.tenant !== undefined && 'clientId' in auth ? { tenant: found.tenant } : {};
    const name = this.#names.of(address);
    const comment = `[${address}]${isDevice ? `; to sign in anew: postern login ${name} --device` : ''}`;
    this.#accounts.push({ value: { name, provider, mailbox: address, auth: { ...auth, ...tenant } }, comment });
    this.#client(section, name, auth.grant);
  }

  #auth(section: IniSection, get: (key: string) => string | undefined, clientId: string): OurAuth | undefined {
    const scopes = (get('oauth2_scope') ?? '')
      .split(/\s+/)
      .filter((scope) => scope !== '')
      .map(literal);
    const flow = get('permission_url') !== undefined ? 'refresh_token' : get('oauth2_flow');
    const withScopes = scopes.length === 0 ? {} : { scopes };
    if (flow === 'service_account') return this.#serviceAccount(section, get, clientId, withScopes);
    if (flow === 'password')
      return this.#refuse(
        section,
        'oauth2_flow',
        'the password grant hands the password of the mailbox to the provider; Microsoft ends it',
        'Add permission_url, remove oauth2_flow, import again, then: postern login ACCOUNT.',
      );
    if (flow !== 'refresh_token' && flow !== 'client_credentials')
      return this.#refuse(section, 'oauth2_flow', 'no permission_url, and no flow that does without', 'Complete it and import again.');
    const secret = get('client_secret');
    const [cert, key] = [get('jwt_certificate_path'), get('jwt_key_path')];
    const common = { grant: flow, clientId: literal(clientId), ...withScopes };
    if (secret !== undefined) return { ...common, clientSecret: literal(secret) };
    if (get('client_secret_encrypted') !== undefined)
      return this.#refuse(
        section,
        'client_secret_encrypted',
        'the client secret is encrypted with the password of the application',
        'Put client_secret with the secret itself beside it and import again; the tokens are then carried too.',
      );
    if (cert !== undefined && key !== undefined) return { ...common, certificate: { cert: this.#path(cert), key: this.#path(key) } };
    if (flow === 'client_credentials')
      return this.#refuse(section, '', 'client credentials without client_secret or certificate', 'Give one of them and import again.');
    return common;
  }

  #serviceAccount(section: IniSection, get: (key: string) => string | undefined, kind: string, scopes: object): OurAuth | undefined {
    const key = get('client_secret') ?? '';
    if (kind === 'file' && key !== '') return { grant: 'service_account', keyFile: this.#path(key), ...scopes };
    const fields = kind === 'key' ? jsonObject(key) : undefined;
    const [clientEmail, privateKey] = [fields?.['client_email'], fields?.['private_key']];
    if (typeof clientEmail === 'string' && typeof privateKey === 'string') {
      return { grant: 'service_account', clientEmail: literal(clientEmail), privateKey: literal(privateKey), ...scopes };
    }
    return this.#refuse(section, 'client_secret', 'no key of a service account was found in it', 'Write auth.keyFile by hand.');
  }

  #client(section: IniSection, account: string, grant: string): void {
    const { name: address } = section;
    const sealed = this.#sealed(section, grant);
    if (sealed === undefined) return;
    this.#clients.push({
      value: { name: account, username: literal(address), account, imported: sealed },
      comment: `[${address}]; logs in with the password that it always had`,
    });
  }

  #sealed(section: IniSection, grant: string): object | undefined {
    const choose = 'Choose a password and add a client: postern hash-password.';
    const own = (key: string): string | undefined => section.values.get(key)?.text || undefined;
    const inherited = (key: string): string | undefined => this.#value(section.name, key)?.text || undefined;
    const [refreshToken, accessToken] = [grant === 'refresh_token' ? own('refresh_token') : undefined, own('access_token')];
    const login = grant === 'refresh_token' ? ' Then: postern login ACCOUNT.' : '';
    if (refreshToken === undefined && accessToken === undefined)
      return this.#refuse(section, '', 'it has no client: it was never used, so there is no password to go by', `${choose}${login}`);
    const salt = inherited('token_salt') ?? '';
    const iterations = inherited('token_iterations') ?? LEGACY_ITERATIONS;
    const isSound =
      /^[A-Za-z0-9+/]{2,1368}={0,2}$/.test(salt) &&
      [refreshToken, accessToken].every((token) => token === undefined || isFernetToken(token));
    if (!isSound)
      return this.#refuse(section, 'token_salt', 'it has no client: its stored tokens or their salt are damaged', `${choose}${login}`);
    if (!/^\d{1,9}$/.test(iterations) || Number(iterations) < 1 || Number(iterations) > MOST_ITERATIONS) {
      return this.#refuse(section, 'token_iterations', `it has no client: the number must be 1 to ${MOST_ITERATIONS}`, `${choose}${login}`);
    }
    if (grant === 'refresh_token' && refreshToken === undefined)
      this.#left(section, 'refresh_token', 'there is none, so only the password is carried', 'postern login ACCOUNT.');
    const token = refreshToken === undefined ? { accessToken } : { refreshToken };
    return { salt, iterations: Number(iterations), ...token };
  }

  #ownProvider(section: IniSection, fields: object, choices: readonly Protocol[]): string {
    const text = JSON.stringify(fields);
    for (const [name, { value }] of this.#providers) if (JSON.stringify(value) === text) return name;
    for (const protocol of choices)
      this.#left(
        section,
        '',
        `several ${protocol.toUpperCase()} servers would do; the first was taken`,
        'Look at providers in the new file.',
      );
    const name = `imported${this.#providers.size === 0 ? '' : `-${this.#providers.size + 1}`}`;
    this.#providers.set(name, { value: fields, comment: `URLs of [${section.name}]` });
    return name;
  }

  #globals(section: IniSection): void {
    for (const key of section.values.keys()) {
      const [reason, remedy] = GLOBALS[key] ?? ['it has no counterpart', 'Look at docs/config.md.'];
      if (key !== 'documentation') this.#left(section, key, reason, remedy);
    }
  }

  #other(section: IniSection): void {
    if ([...section.values.keys()].every((key) => key === 'documentation')) return;
    this.#left(section, '', 'it is neither a server nor an account', 'Nothing: the old proxy ignores it too.');
  }

  #unknown(section: IniSection, known: readonly string[]): void {
    for (const [key, { text }] of section.values) {
      const isUsual = key === 'redirect_uri' && /^https?:\/\/localhost(:\d+)?\/?$/.test(text);
      if (key === 'redirect_uri' && !isUsual)
        this.#left(section, key, 'where a sign-in ends is said when somebody signs in', `postern login ACCOUNT --redirect-uri URI.`);
      else if (!known.includes(key)) this.#left(section, key, 'it has no counterpart', 'Look at docs/config.md.');
    }
  }

  #refuse(section: IniSection, key: string, reason: string, remedy: string): undefined {
    this.#left(section, key, reason, remedy);
  }

  /** Its own, that of its domain's catch-all, or that of all. */
  #value(address: string, key: string): IniValue | undefined {
    const sources = this.#hasCatchAll ? [address, `@${address.split('@').at(-1)}`, '@'] : [address];
    for (const name of sources) {
      const value = this.#sections.get(name)?.values.get(key);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  #path(path: string): string {
    return literal(resolve(this.#file.folder, path));
  }
}

function withCache({ sections, cache = [] }: ProxyFile): ReadonlyMap<string, IniSection> {
  const all = new Map(sections.map((section) => [section.name, section]));
  for (const { name, values } of cache) {
    if (!name.includes('@')) continue;
    const kept = [...(all.get(name)?.values ?? [])];
    // Lines of another file would mislead.
    const cached = [...values]
      .filter(([key]) => CACHED.includes(key))
      .map(([key, { text }]): [string, IniValue] => [key, { text, line: 0 }]);
    all.set(name, { name, line: all.get(name)?.line ?? 0, values: new Map([...kept, ...cached]) });
  }
  return all;
}

const isTrue = (value: IniValue | undefined): boolean => /^(1|yes|true|on)$/i.test(value?.text ?? '');

function portOf(text: string | undefined): number | undefined {
  const port = /^\d{1,5}$/.test(text ?? '') ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : 'its token_url');

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // The caller says so.
  }
}
