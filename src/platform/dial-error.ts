/**
 * Why an outgoing connection could not be opened, told apart so that the operator hears the exact reason.
 *
 * Pure.
 *
 * @packageDocumentation
 */

/** What stood in the way. */
export type DialFailure =
  | 'dns'
  | 'refused'
  | 'unreachable'
  | 'timeout'
  /** The peer's certificate was not accepted; {@link DialError.certificate} says why. */
  | 'certificate'
  /** The TLS handshake failed for another reason: old version, no common cipher, not TLS at all. */
  | 'tls'
  /** The peer sent clear text that would have been taken for encrypted text (CVE-2011-0411). */
  | 'injection'
  | 'closed'
  /** The caller's signal. */
  | 'aborted';

/** What is wrong with a certificate. */
export type CertificateFault = 'self-signed' | 'unknown-issuer' | 'expired' | 'not-yet-valid' | 'wrong-host' | 'weak' | 'revoked' | 'other';

/** An outgoing connection could not be opened or secured. The message names host and port, never a secret. */
export class DialError extends Error {
  override readonly name = 'DialError';
  readonly failure: DialFailure;
  readonly certificate: CertificateFault | undefined;
  constructor(failure: DialFailure, message: string, options: ErrorOptions & { readonly certificate?: CertificateFault | undefined } = {}) {
    super(message, options);
    this.failure = failure;
    this.certificate = options.certificate;
  }
}

/** The error code that Node gives, or `''`. Several failed addresses come as an AggregateError, whose members have the codes. */
export function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  if ('code' in error && typeof error.code === 'string' && error.code !== '') return error.code;
  return error instanceof AggregateError ? errorCode(error.errors.at(-1)) : '';
}

const CERTIFICATE_FAULTS: Readonly<Record<string, CertificateFault>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown-issuer',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown-issuer',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown-issuer',
  CERT_UNTRUSTED: 'unknown-issuer',
  INVALID_CA: 'unknown-issuer',
  CERT_SIGNATURE_FAILURE: 'unknown-issuer',
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not-yet-valid',
  ERR_TLS_CERT_ALTNAME_INVALID: 'wrong-host',
  HOSTNAME_MISMATCH: 'wrong-host',
  CERT_REVOKED: 'revoked',
  CERT_REJECTED: 'other',
  CERT_CHAIN_TOO_LONG: 'other',
  PATH_LENGTH_EXCEEDED: 'other',
  INVALID_PURPOSE: 'other',
};

/** What an error during the TLS handshake means. */
export function tlsFailure(target: string, error: unknown): DialError {
  const code = errorCode(error);
  const certificate = code === 'UNSPECIFIED' ? unspecified(error) : CERTIFICATE_FAULTS[code];
  if (certificate !== undefined) {
    const message = `${target}: certificate not accepted: ${certificate} (${code})`;
    return new DialError('certificate', message, { cause: error, certificate });
  }
  if (code === 'ECONNRESET' || code === 'EPIPE')
    return new DialError('closed', `${target}: closed during the TLS handshake`, { cause: error });
  return new DialError('tls', `${target}: TLS handshake failed (${code || 'no TLS'})`, { cause: error });
}

/** Verification errors that Node has no code for, such as "EE certificate key too weak". */
function unspecified(error: unknown): CertificateFault {
  return error instanceof Error && error.message.endsWith('too weak') ? 'weak' : 'other';
}

/** What an error before the connection was open means. */
export function connectFailure(target: string, error: unknown): DialError {
  const code = errorCode(error);
  if (['ENOTFOUND', 'ENODATA', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'ESERVFAIL', 'EREFUSED', 'ENODOMAIN'].includes(code)) {
    return new DialError('dns', `${target}: host name not resolved (${code})`, { cause: error });
  }
  if (code === 'ECONNREFUSED') return new DialError('refused', `${target}: connection refused`, { cause: error });
  if (code === 'ETIMEDOUT' || code === 'ERR_SOCKET_CONNECTION_TIMEOUT') {
    return new DialError('timeout', `${target}: no answer to connect (${code})`, { cause: error });
  }
  return new DialError('unreachable', `${target}: cannot connect (${code || 'unknown error'})`, { cause: error });
}
