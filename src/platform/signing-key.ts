/**
 * RSA keys that sign assertions, and the certificates that go with them, from PEM text.
 *
 * Pure. What is wrong is said in operator's words, and nothing of a key or passphrase is in them. RSA only: the providers that take assertions
 * take PS256 or RS256, and Entra registers no other kind of key for an application.
 *
 * Sources: RFC 7468 (PEM), RFC 5958 (PKCS #8), RFC 7518 §3.3 and §3.5 (keys of 2048 bits or more).
 *
 * @packageDocumentation
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';

/** The message completes a sentence that begins with the name of the key or certificate: `is protected by a passphrase`. */
export class SigningKeyError extends Error {
  override readonly name = 'SigningKeyError';
}

const FEWEST_BITS = 2048;

/**
 * Open a private key.
 *
 * @param passphrase - For a key that is encrypted; not used for one that is not.
 * @throws SigningKeyError
 */
export function openSigningKey(pem: string, passphrase?: string): KeyObject {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw new SigningKeyError('is no private key in PEM form (a .pfx or .p12 file becomes one with openssl pkcs12 -in FILE -nocerts)');
  }
  const key = parseKey(pem, passphrase);
  if (key.asymmetricKeyType !== 'rsa') {
    throw new SigningKeyError(`is of type ${key.asymmetricKeyType ?? 'unknown'}: an RSA key is needed (openssl req -newkey rsa:2048 …)`);
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < FEWEST_BITS) throw new SigningKeyError(`has ${bits} bits: ${FEWEST_BITS} or more are needed`);
  return key;
}

function parseKey(pem: string, passphrase: string | undefined): KeyObject {
  const isEncrypted = /ENCRYPTED/.test(pem);
  if (isEncrypted && passphrase === undefined) throw new SigningKeyError('is protected by a passphrase, and none is given');
  try {
    return createPrivateKey(passphrase === undefined ? { key: pem } : { key: pem, passphrase });
  } catch (error) {
    const why = isEncrypted
      ? 'cannot be decrypted: the passphrase is wrong, or the file is damaged'
      : 'cannot be read: the file is damaged';
    throw new SigningKeyError(why, { cause: error });
  }
}

/**
 * The certificate that belongs to a key.
 *
 * @param pem - One certificate or several, in any order: a chain does no harm.
 * @throws SigningKeyError
 */
export function certificateOf(pem: string, key: KeyObject): X509Certificate {
  const certificates = parseCertificates(pem);
  const found = certificates.find((certificate) => certificate.checkPrivateKey(key));
  if (found === undefined) throw new SigningKeyError('does not belong to the key');
  return found;
}

/** When a certificate ends, in milliseconds since 1970. */
export const endOf = (certificate: X509Certificate): number => Date.parse(certificate.validTo);

/** When it begins. */
export const beginningOf = (certificate: X509Certificate): number => Date.parse(certificate.validFrom);

function parseCertificates(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new SigningKeyError('is no certificate in PEM form');
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw new SigningKeyError('cannot be read: the file is damaged', { cause: error });
  }
}
