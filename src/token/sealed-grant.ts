/**
 * How a stored grant looks on disk: a JSON envelope around AES-256-GCM.
 *
 * Pure but for the nonce. The envelope is versioned; the account's name is bound in as additional data, so that the file of one account cannot pass
 * for that of another. It names its key by a digest, so that a wrong key is told apart from damage.
 *
 * Sources: NIST SP 800-38D (GCM, 96-bit random nonce), RFC 5869 (HKDF).
 *
 * @packageDocumentation
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { AccountName } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import type { StoredGrant } from '../core/ports/token-store.ts';

const FORMAT = 'postern-grant';
const VERSION = 1;
const CIPHER = 'aes-256-gcm';
const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;

/** What encrypts grants, derived from the master key so that each use of that has a key of its own. */
export interface GrantKey {
  readonly secret: Uint8Array;
  /** Names the key without telling anything about it. */
  readonly id: string;
}

/** None of the keys at hand fits; whether the content is good cannot be told. */
export class UnknownKeyError extends Error {
  override readonly name = 'UnknownKeyError';
}

/** Which key a grant was encrypted with. @throws Error as {@link openGrant} where that cannot be told. */
export const keyIdOf = (content: Uint8Array): string => readEnvelope(content).keyId;

/** @param masterKey - 32 octets, as platform/key-file.ts reads them. */
export function deriveGrantKey(masterKey: Uint8Array): GrantKey {
  const derive = (purpose: string, length: number): Buffer =>
    Buffer.from(hkdfSync('sha256', masterKey, Buffer.alloc(0), `postern token store ${purpose} v1`, length));
  return { secret: derive('encryption', 32), id: derive('key id', 8).toString('hex') };
}

/** Encrypt a grant. */
export function sealGrant(account: AccountName, grant: StoredGrant, key: GrantKey): Buffer {
  const nonce = randomBytes(NONCE_LENGTH);
  const cipher = createCipheriv(CIPHER, key.secret, nonce, { authTagLength: TAG_LENGTH });
  cipher.setAAD(additionalData(account));
  const sealed = Buffer.concat([cipher.update(JSON.stringify(grant), 'utf8'), cipher.final()]);
  const envelope = {
    format: FORMAT,
    version: VERSION,
    keyId: key.id,
    nonce: nonce.toString('base64'),
    tag: cipher.getAuthTag().toString('base64'),
    sealed: sealed.toString('base64'),
  };
  return Buffer.from(`${JSON.stringify(envelope)}\n`);
}

/**
 * Decrypt what {@link sealGrant} made.
 *
 * @param keys - All that it may have been written with.
 * @throws Error whose message says in operator's words what is wrong; UnknownKeyError where it was written with none of the keys.
 */
export function openGrant(account: AccountName, content: Uint8Array, keys: readonly GrantKey[]): StoredGrant {
  const envelope = readEnvelope(content);
  const key = keys.find(({ id }) => id === envelope.keyId);
  if (key === undefined) {
    throw new UnknownKeyError(`it was written with another key (id ${envelope.keyId}, ours is ${keys.map(({ id }) => id).join(', ')})`);
  }
  let clear: string;
  try {
    const decipher = createDecipheriv(CIPHER, key.secret, envelope.nonce, { authTagLength: TAG_LENGTH });
    decipher.setAAD(additionalData(account)).setAuthTag(envelope.tag);
    clear = Buffer.concat([decipher.update(envelope.sealed), decipher.final()]).toString('utf8');
  } catch (error) {
    throw new Error('its content was changed or belongs to another account', { cause: error });
  }
  return readGrant(parseJson(clear));
}

const additionalData = (account: AccountName): Buffer => Buffer.from(`${FORMAT}\0${VERSION}\0${account}`, 'utf8');

interface Envelope {
  readonly keyId: string;
  readonly nonce: Buffer;
  readonly tag: Buffer;
  readonly sealed: Buffer;
}

function readEnvelope(content: Uint8Array): Envelope {
  const fields = parseJson(Buffer.from(content).toString('utf8'));
  if (fields['format'] !== FORMAT) throw new Error('it is not a grant file');
  if (fields['version'] !== VERSION)
    throw new Error(`its format is version ${String(fields['version'])}, this Postern knows version ${VERSION}`);
  const { keyId } = fields;
  if (typeof keyId !== 'string' || !/^[0-9a-f]{16}$/.test(keyId)) throw new Error('it is damaged (keyId)');
  const nonce = readBase64(fields, 'nonce');
  const tag = readBase64(fields, 'tag');
  // GCM would take a shorter tag, which is easier to forge.
  if (nonce.length !== NONCE_LENGTH || tag.length !== TAG_LENGTH) throw new Error('it is damaged (nonce or tag)');
  return { keyId, nonce, tag, sealed: readBase64(fields, 'sealed') };
}

function readBase64(fields: Record<string, unknown>, name: string): Buffer {
  const value = fields[name];
  if (typeof value !== 'string') throw new Error(`it is damaged (${name})`);
  return Buffer.from(value, 'base64');
}

/** What was authenticated was written by us; checked all the same, since a later version may have written it. */
function readGrant(fields: Record<string, unknown>): StoredGrant {
  const { generation, savedAt } = fields;
  if (typeof generation !== 'number' || typeof savedAt !== 'number') throw new Error('it is damaged (generation)');
  return {
    ...optionalText(fields, 'refreshToken'),
    ...optionalText(fields, 'previousRefreshToken'),
    ...optionalText(fields, 'seedDigest'),
    ...readAccessToken(fields['accessToken']),
    generation,
    savedAt: savedAt as EpochMs,
    ...(typeof fields['refreshTokenSince'] === 'number' ? { refreshTokenSince: fields['refreshTokenSince'] as EpochMs } : {}),
  };
}

function optionalText<Name extends string>(fields: Record<string, unknown>, name: Name): { readonly [key in Name]?: string } {
  const value = fields[name];
  return typeof value === 'string' ? ({ [name]: value } as { [key in Name]: string }) : {};
}

function readAccessToken(fields: unknown): Pick<StoredGrant, 'accessToken'> {
  if (typeof fields !== 'object' || fields === null) return {};
  const { value, expiresAt, settingsDigest } = fields as Record<string, unknown>;
  if (typeof value !== 'string' || typeof expiresAt !== 'number' || typeof settingsDigest !== 'string') return {};
  return { accessToken: { value, expiresAt: expiresAt as EpochMs, settingsDigest } };
}

function parseJson(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error('it is damaged (no JSON)', { cause: error });
  }
  if (typeof value !== 'object' || value === null) throw new Error('it is damaged (no JSON object)');
  return value as Record<string, unknown>;
}
