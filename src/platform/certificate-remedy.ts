/**
 * What an operator should do about a server certificate that was not accepted.
 *
 * Pure data.
 *
 * @packageDocumentation
 */
import type { CertificateFault } from './dial-error.ts';

/** Where the server's name stands in the configuration, and how to look at its certificate by hand. */
export interface CertificateContext {
  /** `providers.NAME.smtp.host` */
  readonly key: string;
  /** Arguments of openssl s_client before `-connect`, as `-starttls smtp`; `''` for implicit TLS. */
  readonly starttls: string;
}

const REMEDIES: Readonly<Record<CertificateFault, (context: CertificateContext) => string>> = {
  'self-signed': () => 'If the server or a firewall before it is yours, name its certificate or CA in providers.NAME.caFile.',
  'unknown-issuer': () =>
    'If a firewall inspects mail, exempt the host or name its CA in providers.NAME.caFile; else the server does not send its whole chain.',
  expired: () => "Check this machine's clock; if it is right, the server's operator must renew the certificate.",
  'not-yet-valid': () => "Check this machine's clock.",
  'wrong-host': ({ key }) =>
    `Give ${key} a name that is in the subjectAltName of the certificate; a public provider has no IP address there.`,
  weak: () => "The server's operator must replace the certificate: RSA keys of 2048 bits or more, SHA-256.",
  revoked: () => "The server's operator must replace the certificate.",
  other: ({ starttls }) =>
    `Look at the certificate: openssl s_client ${starttls === '' ? '' : `${starttls} `}-connect HOST:PORT -showcerts.`,
};

/** The step for each fault; none of them is to go on without verification. */
export const certificateRemedy = (fault: CertificateFault, context: CertificateContext): string => REMEDIES[fault](context);
