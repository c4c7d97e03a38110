/**
 * What a connection that could not be opened means for the operator, by the kind of server.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { type Problem, problem } from '../core/problem.ts';
import type { CertificateContext } from './certificate-remedy.ts';
import type { DialError } from './dial-error.ts';
import { dialRemedy } from './dial-remedy.ts';

/** For the remedies: `key` is where the host stands in the configuration. */
export interface DialledServer extends CertificateContext {
  readonly kind: 'token endpoint' | 'mail server';
}

/** True where the server was reached and TLS failed. */
export const isTlsFailure = ({ failure }: DialError): boolean => failure === 'certificate' || failure === 'tls' || failure === 'injection';

/** What happened and what to do. */
export function dialProblem(error: DialError, server: DialledServer): Problem {
  const isTls = isTlsFailure(error);
  if (server.kind === 'token endpoint') return problem('TOKEN_ENDPOINT_UNREACHABLE', error.message, { remedy: dialRemedy(error, server) });
  return problem(isTls ? 'UPSTREAM_TLS_FAILED' : 'UPSTREAM_UNREACHABLE', error.message, { remedy: dialRemedy(error, server) });
}
