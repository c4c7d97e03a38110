/**
 * Reads certificates, keys and service account files that accounts name, and says what is wrong with them before a provider does.
 *
 * @packageDocumentation
 */
import type { ClientCertificate, Provider, ServiceAccountAuth } from '../core/account.ts';
import { days, type EpochMs } from '../core/clock.ts';
import { beginningOf, certificateOf, endOf, openSigningKey, SigningKeyError } from '../platform/signing-key.ts';
import { defined } from './defined.ts';
import type { Path } from './findings.ts';
import type { Surroundings } from './surroundings.ts';

/** `auth.certificate` as written. */
interface CertificateInput {
  readonly cert: string;
  readonly key?: string | undefined;
  readonly passphrase?: string | undefined;
}

const SOON = days(30);

/** Undefined where it cannot be used; the findings say why. */
export async function readClientCertificate(
  { cert: certFile, key: keyFile, passphrase }: CertificateInput,
  at: Path,
  surroundings: Surroundings,
): Promise<ClientCertificate | undefined> {
  const { files, secrets, findings } = surroundings;
  const keyAt = [...at, keyFile === undefined ? 'cert' : 'key'];
  const cert = await files.read(certFile, [...at, 'cert'], { isSecret: keyFile === undefined });
  const key = keyFile === undefined ? cert : await files.read(keyFile, keyAt, { isSecret: true });
  if (cert === undefined || key === undefined) return undefined;
  for (const block of privateParts(key)) secrets.add(block);
  const opened = attempt(
    () => openSigningKey(key, passphrase),
    [...keyAt],
    `the key in ${files.absolute(keyFile ?? certFile)}`,
    surroundings,
  );
  if (opened === undefined) return undefined;
  const what = `the certificate in ${files.absolute(certFile)}`;
  const certificate = attempt(() => certificateOf(cert, opened), [...at, 'cert'], what, surroundings);
  if (certificate === undefined) return undefined;
  const validity = describeValidity(beginningOf(certificate), endOf(certificate), surroundings.now);
  // Other accounts go on; this one says at each try what has happened to it.
  if (validity !== undefined) findings.notice([...at, 'cert'], `${what} ${validity}`);
  return { cert, key, ...defined({ passphrase }) };
}

function describeValidity(from: number, until: number, now: EpochMs): string | undefined {
  const date = (moment: number): string => new Date(moment).toISOString().slice(0, 10);
  if (until <= now) return `ended on ${date(until)}: no token can be obtained until it is replaced`;
  if (from > now) return `begins on ${date(from)}: check the clock of this machine`;
  const left = Math.floor((until - now) / days(1));
  return until - now > SOON ? undefined : `ends on ${date(until)}, in ${left} day${left === 1 ? '' : 's'}: replace it in time`;
}

/** Undefined where `action` finds the key or certificate unusable, which is told. */
function attempt<Result>(action: () => Result, at: Path, what: string, { findings }: Surroundings): Result | undefined {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof SigningKeyError)) throw error;
    findings.problem(at, `${what} ${error.message}`);
    return undefined;
  }
}

/** The PEM blocks of private keys, and what is in them: a log must hold neither. */
function privateParts(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----/g) ?? [];
  return blocks.flatMap((block) => [block, block.replace(/-----[^-]*-----/g, '').trim()]);
}

/** Where the key of a service account is. */
interface ServiceAccountInput {
  readonly keyFile?: string | undefined;
  readonly clientEmail?: string | undefined;
  readonly privateKey?: string | undefined;
}

type ServiceAccountKey = Pick<ServiceAccountAuth, 'clientEmail' | 'privateKey' | 'privateKeyId'>;

/** Undefined where it cannot be used; the findings say why. */
export async function readServiceAccountKey(
  input: ServiceAccountInput,
  provider: Provider,
  at: Path,
  surroundings: Surroundings,
): Promise<ServiceAccountKey | undefined> {
  const { findings, secrets } = surroundings;
  const keyAt = [...at, input.keyFile === undefined ? 'privateKey' : 'keyFile'];
  const key =
    input.keyFile === undefined ? writtenKey(input, at, surroundings) : await keyFromFile(input.keyFile, provider, keyAt, surroundings);
  if (key === undefined) return undefined;
  for (const part of privateParts(key.privateKey)) secrets.add(part);
  if (!/^[^\s@]+@[^\s@]+$/.test(key.clientEmail)) findings.problem(keyAt, 'has a client_email that is no address');
  return attempt(() => openSigningKey(key.privateKey), keyAt, 'the private key', surroundings) === undefined ? undefined : key;
}

function writtenKey({ clientEmail, privateKey }: ServiceAccountInput, at: Path, { findings }: Surroundings): ServiceAccountKey | undefined {
  if (clientEmail === undefined) findings.missing([...at, 'clientEmail'], 'privateKey alone does not say whose it is');
  if (privateKey === undefined) findings.missing([...at, 'privateKey'], 'clientEmail alone proves nothing');
  if (clientEmail === undefined || privateKey === undefined) return undefined;
  // Line ends are often written as \n, as they stand in the JSON file.
  return { clientEmail, privateKey: privateKey.replaceAll('\\n', '\n') };
}

/** The JSON file that Google gives out. */
async function keyFromFile(file: string, provider: Provider, at: Path, surroundings: Surroundings): Promise<ServiceAccountKey | undefined> {
  const { files, findings, secrets } = surroundings;
  const text = await files.read(file, at, { isSecret: true });
  if (text === undefined) return undefined;
  const fields = parseObject(text);
  if (fields === undefined)
    return refuse(`${files.absolute(file)} is not JSON: the key file of a service account is meant, not a .p12 file`);
  const { type, client_email: clientEmail, private_key: privateKey, private_key_id: id, token_uri: tokenUri } = fields;
  if (typeof privateKey === 'string') secrets.add(privateKey);
  if (type !== 'service_account')
    return refuse(`${files.absolute(file)} is of type ${describeType(type)}: a key of a service account is needed`);
  if (typeof clientEmail !== 'string' || typeof privateKey !== 'string') {
    return refuse(`${files.absolute(file)} lacks client_email or private_key`);
  }
  if (typeof tokenUri === 'string' && tokenUri !== provider.tokenUrl) {
    findings.notice(at, `names another token URL than provider ${provider.name}, whose own is used`);
  }
  return { clientEmail, privateKey, ...(typeof id === 'string' && /^[\w-]+$/.test(id) ? { privateKeyId: id } : {}) };

  function refuse(message: string): undefined {
    findings.problem(at, message);
    return undefined;
  }
}

/** Names that Google gives are told; whatever else stands there may be anything. */
const describeType = (type: unknown): string =>
  type === 'authorized_user' || type === 'external_account' || type === 'impersonated_service_account' ? type : 'something else';

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // The answer to the question; the parser's message would repeat the text.
  }
}
