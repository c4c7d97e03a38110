/**
 * What a listener needs to speak TLS: its own certificate and key, and the oldest version it accepts.
 *
 * Never a built-in key, which everybody would know.
 *
 * @packageDocumentation
 */
import { createSecureContext, type SecureContextOptions, type SecureVersion } from 'node:tls';
import { problem, ProblemError } from '../core/problem.ts';

/** PEM texts and version of one listener. */
export interface ServerTlsSettings {
  readonly name: string;
  readonly cert?: string;
  readonly key?: string;
  readonly minTls: SecureVersion;
}

/**
 * Options for a secure context, tried out before they are returned.
 *
 * @throws ProblemError `LISTENER_FAILED` where certificate or key is missing, unreadable, or they do not belong together.
 */
export function serverTlsOptions({ name, cert, key, minTls }: ServerTlsSettings): SecureContextOptions {
  if (cert === undefined || cert === '' || key === undefined || key === '') {
    throw new ProblemError(problem('LISTENER_FAILED', `listener ${name} has TLS but no certificate and key`, { remedy: REMEDY }));
  }
  const options: SecureContextOptions = { cert, key, minVersion: minTls, honorCipherOrder: true, ...oldCiphers(minTls) };
  try {
    createSecureContext(options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const cause = `listener ${name}: certificate and key cannot be used: ${reason}`;
    throw new ProblemError(problem('LISTENER_FAILED', cause, { remedy: REMEDY }), { cause: error });
  }
  return options;
}

const REMEDY = 'Set cert and key of the listener to PEM files that belong together; the key without a passphrase.';

/** OpenSSL 3 refuses TLS 1.0 and 1.1, whose signatures use SHA-1, unless its security level is 0. */
function oldCiphers(minTls: SecureVersion): SecureContextOptions {
  return minTls === 'TLSv1' || minTls === 'TLSv1.1' ? { ciphers: 'DEFAULT:@SECLEVEL=0' } : {};
}
