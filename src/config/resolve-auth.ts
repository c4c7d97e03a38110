/**
 * From `auth` as written to settings ready for use; checks what one value alone cannot tell: keys that need or exclude each other, files, programs.
 *
 * @packageDocumentation
 */
import type { AuthSettings, Provider } from '../core/account.ts';
import { seconds } from '../core/clock.ts';
import { azureIdentity } from './azure-environment.ts';
import { readClientCertificate, readServiceAccountKey } from './credential-files.ts';
import { defined } from './defined.ts';
import type { Path } from './findings.ts';
import { findProgram } from './programs.ts';
import type { AuthInput } from './schema-accounts.ts';
import type { Surroundings } from './surroundings.ts';

type InputOf<Grant extends AuthInput['grant']> = Extract<AuthInput, { grant: Grant }>;
type Registered = InputOf<'refresh_token' | 'client_credentials'>;

/** Every way to prove which application asks, and its key. */
const PROOFS = ['clientSecret', 'certificate', 'federatedTokenFile', 'managedIdentity'] as const;

/** A caller waits for a token up to half a minute. */
const LONGEST_COMMAND = seconds(30);

/** The tenant that the account names, or its platform does. */
export function tenantOf(auth: AuthInput, { env }: Surroundings): string | undefined {
  if (auth.grant !== 'refresh_token' && auth.grant !== 'client_credentials') return undefined;
  return auth.tenant ?? (auth.federatedTokenFile === undefined ? undefined : azureIdentity(env).tenant);
}

/** True where tokens come from the provider's token URL, which may name the tenant. */
export const asksTokenUrl = (auth: AuthInput): boolean =>
  auth.grant === 'refresh_token' ||
  auth.grant === 'service_account' ||
  (auth.grant === 'client_credentials' && auth.managedIdentity !== true);

/** Undefined where it cannot be used; the findings say why. */
export async function buildAuth(
  auth: AuthInput,
  provider: Provider,
  at: Path,
  surroundings: Surroundings,
): Promise<AuthSettings | undefined> {
  switch (auth.grant) {
    case 'refresh_token':
      return buildRefreshToken(auth, at, surroundings);
    case 'client_credentials':
      return buildClientCredentials(auth, provider, at, surroundings);
    case 'service_account':
      return buildServiceAccount(auth, provider, at, surroundings);
    case 'command':
      return buildCommand(auth, at, surroundings);
    default:
      return { grant: 'basic', password: auth.password };
  }
}

async function buildRefreshToken(auth: InputOf<'refresh_token'>, at: Path, surroundings: Surroundings): Promise<AuthSettings | undefined> {
  const { grant, refreshToken, scopes } = auth;
  const application = await buildApplication(auth, at, surroundings);
  return application === undefined ? undefined : { grant, ...application, ...defined({ refreshToken, scopes }) };
}

async function buildClientCredentials(
  auth: InputOf<'client_credentials'>,
  provider: Provider,
  at: Path,
  surroundings: Surroundings,
): Promise<AuthSettings | undefined> {
  const { grant, clientId, scopes } = auth;
  const { findings } = surroundings;
  const saysScopes = findings.isWritten([...at, 'scopes']);
  if (scopes === undefined && !saysScopes && provider.applicationScopes.length === 0) {
    findings.problem([...at, 'grant'], `provider ${provider.name} has no tokens for applications: use refresh_token, or set scopes`);
  }
  if (auth.managedIdentity === true) {
    checkOneProof(auth, at, surroundings);
    if (auth.tenant !== undefined) findings.notice([...at, 'tenant'], 'is not used: the machine knows the tenant of its identity');
    return { grant, managedIdentity: true, ...defined({ clientId, scopes }) };
  }
  const application = await buildApplication(auth, at, surroundings);
  if (PROOFS.every((key) => auth[key] === undefined || auth[key] === false)) {
    const saysOne = PROOFS.some((key) => auth[key] === undefined && findings.isWritten([...at, key]));
    if (!saysOne)
      findings.missing([...at, 'clientSecret'], 'client_credentials needs it, or certificate, federatedTokenFile or managedIdentity');
    return undefined;
  }
  return application === undefined ? undefined : { grant, ...application, ...defined({ scopes }) };
}

/** Who asks a token endpoint, and how it proves that. */
async function buildApplication(auth: Registered, at: Path, surroundings: Surroundings) {
  const { clientSecret, clientSecretExpires, federatedTokenFile: file } = auth;
  const { files, env, findings } = surroundings;
  checkOneProof(auth, at, surroundings);
  const clientId = auth.clientId ?? (file === undefined ? undefined : azureIdentity(env).clientId);
  const certificate =
    auth.certificate === undefined ? undefined : await readClientCertificate(auth.certificate, [...at, 'certificate'], surroundings);
  if (file !== undefined) await files.probe(file, [...at, 'federatedTokenFile']);
  if (clientId === undefined) {
    const hint = file === undefined ? 'the id of the registered application' : 'the id of the registered application, or AZURE_CLIENT_ID';
    findings.missing([...at, 'clientId'], `${hint} is needed`);
    return undefined;
  }
  if (auth.certificate !== undefined && certificate === undefined) return undefined;
  const federatedTokenFile = file === undefined ? undefined : files.absolute(file);
  return {
    clientId,
    ...defined({ tenant: tenantOf(auth, surroundings), clientSecret, clientSecretExpires, certificate, federatedTokenFile }),
  };
}

function checkOneProof(auth: Registered, at: Path, { findings }: Surroundings): void {
  const given = PROOFS.filter((key) => key in auth && Reflect.get(auth, key) !== undefined && Reflect.get(auth, key) !== false);
  const [first, second] = given;
  if (first !== undefined && second !== undefined) findings.problem([...at, second], `is one too many: there is ${first} already`);
}

async function buildServiceAccount(
  auth: InputOf<'service_account'>,
  provider: Provider,
  at: Path,
  surroundings: Surroundings,
): Promise<AuthSettings | undefined> {
  const { grant, keyFile, clientEmail, privateKey, scopes } = auth;
  const { findings } = surroundings;
  if (scopes === undefined && !findings.isWritten([...at, 'scopes']) && provider.scopes.length === 0)
    findings.problem([...at, 'grant'], `provider ${provider.name} has no scopes: set scopes`);
  if (keyFile !== undefined && (clientEmail !== undefined || privateKey !== undefined)) {
    findings.problem([...at, clientEmail === undefined ? 'privateKey' : 'clientEmail'], 'is one too many: there is keyFile already');
    return undefined;
  }
  if (keyFile === undefined && clientEmail === undefined && privateKey === undefined) {
    const saysPart = ['clientEmail', 'privateKey'].some((key) => findings.isWritten([...at, key]));
    if (!saysPart) findings.missing([...at, 'keyFile'], 'service_account needs it, or clientEmail and privateKey');
    return undefined;
  }
  const key = await readServiceAccountKey({ keyFile, clientEmail, privateKey }, provider, at, surroundings);
  return key === undefined ? undefined : { grant, ...key, ...defined({ scopes }) };
}

async function buildCommand(auth: InputOf<'command'>, at: Path, surroundings: Surroundings): Promise<AuthSettings | undefined> {
  const { grant, command, timeout, passEnvironment } = auth;
  const { files, findings, env } = surroundings;
  const [program = '', ...args] = command;
  if (timeout > LONGEST_COMMAND)
    findings.problem([...at, 'timeout'], `must be at most ${LONGEST_COMMAND / 1000}s: nobody waits longer for a token`);
  const fault = await findProgram(program, files.folder, env['PATH']);
  if (fault !== undefined) findings.problem([...at, 'command', 0], fault);
  passEnvironment.forEach((name, index) => {
    if (env[name] === undefined) findings.notice([...at, 'passEnvironment', index], `environment variable ${name} is not set`);
  });
  return { grant, command: [program, ...args], directory: files.folder, timeout, passEnvironment };
}
