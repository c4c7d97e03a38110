/**
 * Keys, certificates and JWTs for tests of assertions.
 *
 * @packageDocumentation
 */
import { constants, createHash, createPrivateKey, generateKeyPairSync, verify, X509Certificate } from 'node:crypto';
import type { ClientCertificate } from '../../src/core/account.ts';
import { createTestAuthority, type IssueOptions } from './test-ca.ts';

const authority = createTestAuthority('Applications');

/** A certificate as one would register it for an application. */
export function applicationCertificate(options: Omit<IssueOptions, 'hosts'> = {}): ClientCertificate {
  const { certPem, keyPem } = authority.issue({ hosts: ['postern'], ...options });
  return { cert: certPem, key: createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** The same key, protected by a passphrase. */
export function encryptedKey(key: string, passphrase: string, type: 'pkcs8' | 'pkcs1' = 'pkcs8'): string {
  return createPrivateKey(key).export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase }).toString();
}

/** An RSA key in PEM form. */
export function rsaKey(modulusLength = 2048): { readonly privateKey: string; readonly publicKey: string } {
  return generateKeyPairSync('rsa', {
    modulusLength,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

/** A key of another kind. */
export function ellipticKey(): string {
  return generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  }).privateKey;
}

/** A JWT taken apart, its signature not looked at. */
export function decodeJwt(jwt: string): { header: Record<string, unknown>; claims: Record<string, unknown> } {
  const [header = '', claims = ''] = jwt.split('.');
  const decode = (part: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>;
  return { header: decode(header), claims: decode(claims) };
}

/** True where the signature of `jwt` is of that key (or certificate), by the algorithm in its header. */
export function isSignedBy(jwt: string, publicKey: string): boolean {
  const { alg } = decodeJwt(jwt).header;
  const end = jwt.lastIndexOf('.');
  const padding =
    alg === 'PS256'
      ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
      : { padding: alg === 'RS256' ? constants.RSA_PKCS1_PADDING : constants.RSA_NO_PADDING };
  return verify('sha256', Buffer.from(jwt.slice(0, end)), { key: publicKey, ...padding }, Buffer.from(jwt.slice(end + 1), 'base64url'));
}

/** RFC 7515 §4.1.8. */
export function thumbprint(cert: string): string {
  return createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url');
}
