/**
 * What a connection that could not be opened means for the operator, by the kind of server.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { type Problem, problem } from '../core/problem.ts';
import { type CertificateContext, certificateRemedy } from './certificate-remedy.ts';
import type { DialError, DialFailure } from './dial-error.ts';

/** For the remedies: `key` is where the host stands in the configuration. */
export interface DialledServer extends CertificateContext {
  readonly kind: 'token endpoint' | 'mail server';
}

/** True where the server was reached and TLS failed. */
export const isTlsFailure = ({ failure }: DialError): boolean => failure === 'certificate' || failure === 'tls' || failure === 'injection';

/** What happened and what to do. */
export function dialProblem(error: DialError, server: DialledServer): Problem {
  const isTls = isTlsFailure(error);
  if (server.kind === 'token endpoint') return problem('TOKEN_ENDPOINT_UNREACHABLE', error.message, { remedy: remedyFor(error, server) });
  return problem(isTls ? 'UPSTREAM_TLS_FAILED' : 'UPSTREAM_UNREACHABLE', error.message, { remedy: remedyFor(error, server) });
}

function remedyFor({ failure, certificate }: DialError, server: DialledServer): string {
  if (certificate !== undefined) return certificateRemedy(certificate, server);
  return REMEDIES[failure].replace('KEY', server.key);
}

const REMEDIES: Readonly<Record<DialFailure, string>> = {
  dns: 'Check the host name in KEY, and that this machine can resolve names (getent hosts HOST; in a container, its DNS setting).',
  refused: 'Check host and port in KEY; a firewall that rejects looks like this too.',
  unreachable: 'Check network, route and firewall of this machine for the host and port named.',
  timeout: 'Packets are dropped on the way, mostly by a firewall: allow this machine to reach the host and port named.',
  certificate: 'Look at the certificate of the server.',
  tls: 'Check the port in KEY: it must speak TLS 1.2 or newer at once unless tls: starttls is set. Old proxies that inspect TLS fail like this.',
  injection: 'Something between this machine and the server interferes with STARTTLS: use a port with implicit TLS, or another network.',
  closed: 'Check the port in KEY; a firewall or a limit of connections at the server looks like this too.',
  aborted: 'Run it again.',
};
