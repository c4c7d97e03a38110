/**
 * What an operator should do about a connection that could not be opened.
 *
 * Pure data.
 *
 * @packageDocumentation
 */
import { type CertificateContext, certificateRemedy } from './certificate-remedy.ts';
import type { DialError, DialFailure } from './dial-error.ts';

/** The step for each failure; a certificate that was not accepted has a finer table. */
export function dialRemedy({ failure, certificate }: Pick<DialError, 'failure' | 'certificate'>, context: CertificateContext): string {
  return certificate === undefined ? REMEDIES[failure].replace('KEY', context.key) : certificateRemedy(certificate, context);
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
