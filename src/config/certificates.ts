/**
 * Whether PEM text is what it should be. Pure; nothing of a key appears in a message.
 *
 * @packageDocumentation
 */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** What is wrong with a file of certificates; undefined where it is good. */
export function checkCertificates(pem: string): string | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) return 'holds no certificate in PEM form';
  return blocks.every(isCertificate) ? undefined : 'holds a certificate that cannot be read';
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false; // The answer to the question, not an error.
  }
}

/** What is wrong with a certificate and its key; undefined where they can serve. */
export function checkPair(cert: string, key: string): string | undefined {
  const fault = checkCertificates(cert);
  if (fault !== undefined) return `the certificate file ${fault}`;
  if (/ENCRYPTED/.test(key)) return 'the key is protected by a passphrase: store it without one, readable by Postern alone';
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) return 'the key file holds no private key in PEM form';
  try {
    createSecureContext({ cert, key });
    return undefined;
  } catch {
    return 'certificate and key do not belong together';
  }
}
