/**
 * What a TLS client needs to verify a server: trusted roots, versions, ciphers; and the sessions of servers that were verified by them.
 *
 * A context with the whole list of roots takes 40 ms and some memory to make, so contexts are kept per additional CA.
 *
 * @packageDocumentation
 */
import * as tls from 'node:tls';
import { TlsSessions } from './tls-sessions.ts';

/** Whom a client trusts, and whom it has verified. */
export interface ClientTrust {
  readonly context: tls.SecureContext;
  readonly sessions: TlsSessions;
}

/** A CA per provider: more than these come from a program gone wrong. */
const MOST_CONTEXTS = 32;

/** SECLEVEL 2 refuses keys under 2048 bits and SHA-1 signatures, which Node's own default still accepts. */
const CIPHERS = `${tls.DEFAULT_CIPHERS}:@SECLEVEL=2`;

const trusts = new Map<string, ClientTrust>();

/**
 * For servers that the system's roots vouch for, or `ca` (PEM text, trusted in addition).
 *
 * @throws Error where `ca` is not PEM.
 */
export function clientTrust(ca: string | undefined): ClientTrust {
  const known = trusts.get(ca ?? '');
  if (known !== undefined) return known;
  // Without `ca` OpenSSL uses its own store, which costs next to nothing and knows NODE_EXTRA_CA_CERTS.
  const trust = ca === undefined ? {} : { ca: [...systemRoots(), ca] };
  const context = tls.createSecureContext({ minVersion: 'TLSv1.2', ciphers: CIPHERS, ...trust });
  const fresh = { context, sessions: new TlsSessions() };
  trusts.set(ca ?? '', fresh);
  const [oldest] = trusts.keys();
  if (trusts.size > MOST_CONTEXTS && oldest !== undefined) trusts.delete(oldest);
  return fresh;
}

/** From Node 22.15 on this includes NODE_EXTRA_CA_CERTS and the operating system's store where they are asked for. */
function systemRoots(): readonly string[] {
  const { getCACertificates } = tls as typeof tls & { getCACertificates?: (kind: 'default') => string[] };
  return getCACertificates === undefined ? tls.rootCertificates : getCACertificates('default');
}
