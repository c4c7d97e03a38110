/**
 * A private certificate authority for tests, so that TLS is verified in them as it is in production. Needs no openssl program.
 *
 * @packageDocumentation
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import forge from 'node-forge';

/** What a certificate is to say. */
export interface IssueOptions {
  /** DNS names and IP addresses; the first one is also the common name. */
  readonly hosts: readonly string[];
  /** Days of validity from now; 30 unless told. */
  readonly days?: number;
  /** Ended yesterday. */
  readonly expired?: boolean;
  /** Begins tomorrow. */
  readonly future?: boolean;
  /** Names the host in the common name alone, as certificates did before RFC 2818. */
  readonly commonNameOnly?: boolean;
  /** Signed by its own key in place of the authority's. */
  readonly selfSigned?: boolean;
  /** Bits of the RSA key; 2048 unless told. */
  readonly keyBits?: number;
}

export interface IssuedCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface TestAuthority {
  /** Trust this. */
  readonly caPem: string;
  issue(options: IssueOptions): IssuedCertificate;
}

const DAY = 86_400_000;

/** Each call makes an authority of its own; it costs about a quarter of a second. */
export function createTestAuthority(name = 'Postern test authority'): TestAuthority {
  const key = newKey(2048);
  const subject = [{ name: 'commonName', value: name }];
  const certificate = blank(key.publicKey, subject, subject, Date.now() - DAY, Date.now() + 3650 * DAY);
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ]);
  certificate.sign(key.privateKey, forge.md.sha256.create());
  return {
    caPem: forge.pki.certificateToPem(certificate),
    issue: (options) => issue(options, { subject, privateKey: key.privateKey }),
  };
}

interface Issuer {
  readonly subject: forge.pki.CertificateField[];
  readonly privateKey: forge.pki.rsa.PrivateKey;
}

function issue(options: IssueOptions, issuer: Issuer): IssuedCertificate {
  const key = newKey(options.keyBits ?? 2048);
  const subject = [{ name: 'commonName', value: options.hosts[0] ?? 'localhost' }];
  const from = options.future === true ? Date.now() + DAY : Date.now() - 2 * DAY;
  const until = options.expired === true ? Date.now() - DAY : Date.now() + (options.days ?? 30) * DAY;
  const certificate = blank(key.publicKey, subject, options.selfSigned === true ? subject : issuer.subject, from, until);
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true },
    { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
    ...(options.commonNameOnly === true ? [] : [{ name: 'subjectAltName', altNames: options.hosts.map(alternativeName) }]),
  ]);
  certificate.sign(options.selfSigned === true ? key.privateKey : issuer.privateKey, forge.md.sha256.create());
  return { certPem: forge.pki.certificateToPem(certificate), keyPem: forge.pki.privateKeyToPem(key.privateKey) };
}

/** Types of RFC 5280 GeneralName: 2 is a DNS name, 7 an address. */
const alternativeName = (host: string) => (isIP(host) === 0 ? { type: 2, value: host } : { type: 7, ip: host });

function blank(
  publicKey: forge.pki.rsa.PublicKey,
  subject: forge.pki.CertificateField[],
  issuer: forge.pki.CertificateField[],
  from: number,
  until: number,
): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = publicKey;
  certificate.serialNumber = `01${randomBytes(8).toString('hex')}`;
  certificate.validity.notBefore = new Date(from);
  certificate.validity.notAfter = new Date(until);
  certificate.setSubject(subject);
  certificate.setIssuer(issuer);
  return certificate;
}

/** Node makes RSA keys twenty times faster than node-forge does. */
function newKey(modulusLength: number) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  return { publicKey: forge.pki.publicKeyFromPem(publicKey), privateKey: forge.pki.privateKeyFromPem(privateKey) };
}
