/**
 * TLS contexts for the certificate that the switch `certificate` asks for. Faulty ones are issued when they are first asked for.
 *
 * @packageDocumentation
 */
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Certificates, KeyedCertificate } from './certificates.ts';
import type { SubmissionFaults } from './faults.ts';

export class TlsContexts {
  readonly #certificates: Certificates;
  readonly #contexts = new Map<SubmissionFaults['certificate'], Promise<SecureContext>>();

  constructor(certificates: Certificates) {
    this.#certificates = certificates;
  }

  get(kind: SubmissionFaults['certificate']): Promise<SecureContext> {
    const known = this.#contexts.get(kind);
    if (known !== undefined) return known;
    const context = this.#create(kind);
    this.#contexts.set(kind, context);
    return context;
  }

  async #create(kind: SubmissionFaults['certificate']): Promise<SecureContext> {
    const pair: KeyedCertificate = kind === 'valid' ? this.#certificates.server : await this.#certificates.issueFaulty(kind);
    // Exchange Online speaks TLS 1.2 and 1.3 only.
    return createSecureContext({ ...pair, minVersion: 'TLSv1.2' });
  }
}
