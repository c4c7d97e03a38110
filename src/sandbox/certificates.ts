/**
 * A private CA and the server certificate for loopback, so that TLS to the sandbox is verified like TLS to anybody else.
 *
 * node:crypto makes the RSA keys; node-forge, loaded only when something must be issued, builds and signs the certificates. The CA is written
 * to `ca.pem` (0644) for other programs to trust; keys are 0600. What is close to its end is issued anew at start.
 *
 * Source: RFC 5280 §4.2 for the extensions; §4.2.1.1 (authority key identifier) matters to strict verifiers such as Python 3.13's.
 *
 * @packageDocumentation
 */
import { createPrivateKey, generateKeyPair, X509Certificate } from 'node:crypto';
import { promisify } from 'node:util';
import type { pki } from 'node-forge';
import { type DurationMs, days, type EpochMs, plus } from '../core/clock.ts';
import type { Random } from '../core/ports/random.ts';
import type { StateFiles } from './state-files.ts';

/** A certificate and its private key, both PEM. */
export interface KeyedCertificate {
  readonly cert: string;
  readonly key: string;
}

/** Certificates with a fault, shown by the switch `certificate`. */
export type FaultyCertificate = 'expired' | 'wrong-host' | 'untrusted';

/** What TLS needs. */
export interface Certificates {
  readonly caPem: string;
  readonly server: KeyedCertificate;
  /** Issue one with a fault, on the server's own key. */
  issueFaulty(fault: FaultyCertificate): Promise<KeyedCertificate>;
}

const CA_LIFETIME = days(3650);
/** Apple's verifiers refuse server certificates that live longer than 398 days. */
const SERVER_LIFETIME = days(390);
const RENEW_BEFORE_END = days(30);
/** Certificates start a day early, so that a peer with a slow clock takes them. */
const CLOCK_SKEW = days(-1);

const CA_NAME = 'Postern sandbox CA';
const LOOPBACK_NAMES = [
  { type: 2, value: 'localhost' },
  { type: 7, ip: '127.0.0.1' },
  { type: 7, ip: '::1' },
];

/** Load the certificates from `files`, or issue what is missing, damaged or ending soon. `now` is the machine's time: TLS goes by it. */
export async function loadCertificates(files: StateFiles, now: EpochMs, random: Random): Promise<Certificates> {
  const ca = (await loadAuthority(files, now)) ?? (await newAuthority(files, now, random));
  const server = (await loadServer(files, now, ca)) ?? (await newServer(files, now, random, ca));
  return { caPem: ca.cert, server, issueFaulty: (fault) => issueFaulty(fault, ca, server, now, random) };
}

async function loadPair(files: StateFiles, name: string, now: EpochMs): Promise<KeyedCertificate | undefined> {
  const cert = await files.read(`${name}.pem`);
  const key = await files.read(`${name}-key.pem`);
  return cert !== undefined && key !== undefined && isUsable(cert, key, now) ? { cert, key } : undefined;
}

function isUsable(cert: string, key: string, now: EpochMs): boolean {
  try {
    const parsed = new X509Certificate(cert);
    const isLongLived = Date.parse(parsed.validTo) > plus(now, RENEW_BEFORE_END);
    return isLongLived && Date.parse(parsed.validFrom) <= now && parsed.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false; // Not a certificate or not a key: issued anew, as if the file were not there.
  }
}

const loadAuthority = (files: StateFiles, now: EpochMs): Promise<KeyedCertificate | undefined> => loadPair(files, 'ca', now);

async function loadServer(files: StateFiles, now: EpochMs, ca: KeyedCertificate): Promise<KeyedCertificate | undefined> {
  const pair = await loadPair(files, 'server', now);
  if (pair === undefined) return undefined;
  return new X509Certificate(pair.cert).verify(new X509Certificate(ca.cert).publicKey) ? pair : undefined;
}

async function newAuthority(files: StateFiles, now: EpochMs, random: Random): Promise<KeyedCertificate> {
  const { publicKey, privateKey } = await newKeys();
  const cert = await issue({
    subject: CA_NAME,
    publicKey,
    signer: { name: CA_NAME, key: privateKey },
    validity: validFor(now, CA_LIFETIME),
    serial: serial(random),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      { name: 'subjectKeyIdentifier' },
    ],
  });
  await files.write('ca-key.pem', privateKey, 0o600);
  await files.write('ca.pem', cert, 0o644);
  return { cert, key: privateKey };
}

async function newServer(files: StateFiles, now: EpochMs, random: Random, ca: KeyedCertificate): Promise<KeyedCertificate> {
  const { publicKey, privateKey } = await newKeys();
  const cert = await issue({
    subject: 'localhost',
    publicKey,
    signer: { name: CA_NAME, key: ca.key, cert: ca.cert },
    validity: validFor(now, SERVER_LIFETIME),
    serial: serial(random),
    extensions: serverExtensions(LOOPBACK_NAMES),
  });
  await files.write('server-key.pem', privateKey, 0o600);
  await files.write('server.pem', cert, 0o644);
  return { cert, key: privateKey };
}

async function issueFaulty(
  fault: FaultyCertificate,
  ca: KeyedCertificate,
  server: KeyedCertificate,
  now: EpochMs,
  random: Random,
): Promise<KeyedCertificate> {
  const isExpired = fault === 'expired';
  const host = fault === 'wrong-host' ? 'mail.elsewhere.test' : 'localhost';
  const cert = await issue({
    subject: host,
    publicKey: new X509Certificate(server.cert).publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    signer: fault === 'untrusted' ? { name: host, key: server.key } : { name: CA_NAME, key: ca.key, cert: ca.cert },
    validity: isExpired ? { from: plus(now, days(-100)), to: plus(now, days(-1)) } : validFor(now, SERVER_LIFETIME),
    serial: serial(random),
    extensions: serverExtensions(fault === 'wrong-host' ? [{ type: 2, value: host }] : LOOPBACK_NAMES),
  });
  return { cert, key: server.key };
}

interface Validity {
  readonly from: EpochMs;
  readonly to: EpochMs;
}

const validFor = (now: EpochMs, lifetime: DurationMs): Validity => ({
  from: plus(now, CLOCK_SKEW),
  to: plus(now, lifetime),
});

/** RFC 5280 §4.1.2.2: positive, at most 20 octets. */
const serial = (random: Random): string => `01${Buffer.from(random.octets(15)).toString('hex')}`;

const serverExtensions = (altNames: readonly object[]): object[] => [
  { name: 'basicConstraints', cA: false, critical: true },
  { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
  { name: 'extKeyUsage', serverAuth: true },
  { name: 'subjectAltName', altNames },
];

interface Issue {
  readonly subject: string;
  /** PEM. */
  readonly publicKey: string;
  /** `cert` is absent where the certificate signs itself. */
  readonly signer: { readonly name: string; readonly key: string; readonly cert?: string };
  readonly validity: Validity;
  readonly serial: string;
  readonly extensions: readonly object[];
}

/** Build and sign a certificate. Returns PEM. */
async function issue(request: Issue): Promise<string> {
  const { default: forge } = await import('node-forge');
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(request.publicKey);
  certificate.serialNumber = request.serial;
  certificate.validity.notBefore = new Date(request.validity.from);
  certificate.validity.notAfter = new Date(request.validity.to);
  certificate.setSubject([{ name: 'commonName', value: request.subject }]);
  certificate.setIssuer([{ name: 'commonName', value: request.signer.name }]);
  certificate.setExtensions([...request.extensions, ...authorityKeyIdentifier(request, forge.pki)]);
  certificate.sign(forge.pki.privateKeyFromPem(request.signer.key), forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n');
}

function authorityKeyIdentifier({ signer }: Issue, { certificateFromPem }: typeof pki): object[] {
  if (signer.cert === undefined) return [];
  const keyIdentifier = certificateFromPem(signer.cert).generateSubjectKeyIdentifier().getBytes();
  return [{ name: 'authorityKeyIdentifier', keyIdentifier }];
}

async function newKeys(): Promise<{ publicKey: string; privateKey: string }> {
  return promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}
