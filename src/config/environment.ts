/**
 * The shorthand for a sidecar: one account and one client from environment variables, with no file.
 *
 * Secrets come from files only: environment variables are inherited by child processes and shown by many tools.
 *
 * @packageDocumentation
 */
import { azureIdentity } from './azure-environment.ts';
import type { ConfigFiles } from './files.ts';
import { type Findings, isWithin, type Locate, type Path, showPath } from './findings.ts';
import { readSecretFile } from './references.ts';
import { nearest } from './suggest.ts';

/** One variable of the shorthand. */
export interface ShorthandVariable {
  readonly name: string;
  /** The key that it stands for. */
  readonly path: Path;
  /** Its value is the path of a file that holds the secret. */
  readonly isFile?: boolean;
  readonly meaning: string;
}

const ACCOUNT: Path = ['accounts', 0];
const AUTH: Path = [...ACCOUNT, 'auth'];
const CLIENT: Path = ['clients', 0];
const LISTEN = 'POSTERN_LISTEN';

/** Documented in docs/config.md. */
export const SHORTHAND: readonly ShorthandVariable[] = [
  { name: 'POSTERN_MAILBOX', path: [...ACCOUNT, 'mailbox'], meaning: 'The mailbox. Setting it switches the shorthand on.' },
  { name: 'POSTERN_PROVIDER', path: [...ACCOUNT, 'provider'], meaning: 'Built-in provider. Default: `microsoft365`.' },
  { name: 'POSTERN_TENANT', path: [...AUTH, 'tenant'], meaning: 'Id or domain of the tenant.' },
  { name: 'POSTERN_CLIENT_ID', path: [...AUTH, 'clientId'], meaning: 'Id of the registered application.' },
  {
    name: 'POSTERN_CLIENT_SECRET_FILE',
    path: [...AUTH, 'clientSecret'],
    isFile: true,
    meaning: 'File with the secret of the application.',
  },
  {
    name: 'POSTERN_REFRESH_TOKEN_FILE',
    path: [...AUTH, 'refreshToken'],
    isFile: true,
    meaning: 'File with the first refresh token.',
  },
  {
    name: 'POSTERN_CERTIFICATE_FILE',
    path: [...AUTH, 'certificate', 'cert'],
    meaning: 'PEM file with the certificate of the application and its private key.',
  },
  {
    name: 'POSTERN_CERTIFICATE_PASSPHRASE_FILE',
    path: [...AUTH, 'certificate', 'passphrase'],
    isFile: true,
    meaning: 'File with the passphrase of that key.',
  },
  {
    name: 'POSTERN_FEDERATED_TOKEN_FILE',
    path: [...AUTH, 'federatedTokenFile'],
    meaning:
      'File with a token of the platform (workload identity). Default: with no other proof and no refresh token, `AZURE_FEDERATED_TOKEN_FILE`.',
  },
  { name: 'POSTERN_MANAGED_IDENTITY', path: [...AUTH, 'managedIdentity'], meaning: '`true`: the identity of the machine asks (Azure).' },
  {
    name: 'POSTERN_SERVICE_ACCOUNT_FILE',
    path: [...AUTH, 'keyFile'],
    meaning: 'JSON key file of a Google service account.',
  },
  {
    name: 'POSTERN_UPSTREAM_PASSWORD_FILE',
    path: [...AUTH, 'password'],
    isFile: true,
    meaning: 'File with the password of the mailbox, for upstreams that still take one (`basic`).',
  },
  {
    name: 'POSTERN_GRANT',
    path: [...AUTH, 'grant'],
    meaning:
      '`refresh_token`, `client_credentials`, `service_account` or `basic`. Default: `refresh_token` where there is a refresh token; else what the other variables are for.',
  },
  {
    name: 'POSTERN_USERNAME',
    path: [...CLIENT, 'username'],
    meaning: 'User name for the application. Default: none; whoever is on the same machine may submit.',
  },
  { name: 'POSTERN_PASSWORD_FILE', path: [...CLIENT, 'password'], isFile: true, meaning: 'File with its password.' },
  { name: LISTEN, path: ['listeners', 'smtp', 0], meaning: 'host:port of the SMTP listener. Default: `127.0.0.1:2525`.' },
];

/** Variables that are not part of the shorthand and are good elsewhere. */
const OTHER_VARIABLES = ['POSTERN_CONFIG', 'POSTERN_STATE_DIR', 'POSTERN_KEY_FILE'];

/** A configuration as if it had been read from a file. */
export interface ShorthandSource {
  readonly value: unknown;
  readonly locate: Locate;
  /** Contents of the secret files. */
  readonly secrets: readonly string[];
  /** Keys whose file could not be read. */
  readonly broken: readonly Path[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** An empty variable counts as not set, as compose files like to pass them. */
const valueOf = (env: Environment, name: string): string | undefined => (env[name] === '' ? undefined : env[name]);

/** True where the environment asks for the shorthand. */
export function isShorthand(env: Environment): boolean {
  return valueOf(env, 'POSTERN_MAILBOX') !== undefined;
}

/** Read the shorthand. Findings name the variable in place of a key. */
export async function readShorthand(env: Environment, files: ConfigFiles, findings: Findings): Promise<ShorthandSource> {
  findings.locateWith(locateVariable);
  checkNames(env, findings);
  const account: Record<string, unknown> = { name: 'main' };
  const auth: Record<string, unknown> = {};
  const client: Record<string, unknown> = { name: 'application', account: 'main' };
  const secrets: string[] = [];
  const broken: Path[] = [];
  for (const { name, path, isFile } of SHORTHAND) {
    const given = valueOf(env, name);
    if (given === undefined || name === LISTEN) continue;
    const value = isFile === true ? await readSecretFile(files, given, path, findings) : given;
    if (value === undefined) broken.push(path);
    else if (isFile === true) secrets.push(value);
    if (isWithin(path, CLIENT)) put(client, path.slice(CLIENT.length), value);
    else if (isWithin(path, AUTH)) put(auth, path.slice(AUTH.length), value);
    else put(account, path.slice(ACCOUNT.length), value);
  }
  takePlatformIdentity(auth, env);
  auth['grant'] ??= grantFor(auth);
  if (!('username' in client)) client['networks'] = ['127.0.0.0/8', '::1/128'];
  const listen = readListen(valueOf(env, LISTEN), findings);
  return {
    value: {
      ...(listen === undefined ? {} : { listeners: { smtp: [listen] } }),
      accounts: [{ ...account, auth }],
      clients: [client],
    },
    locate: locateVariable,
    secrets,
    broken,
  };
}

/** `['certificate', 'cert']` makes a map within the map. */
function put(target: Record<string, unknown>, [key = '', ...rest]: Path, value: unknown): void {
  if (rest.length === 0) target[key] = value;
  else {
    const inner = (target[key] ?? {}) as Record<string, unknown>;
    put(inner, rest, value);
    target[key] = inner;
  }
}

const PROOFS = ['clientSecret', 'certificate', 'federatedTokenFile', 'managedIdentity'];
const OTHER_CREDENTIALS = ['refreshToken', 'keyFile', 'password'];

/** A pod with a workload identity needs nothing more: Azure's own variables say the rest. */
function takePlatformIdentity(auth: Record<string, unknown>, env: Environment): void {
  const { tokenFile } = azureIdentity(env);
  const isUndecided = auth['grant'] === undefined || auth['grant'] === 'client_credentials';
  if (tokenFile === undefined || !isUndecided || [...PROOFS, ...OTHER_CREDENTIALS].some((key) => key in auth)) return;
  auth['federatedTokenFile'] = tokenFile;
}

function grantFor(auth: Record<string, unknown>): string {
  if ('refreshToken' in auth) return 'refresh_token';
  if ('keyFile' in auth) return 'service_account';
  if ('password' in auth) return 'basic';
  return PROOFS.some((key) => key in auth) ? 'client_credentials' : 'refresh_token';
}

/** The variable that stands for a key, or for the nearest one above it. */
const locateVariable: Locate = (path) => {
  const variable =
    SHORTHAND.find((candidate) => isWithin(path, candidate.path)) ?? SHORTHAND.find((candidate) => isWithin(candidate.path, path));
  return { path: path.length > 0 && variable !== undefined ? variable.name : showPath(path) };
};

function readListen(text: string | undefined, findings: Findings): unknown {
  if (text === undefined) return undefined;
  const [, bracketed, plain, port] = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined) {
    findings.problem(['listeners', 'smtp', 0], 'must be host:port, such as 127.0.0.1:2525 or [::1]:2525');
    return undefined;
  }
  const host = bracketed ?? plain;
  return { ...(host === undefined ? {} : { host }), port: Number(port) };
}

/** Misspelt names, and secrets given as values. Others are left alone: Kubernetes sets POSTERN_PORT and the like for a service of that name. */
function checkNames(env: Environment, findings: Findings): void {
  const known = [...SHORTHAND.map(({ name }) => name), ...OTHER_VARIABLES];
  for (const name of Object.keys(env)) {
    if (!name.startsWith('POSTERN_') || known.includes(name)) continue;
    if (known.includes(`${name}_FILE`)) {
      findings.problem([name], `secrets come from files: put it into a file and set ${name}_FILE to its path`);
      continue;
    }
    const meant = nearestVariable(name, known);
    if (meant !== undefined) findings.notice([name], `unknown variable; did you mean ${meant}?`);
  }
}

/** Compared without the common prefix, else all of them would be alike. */
function nearestVariable(name: string, known: readonly string[]): string | undefined {
  const prefix = 'POSTERN_';
  const meant = nearest(
    name.slice(prefix.length),
    known.map((other) => other.slice(prefix.length)),
  );
  return meant === undefined ? undefined : prefix + meant;
}
