/**
 * Signs a JWT: the form of every assertion that is made here.
 *
 * Pure but for the salt of PS256.
 *
 * Sources: RFC 7519 (JWT), RFC 7515 §3.1 (compact serialization), RFC 7518 §3.3 (RS256) and §3.5 (PS256: MGF1 with SHA-256, a salt as long as the hash).
 *
 * @packageDocumentation
 */
import { constants, type KeyObject, sign } from 'node:crypto';

/** Which signature, and what the header says besides. */
export interface JwtHeader {
  readonly alg: 'PS256' | 'RS256';
  readonly [parameter: string]: string;
}

/** @param key - RSA. */
export function signJwt(header: JwtHeader, claims: Readonly<Record<string, string | number>>, key: KeyObject): string {
  const content = `${encode({ ...header, typ: 'JWT' })}.${encode(claims)}`;
  const padding =
    header.alg === 'PS256'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
      : { padding: constants.RSA_PKCS1_PADDING };
  return `${content}.${sign('sha256', Buffer.from(content), { key, ...padding }).toString('base64url')}`;
}

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
